#include <string.h>

#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/outcome.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/state.h"

#define PATIENCE_S  120
#define IDS_AT_ONCE 1000 /* job.wait's limit */

static bool has_ended(const json_t *job)
{
    enum job_state s;
    return job_state_parse(get_text(job, "state"), &s) && !job_state_is_live(s);
}

/* job.wait, once more when the daemon went away meanwhile. */
static json_t *wait_for(struct conn *conn, json_t *params, struct err *err)
{
    for (bool said = false;; said = true) {
        json_t *result = conn_call(conn, "job.wait", json_deep_copy(params), err);
        if (result != NULL || !conn_is_gone(err))
            return result;
        if (!said)
            cli_problem(conn->cli, "the daemon went away, waiting for it");
        if (!conn_reopen(conn, PATIENCE_S, err))
            return NULL;
    }
}

/* The highest status of those that have ended. */
static int report(struct cli *c, const json_t *jobs)
{
    size_t i;
    const json_t *job;
    json_t *ended = json_array();
    int highest = EXIT_OK;

    json_array_foreach (jobs, i, job) {
        if (!has_ended(job))
            continue;
        json_array_append(ended, (json_t *)(uintptr_t)job);
        int status = outcome_status(job);
        highest = status > highest ? status : highest;
    }
    if (c->json)
        view_json(c, ended);
    else if (!c->quiet && c->out.tty)
        view_jobs(c, ended, false);
    json_decref(ended);
    return highest;
}

static json_t *slice(const json_t *ids, size_t from, size_t n)
{
    json_t *part = json_array();
    for (size_t i = from; i < json_array_size(ids) && i < from + n; i++)
        json_array_append(part, json_array_get(ids, i));
    return part;
}

static int wait_all(struct conn *conn, const struct options *o, const json_t *ids, double timeout_s)
{
    struct err err = {0};
    double until = view_now_s() + timeout_s;
    json_t *jobs = json_array();
    int status = -1;

    for (size_t at = 0; status < 0 && at < json_array_size(ids); at += IDS_AT_ONCE) {
        json_t *params = json_pack("{s:o, s:s}", "ids", slice(ids, at, IDS_AT_ONCE), "mode",
                                   o->any ? "any" : "all");
        double left = until - view_now_s();
        if (timeout_s >= 0)
            json_object_set_new(params, "timeout", json_real(left > 0 ? left : 0));
        json_t *result = wait_for(conn, params, &err);
        json_decref(params);
        if (result == NULL) {
            status = cli_fail(conn->cli, &err);
        } else {
            json_array_extend(jobs, json_object_get(result, "jobs"));
            if (json_is_true(json_object_get(result, "timed_out")))
                status = EXIT_TIMEOUT;
        }
        json_decref(result);
    }
    if (status < 0 || status == EXIT_TIMEOUT) {
        int highest = report(conn->cli, jobs);
        status = status < 0 ? highest : status;
    }
    json_decref(jobs);
    return status;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    double timeout_s = -1;
    int status;

    if (argc == 0)
        return cli_usage(c, "which jobs? An id, 1,3,5-8, last, all or a name");
    if (o->deadline != NULL && !text_duration(o->deadline, &timeout_s, &err))
        return cli_usage(c, "--timeout: %s", err.text);
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_t *ids = ids_resolve(&conn, argv, (size_t)argc, IDS_ALL_LIVE, &err);
    if (ids == NULL)
        status = cli_fail(c, &err);
    else if (o->any && json_array_size(ids) > IDS_AT_ONCE)
        status = cli_usage(c, "--any takes at most %d jobs", IDS_AT_ONCE);
    else
        status = wait_all(&conn, o, ids, timeout_s);
    json_decref(ids);
    conn_close(&conn);
    return status;
}

static const struct option wait_options[] = {
    OPTION_FLAG("any", 0, any, "for the first of them that ends"),
    OPTION_TEXT("timeout", 0, deadline, "DURATION", "at most so long; then 124"),
    OPTIONS_END,
};
const struct command command_wait = {
    .name = "wait",
    .args = "[OPTION…] ID…",
    .summary = "wait for jobs to end; the highest of their exit statuses",
    .options = wait_options,
    .help = "`all` is every job that has not ended.",
    .examples = "coro wait 3,5-8 && echo all went well\n",
    .run = run,
};
