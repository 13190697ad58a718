#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/view.h"

#define IDS_AT_ONCE 1000 /* job.cancel's limit */

static int cancel(struct conn *conn, const json_t *ids)
{
    struct err err = {0};
    json_t *jobs = json_array();
    int status = EXIT_OK;

    for (size_t at = 0; status == EXIT_OK && at < json_array_size(ids); at += IDS_AT_ONCE) {
        json_t *part = json_array();
        for (size_t i = at; i < json_array_size(ids) && i < at + IDS_AT_ONCE; i++)
            json_array_append(part, json_array_get(ids, i));
        json_t *result = conn_call(conn, "job.cancel", json_pack("{s:o}", "ids", part), &err);
        if (result == NULL)
            status = cli_fail(conn->cli, &err);
        json_array_extend(jobs, json_object_get(result, "jobs"));
        json_decref(result);
    }
    if (conn->cli->json)
        view_json(conn->cli, jobs);
    json_decref(jobs);
    return status;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int status = EXIT_OK;

    if (argc == 0)
        return cli_usage(c, "which jobs? An id, 1,3,5-8, last, all or a name");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *ids = ids_resolve(&conn, argv, (size_t)argc, IDS_ALL_LIVE, &err);
    if (ids == NULL)
        status = cli_fail(c, &err);
    else if (json_array_size(ids) == 0)
        cli_note(c, "nothing to cancel");
    else if (o->dry_run)
        view_json(c, ids);
    else
        status = cancel(&conn, ids);
    json_decref(ids);
    conn_close(&conn);
    return status;
}

static const struct option cancel_options[] = {
    OPTION_FLAG("dry-run", 'n', dry_run, "only say which jobs are meant"),
    OPTIONS_END,
};
const struct command command_cancel = {
    .name = "cancel",
    .args = "[-n] ID…",
    .summary = "cancel jobs: their commands get SIGTERM, their clean-up runs",
    .options = cancel_options,
    .help = "`all` is every job that has not ended.",
    .examples = "coro cancel last\n",
    .run = run,
};
