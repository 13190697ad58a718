#include "client/complete.h"

#include <stdlib.h>
#include <string.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/job_text.h"
#include "client/view.h"
#include "proto/mem.h"
#include "proto/state.h"

#define JOBS_MAX 100 /* that are offered */

struct completion {
    struct cli *cli;
    const char *word;   /* what there is of it */
    const char *prefix; /* stands before each candidate: the part of a list before its comma */
    size_t prefix_len;
};

static void offer(const struct completion *t, const char *candidate, const char *about)
{
    FILE *out = t->cli->out.file;
    size_t len = strlen(t->word);

    if (strncmp(candidate, t->word, len) != 0 || strpbrk(candidate, "\t\n\r") != NULL)
        return;
    fprintf(out, "%.*s%s", (int)t->prefix_len, t->prefix, candidate);
    if (about != NULL && *about != '\0') {
        struct buf safe = {0};
        screen_put_safe(&t->cli->out, &safe, about, 60);
        fprintf(out, "\t%s", buf_cstr(&safe));
        buf_release(&safe);
    }
    fputc('\n', out);
}

/* A name that others gave, if a shell needs no quotes for it and a terminal shows it as it is: what
 * is put into a command line is not to run, nor to steer the terminal. */
static void offer_name(const struct completion *t, const char *name, const char *about)
{
    struct buf safe = {0};
    screen_put_safe(&t->cli->out, &safe, name, SIZE_MAX);
    if (*name != '-' && strpbrk(name, " '\"\\$&|;<>()*?[]{}~`!#:=,%^") == NULL &&
        strcmp(buf_cstr(&safe), name) == 0)
        offer(t, name, about);
    buf_release(&safe);
}

/* Only the part behind the last comma is completed. */
static struct completion after_comma(const struct completion *t)
{
    struct completion part = *t;
    const char *comma = strrchr(t->word, ',');
    if (comma != NULL) {
        part.prefix = t->word;
        part.prefix_len = (size_t)(comma + 1 - t->word);
        part.word = comma + 1;
    }
    return part;
}

/* What the daemon knows; nothing where none answers: it is neither started nor waited for. */

static json_t *ask(const struct completion *t, const char *method, json_t *params)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    json_t *result = NULL;

    if (conn_probe(&conn, t->cli, &err))
        result = conn_call(&conn, method, params, &err);
    else
        json_decref(params);
    conn_close(&conn);
    return result;
}

static void offer_jobs(const struct completion *whole)
{
    struct completion part = after_comma(whole), *t = &part;
    json_t *result = ask(t, "job.list", json_pack("{s:i}", "limit", JOBS_MAX));
    bool names = *t->word != '\0' && (*t->word < '0' || *t->word > '9');
    size_t i;
    const json_t *job;

    for (int live = 1; live >= 0; live--) {
        json_array_foreach (json_object_get(result, "jobs"), i, job) {
            if (job_is_live(job) != (live == 1))
                continue;
            cleanup_free char *id = xasprintf("%lld", (long long)get_int(job, "id"));
            cleanup_free char *about = xasprintf("%s %s", get_text(job, "state"), job_title(job));
            offer(t, id, about);
            if (names) /* it stands for its newest job */
                offer_name(t, get_text(job, "name"), about);
        }
    }
    offer(t, "last", "the newest job");
    offer(t, "all", "all of them");
    json_decref(result);
}

static void offer_list(const struct completion *t, const char *method, const char *list)
{
    json_t *result = ask(t, method, NULL);
    size_t i;
    const json_t *member;
    json_array_foreach (json_object_get(result, list), i, member)
        offer_name(t, get_text(member, "name"), NULL);
    json_decref(result);
}

static void offer_pools(const struct completion *t)
{
    offer_list(t, "pool.list", "pools");
}

static void offer_queues(const struct completion *t)
{
    offer_list(t, "queue.list", "queues");
}

static void offer_states(const struct completion *whole)
{
    struct completion t = after_comma(whole);
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        offer(&t, job_state_name((enum job_state)i), NULL);
}

static void offer_events(const struct completion *t)
{
#define EVENT(name, text, help) offer(t, text, help);
#include "proto/event.def"
#undef EVENT
}

static void offer_columns(const struct completion *whole)
{
    struct completion t = after_comma(whole);
    for (size_t i = 0; view_jobs_column(i) != NULL; i++)
        offer(&t, view_jobs_column(i), NULL);
}

static void offer_files(const struct completion *t)
{
    fputs(":files\n", t->cli->out.file);
}

static void offer_directories(const struct completion *t)
{
    fputs(":directories\n", t->cli->out.file);
}

/* The values of options, by what help calls them. */
static const struct kind {
    const char *arg;
    void (*offer)(const struct completion *t);
} kinds[] = {
    {"POOL", offer_pools},   {"STATE", offer_states},   {"TYPE", offer_events},
    {"LIST", offer_columns}, {"COLUMN", offer_columns}, {"DIRECTORY", offer_directories},
    {"FILE", offer_files},   {"PATH", offer_files},     {"ID…", offer_jobs},
    {"ID", offer_jobs},      {"QUEUE", offer_queues},
};

static void offer_value(const struct completion *t, const struct option *option)
{
    for (const struct option_word *w = option->words; w != NULL && w->name != NULL; w++)
        offer(t, w->name, NULL);
    for (size_t i = 0; option->arg != NULL && i < ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].arg, option->arg) == 0) {
            kinds[i].offer(t);
            return;
        }
    }
}

/* Options. */

static bool takes_value(const struct option *option)
{
    return option->type != OPTION_TYPE_FLAG;
}

static const struct option *find_option(const struct option *const *tables, const char *word,
                                        size_t len)
{
    for (; *tables != NULL; tables++) {
        for (const struct option *o = *tables; o->name != NULL; o++) {
            if (len > 2 && strncmp(word, "--", 2) == 0 && strlen(o->name) == len - 2 &&
                strncmp(o->name, word + 2, len - 2) == 0)
                return o;
            /* The last of a bundle may take a value. */
            if (len >= 2 && word[0] == '-' && word[1] != '-' && o->letter == word[len - 1])
                return o;
        }
    }
    return NULL;
}

static void offer_options(const struct completion *t, const struct option *const *tables)
{
    for (; *tables != NULL; tables++) {
        for (const struct option *o = *tables; o->name != NULL; o++) {
            cleanup_free char *name = xasprintf("--%s", o->name);
            offer(t, name, o->help);
        }
    }
}

/* How many words at the start are options and their values; *open: the last of them waits for its
 * value, which is the word to be completed. */
static int skip_options(const struct option *const *tables, int argc, char **argv,
                        const struct option **open)
{
    int i = 0;

    *open = NULL;
    for (; i + 1 < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0)
            return i + 1;
        const struct option *o = find_option(tables, argv[i], strlen(argv[i]));
        if (o == NULL || !takes_value(o))
            continue;
        if (i + 2 == argc) {
            *open = o;
            return i + 1;
        }
        i++;
    }
    return i;
}

/* --name=VALUE or the word behind an option; false: it is no value. */
static bool complete_value(const struct completion *t, const struct option *const *tables,
                           const struct option *open)
{
    struct completion value = *t;
    const char *equals = strchr(t->word, '=');

    if (open != NULL) {
        offer_value(t, open);
        return true;
    }
    if (strncmp(t->word, "--", 2) != 0 || equals == NULL)
        return false;
    const struct option *o = find_option(tables, t->word, (size_t)(equals - t->word));
    value.prefix = t->word;
    value.prefix_len = (size_t)(equals + 1 - t->word);
    value.word = equals + 1;
    if (o != NULL)
        offer_value(&value, o);
    return true;
}

/* Commands. */

static bool in_group(const char *name, const char *group, const char **ret_rest)
{
    size_t len = strlen(group);
    if (strncmp(name, group, len) != 0 || name[len] != ' ')
        return false;
    *ret_rest = name + len + 1;
    return true;
}

/* "ls, put, get" */
static void put_group(const char *group, struct buf *out)
{
    const char *rest;
    for (const struct command *const *all = cli_commands(); *all != NULL; all++) {
        if (in_group((*all)->name, group, &rest))
            buf_printf(out, "%s%s", out->len > 0 ? ", " : "", rest);
    }
}

/* The commands, or those of a group. Each first word once. */
static void offer_commands(const struct completion *t, const char *group)
{
    const char *before = "", *rest;

    for (const struct command *const *all = cli_commands(); *all != NULL; all++) {
        const char *name = (*all)->name;
        size_t len = strcspn(name, " ");
        if (group != NULL && in_group(name, group, &rest))
            offer(t, rest, (*all)->summary);
        if (group != NULL || *name == '\0' ||
            (strlen(before) >= len && strncmp(before, name, len) == 0 &&
             strcspn(before, " ") == len))
            continue;
        cleanup_free char *first = xstrndup(name, len);
        struct buf about = {0};
        put_group(first, &about);
        offer(t, first, name[len] == '\0' ? (*all)->summary : buf_cstr(&about));
        buf_release(&about);
        before = name;
    }
}

static bool is_group(const char *word)
{
    const char *rest;
    for (const struct command *const *all = cli_commands(); *all != NULL; all++) {
        if (in_group((*all)->name, word, &rest))
            return true;
    }
    return false;
}

/* An operand, by what the command's usage calls it. `at`: its place among the words. */
static void offer_operand(const struct completion *t, const struct command *command, int at)
{
    const char *rest;

    if (command == &command_help) {
        offer_commands(t, NULL);
    } else if (command == &command_completions) {
        offer(t, "bash", NULL);
        offer(t, "zsh", NULL);
        offer(t, "fish", NULL);
    } else if (command->takes_command)
        fprintf(t->cli->out.file, ":command %d\n", at);
    else if (in_group(command->name, "pool", &rest))
        offer_pools(t);
    else if (in_group(command->name, "queue", &rest))
        offer_queues(t);
    else if (strstr(command->args, "FILE") != NULL)
        offer_files(t);
    else if (strstr(command->args, "ID") != NULL)
        offer_jobs(t);
}

static void complete_command(const struct completion *t, const struct command *command, int argc,
                             char **argv, int before)
{
    const struct option *const tables[] = {command->options, options_global, NULL};
    const struct option *open = NULL;
    int skipped = skip_options(tables, argc, argv, &open), first = skipped;

    /* Options may come behind operands, but not behind another's command line. */
    while (!command->takes_command && open == NULL && skipped + 1 < argc) {
        skipped++;
        skipped += skip_options(tables, argc - skipped, argv + skipped, &open);
    }
    if (command->takes_command && first + 1 < argc && open == NULL)
        offer_operand(t, command, before + first);
    else if (complete_value(t, tables, open))
        return;
    else if (t->word[0] == '-')
        offer_options(t, tables);
    else
        offer_operand(t, command, before + first);
}

void complete_print(struct cli *c, int argc, char **argv)
{
    static char nothing[] = "";
    char *alone[] = {nothing};
    const struct option *const tables[] = {options_global, NULL};
    const struct option *open = NULL;
    int words = 0;

    if (argc == 0) {
        argc = 1;
        argv = alone;
    }
    struct completion t = {.cli = c, .word = argv[argc - 1], .prefix = ""};
    int skipped = skip_options(tables, argc, argv, &open), left = argc - skipped;
    if (left <= 1 || open != NULL) {
        if (complete_value(&t, tables, open))
            return;
        if (t.word[0] == '-')
            offer_options(&t, tables);
        else
            offer_commands(&t, NULL);
        return;
    }
    argv += skipped;
    if (left == 2 && is_group(argv[0]) && t.word[0] != '-') {
        offer_commands(&t, argv[0]);
        return;
    }
    const struct command *command = cli_find(left - 1, argv, &words);
    if (command != NULL && words < left)
        complete_command(&t, command, left - words, argv + words, skipped + words);
}
