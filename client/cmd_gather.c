#include <errno.h>
#include <string.h>

#include "client/command.h"
#include "client/items.h"
#include "client/text.h"
#include "client/words.h"
#include "proto/mem.h"

struct gather {
    int argc;
    char **argv;
};

static char *name(void *arg, size_t item)
{
    const struct gather *g = arg;
    return xstrdup(g->argv[item]);
}

/* {"gather": [{"sh": COMMAND}…]}, or a group of them. */
static json_t *document(const struct options *o, const char *verb, int argc, char **argv,
                        struct err *err)
{
    json_t *nodes = json_array(), *main = json_pack("{s:o}", verb, nodes);
    bool ok = true;

    for (int i = 0; ok && i < argc; i++) {
        json_t *node = json_object();
        ok = text_is_utf8(argv[i], strlen(argv[i])) ||
             err_set(err, EINVAL, "a command is not UTF-8");
        json_object_set_new(node, "sh", json_string(argv[i]));
        ok = ok && job_options_node(&o->job, node, err);
        json_array_append_new(nodes, node);
    }
    if (strcmp(verb, "gather") == 0)
        json_object_set_new(main, "return_exceptions", json_true());
    if (!ok) {
        json_decref(main);
        return NULL;
    }
    struct buf line = {0};
    for (int i = 0; i < argc; i++)
        buf_printf(&line, "%s%s", i > 0 ? " & " : "", argv[i]);
    cleanup_free char *shown = buf_steal(&line);
    struct buf cut = {0};
    text_put_safe(&cut, shown, strlen(shown), 120, true);
    json_t *doc = job_options_document(&o->job, main, buf_cstr(&cut), err);
    buf_release(&cut);
    return doc;
}

static int run(struct cli *c, const struct options *o, const char *verb, int argc, char **argv)
{
    struct gather g = {argc, argv};
    struct err err = {0};

    if (argc == 0)
        return cli_usage(c, "which commands? coro %s 'COMMAND' 'COMMAND'…",
                         strcmp(verb, "gather") == 0 ? verb : "group");
    json_t *doc = document(o, verb, argc, argv, &err);
    if (doc == NULL)
        return cli_usage(c, "%s", err.text);
    struct items items = {.cli = c,
                          .n = (size_t)argc,
                          .first_task = 2, /* behind main's */
                          .name = name,
                          .arg = &g,
                          .keep_order = o->keep_order,
                          .group = strcmp(verb, "task_group") == 0,
                          .options = &o->job};
    return items_run(&items, doc);
}

static int run_gather(struct cli *c, const struct options *o, int argc, char **argv)
{
    return run(c, o, "gather", argc, argv);
}

static int run_group(struct cli *c, const struct options *o, int argc, char **argv)
{
    return run(c, o, "task_group", argc, argv);
}

static const struct option gather_options[] = {
    OPTION_FLAG("keep-order", 'k', keep_order, "output in the order of the commands"),
    OPTIONS_JOB,
    OPTIONS_END,
};
const struct command command_gather = {
    .name = "gather",
    .args = "[OPTION…] 'COMMAND' 'COMMAND'…",
    .summary = "run shell commands side by side and wait for all of them",
    .options = gather_options,
    .help =
        "Each COMMAND is a line for the shell. Each one's output comes in one piece when it has\n"
        "ended. One that fails does not end the others. The exit status is the highest.",
    .examples = "coro gather 'make -C a' 'make -C b && echo done' 'sleep 5'\n",
    .run = run_gather,
};
const struct command command_group = {
    .name = "group",
    .args = "[OPTION…] 'COMMAND' 'COMMAND'…",
    .summary = "the same, but the first that fails ends the others",
    .options = gather_options,
    .help =
        "Each COMMAND is a line for the shell. When one fails the others are cancelled: SIGTERM,\n"
        "and SIGKILL after the grace that the daemon gives. The exit status is that of the one\n"
        "that failed.",
    .examples = "coro group 'make test' 'make lint' && git push\n",
    .run = run_group,
};
