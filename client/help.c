#include "client/help.h"

#include <string.h>

#include "client/screen.h"
#include "client/text.h"
#include "proto/buf.h"
#include "proto/mem.h"

static void heading(struct cli *c, struct buf *out, const char *text)
{
    buf_addch(out, '\n');
    screen_put(&c->out, out, STYLE_BOLD, text);
    buf_addch(out, '\n');
}

static void put_commands(struct cli *c, struct buf *out, const char *group)
{
    size_t len = group != NULL ? strlen(group) : 0;

    for (const struct command *const *all = cli_commands(); *all != NULL; all++) {
        const struct command *one = *all;
        if (one->name[0] == '\0' ||
            (group != NULL && (strncmp(one->name, group, len) != 0 || one->name[len] != ' ')))
            continue;
        cleanup_free char *name = xasprintf("  %-14s", one->name);
        screen_put(&c->out, out, STYLE_CYAN, name);
        buf_printf(out, " %s\n", one->summary);
    }
}

static void print(struct cli *c, struct buf *out)
{
    fwrite(out->data, 1, out->len, c->out.file);
    buf_release(out);
}

void help_all(struct cli *c)
{
    struct buf out = {0};

    buf_addstr(&out, "coro: run commands and jobs that survive\n");
    heading(c, &out, "coro [OPTION…] [COMMAND [OPTION…] [ARGUMENT…]]");
    buf_addstr(&out, "  Without a command: what is going on.\n");
    heading(c, &out, "Commands");
    put_commands(c, &out, NULL);
    heading(c, &out, "Options of every command");
    options_help(options_global, c->out.columns, &out);
    heading(c, &out, "Job ids");
    buf_addstr(&out, "  a number, last, all, a list like 1,3,5-8, the name of a job\n");
    heading(c, &out, "Exit status");
    buf_addstr(&out, "  the job's own; 128+n signal n, 124 timeout, 125 an error of corod's own,\n"
                     "  126/127 could not start, 130 cancelled, 2 usage\n\n"
                     "`coro COMMAND -h` says more; so does coro(1).\n");
    print(c, &out);
}

void help_command(struct cli *c, const struct command *command)
{
    struct buf out = {0};

    cleanup_free char *line =
        xasprintf("coro %s%s%s", command->name, *command->args != '\0' ? " " : "", command->args);
    screen_put(&c->out, &out, STYLE_BOLD, line);
    buf_printf(&out, "\n%s\n", command->summary);
    if (command->help != NULL)
        buf_printf(&out, "\n%s\n", command->help);
    if (command->options != NULL && command->options->name != NULL) {
        heading(c, &out, "Options");
        options_help(command->options, c->out.columns, &out);
    }
    heading(c, &out, "Options of every command");
    options_help(options_global, c->out.columns, &out);
    if (command->examples != NULL) {
        heading(c, &out, "Examples");
        for (const char *p = command->examples; *p != '\0';) {
            size_t n = strcspn(p, "\n");
            buf_printf(&out, "  %.*s\n", (int)n, p);
            p += n + (p[n] == '\n');
        }
    }
    print(c, &out);
}

bool help_is_group(const char *word)
{
    size_t len = strlen(word);
    for (const struct command *const *all = cli_commands(); *all != NULL; all++) {
        if (len > 0 && strncmp((*all)->name, word, len) == 0 && (*all)->name[len] == ' ')
            return true;
    }
    return false;
}

void help_group(struct cli *c, const char *word)
{
    struct buf out = {0};

    cleanup_free char *line = xasprintf("coro %s COMMAND", word);
    screen_put(&c->out, &out, STYLE_BOLD, line);
    buf_addch(&out, '\n');
    put_commands(c, &out, word);
    print(c, &out);
}
