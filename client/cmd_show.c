#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/view.h"

/* Asks for each job that is meant and shows the reply. */
static int each_job(struct cli *c, const struct options *o, int argc, char **argv,
                    const char *method,
                    void (*show)(struct cli *c, const struct options *o, const json_t *reply))
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    char *last[] = {(char *)(uintptr_t) "last"};
    int status = EXIT_OK;

    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *ids =
        ids_resolve(&conn, argc > 0 ? argv : last, argc > 0 ? (size_t)argc : 1, IDS_ALL, &err);
    for (size_t i = 0; i < json_array_size(ids) && status == EXIT_OK; i++) {
        json_t *params = json_pack("{s:O}", "id", json_array_get(ids, i));
        json_t *reply = conn_ask(&conn, method, params, &err);
        if (reply == NULL) {
            status = cli_fail(c, &err);
            break;
        }
        if (i > 0 && !c->json)
            fputc('\n', c->out.file);
        if (c->json)
            view_json(c, reply);
        else
            show(c, o, reply);
        json_decref(reply);
    }
    if (ids == NULL)
        status = cli_fail(c, &err);
    json_decref(ids);
    conn_close(&conn);
    return status;
}

static void show_one(struct cli *c, const struct options *o, const json_t *reply)
{
    (void)o;
    view_job(c, reply);
}

static int show_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    return each_job(c, o, argc, argv, "job.get", show_one);
}

static void tree_one(struct cli *c, const struct options *o, const json_t *reply)
{
    view_tree(c, reply, o->all);
}

static int tree_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    return each_job(c, o, argc, argv, "job.tree", tree_one);
}

static const struct option show_options[] = {OPTIONS_END};
const struct command command_show = {
    .name = "show",
    .args = "[ID…]",
    .summary = "everything about a job (the last one, unless told)",
    .options = show_options,
    .examples = "coro show 12 --json | jq .value\n",
    .run = show_command,
};

static const struct option tree_options[] = {
    OPTION_FLAG("all", 'a', all, "also the many tasks of a row that just went well"),
    OPTIONS_END,
};
const struct command command_tree = {
    .name = "tree",
    .args = "[-a] [ID…]",
    .summary = "the tasks of a job: what runs, what each awaits, what failed",
    .options = tree_options,
    .examples = "coro tree last\n",
    .run = tree_command,
};
