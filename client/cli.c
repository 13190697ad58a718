#include <locale.h>
#include <stdarg.h>
#include <string.h>

#include "client/command.h"
#include "client/follow.h"
#include "client/help.h"
#include "client/screen.h"
#include "client/text.h"
#include "config.h"
#include "proto/buf.h"
#include "proto/nearest.h"

static const struct option_word colors[] = {
    {"auto", COLOR_AUTO}, {"always", COLOR_ALWAYS}, {"never", COLOR_NEVER}, {NULL, 0}};

const struct option options_global[] = {
    OPTION_FLAG("json", 0, json, "print JSON: one value, or one a line where they come one by one"),
    OPTION_FLAG("quiet", 'q', quiet, "no remarks, only problems"),
    OPTION_WORD("color", 0, color, colors, "auto", "WHEN", "auto, always or never"),
    OPTION_TEXT("socket", 0, socket, "PATH", "the daemon that answers there"),
    OPTION_FLAG("no-start", 0, no_start, "start no personal daemon"),
    OPTION_FLAG("no-input", 0, no_input, "never ask"),
    OPTION_FLAG("help", 'h', help, "this text"),
    OPTION_FLAG("version", 0, version, "the version"),
    OPTIONS_END,
};

static const struct command *const commands[] = {
#define COMMAND(id) &command_##id,
#include "client/command.def"
#undef COMMAND
    NULL,
};

static void __attribute__((format(printf, 3, 0)))
say(struct cli *c, enum style style, const char *format, va_list ap)
{
    struct buf text = {0}, line = {0};

    buf_vprintf(&text, format, ap);
    screen_put(&c->err, &line, style, "coro:");
    buf_addch(&line, ' ');
    screen_put_safe(&c->err, &line, buf_cstr(&text), 0);
    fflush(c->out.file);
    fprintf(c->err.file, "%s\n", buf_cstr(&line));
    buf_release(&text);
    buf_release(&line);
}

void cli_problem(struct cli *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(c, STYLE_RED, format, ap);
    va_end(ap);
}

void cli_note(struct cli *c, const char *format, ...)
{
    va_list ap;
    if (c->quiet)
        return;
    va_start(ap, format);
    say(c, STYLE_DIM, format, ap);
    va_end(ap);
}

int cli_fail(struct cli *c, const struct err *err)
{
    cli_problem(c, "%s", err->text);
    return EXIT_COROD;
}

int cli_usage(struct cli *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(c, STYLE_RED, format, ap);
    va_end(ap);
    return EXIT_USAGE;
}

const struct command *const *cli_commands(void)
{
    return commands;
}

const struct command *cli_find(int argc, char **argv, int *ret_words)
{
    static const char *const alone[] = {"ls", "status"};
    const struct command *fallback = NULL;

    for (size_t i = 0; argc > 0 && commands[i] != NULL; i++) {
        const char *name = commands[i]->name, *space = strchr(name, ' ');
        if (space == NULL) {
            *ret_words = 1;
            if (strcmp(name, argv[0]) == 0)
                return commands[i];
            continue;
        }
        size_t len = (size_t)(space - name);
        if (strncmp(name, argv[0], len) != 0 || argv[0][len] != '\0')
            continue;
        *ret_words = 2;
        if (argc > 1 && strcmp(space + 1, argv[1]) == 0)
            return commands[i];
        bool bare = argc == 1 || (argv[1][0] == '-' && strcmp(argv[1], "-h") != 0 &&
                                  strcmp(argv[1], "--help") != 0);
        if (bare && (strcmp(space + 1, alone[0]) == 0 || strcmp(space + 1, alone[1]) == 0))
            fallback = commands[i];
    }
    *ret_words = 1;
    return fallback;
}

static int unknown_command(struct cli *c, int argc, char **argv)
{
    struct row {
        const char *name;
    } rows[sizeof(commands) / sizeof(commands[0])] = {0};
    char both[128];
    const char *word = argv[0];
    bool group = help_is_group(argv[0]);

    for (size_t i = 0; commands[i] != NULL; i++)
        rows[i].name = commands[i]->name;
    if (group && argc > 1) {
        snprintf(both, sizeof(both), "%s %s", argv[0], argv[1]);
        word = both;
    }
    const char *near = nearest_name(word, rows, sizeof(rows[0]));
    if (near != NULL)
        return cli_usage(c, "there is no command \"%s\" (did you mean \"%s\"?)", word, near);
    return cli_usage(c, "there is no command \"%s\" (`coro help` lists them)", word);
}

static void set_up(struct cli *c, const struct options *o)
{
    *c = (struct cli){.json = o->json,
                      .quiet = o->quiet,
                      .no_start = o->no_start,
                      .no_input = o->no_input,
                      .socket = o->socket};
    screen_init(&c->out, stdout, (enum color_mode)o->color);
    screen_init(&c->err, stderr, (enum color_mode)o->color);
}

static int run_command(struct cli *c, const struct command *command, struct options *o, int argc,
                       char **argv)
{
    if (o->help) {
        help_command(c, command);
        return EXIT_OK;
    }
    if (o->version) {
        printf("coro %s\n", PACKAGE_VERSION);
        return EXIT_OK;
    }
    return command->run(c, o, argc, argv);
}

static int dispatch(struct cli *c, const struct command *command, struct options *o, int argc,
                    char **argv)
{
    const struct option *const tables[] = {command->options, options_global, NULL};
    struct err err = {0};
    int left = options_parse(tables, o, argc, argv,
                             command->takes_command ? OPTIONS_FIRST : OPTIONS_MIXED, &err);

    set_up(c, o);
    int status = left < 0
                     ? cli_usage(c, "%s (`coro %s -h` lists the options)", err.text, command->name)
                     : run_command(c, command, o, left, argv);
    options_release(command->options, o);
    return status;
}

/* What is no command: help about a group of them, or a hint. */
static int no_command(struct cli *c, int argc, char **argv)
{
    bool asks = argc == 1 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0;
    if (!asks || !help_is_group(argv[0]))
        return unknown_command(c, argc, argv);
    help_group(c, argv[0]);
    return EXIT_OK;
}

int cli_main(int argc, char **argv)
{
    const struct option *const tables[] = {options_global, NULL};
    struct options o = {0};
    struct cli c;
    struct err err = {0};
    int words = 0, status;

    setlocale(LC_CTYPE, "");
    options_set_defaults(options_global, &o);
    /* Those of every command may also stand before it. */
    int left = argc > 0 ? options_parse(tables, &o, argc - 1, argv + 1, OPTIONS_FIRST, &err) : 0;
    char **rest = argv + 1;
    set_up(&c, &o);
    const struct command *command = left > 0 ? cli_find(left, rest, &words) : &command_overview;
    if (left < 0)
        status = cli_usage(&c, "%s (`coro help` lists the options)", err.text);
    else if (left == 0 && o.help)
        status = (help_all(&c), EXIT_OK);
    else if (command != NULL)
        status = dispatch(&c, command, &o, left - words, rest + words);
    else
        status = no_command(&c, left, rest);
    /* What could not be written is not done. */
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0 || follow_stdout_failed();
    if (failed && status == EXIT_OK) {
        cli_problem(&c, "stdout cannot be written");
        status = EXIT_COROD;
    }
    return status;
}
