#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/command.h"
#include "client/get.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"
#include "proto/state.h"

#define SHOWN 30 /* jobs, unless -a or -n says otherwise */

/* The params of job.list; false: usage. */
static bool make_filter(const struct options *o, json_t *params, struct err *err)
{
    if (o->n_states > 0) {
        json_t *states = json_array();
        json_object_set_new(params, "state", states);
        for (size_t i = 0; i < o->n_states; i++) {
            enum job_state s;
            if (!job_state_parse(o->states[i], &s))
                return err_set(err, EINVAL, "there is no state \"%s\"", o->states[i]);
            json_array_append_new(states, json_string(o->states[i]));
        }
    }
    if (o->since != NULL) {
        double ago;
        char at[RFC3339_SIZE];
        if (!text_duration(o->since, &ago, err))
            return err_prefix(err, "--since");
        rfc3339_format(at, (int64_t)((view_now_s() - ago) * 1e6));
        json_object_set_new(params, "since", json_string(at));
    }
    if (o->job.pool != NULL)
        json_object_set_new(params, "pool", json_string(o->job.pool));
    if (o->job.n_labels > 1)
        return err_set(err, EINVAL, "one label, please");
    if (o->job.n_labels == 1)
        json_object_set_new(params, "label", json_string(o->job.labels[0]));
    return true;
}

/* Appends the jobs that match to *rows, newest first, at most max. */
static bool list(struct conn *conn, json_t *params, int64_t max, json_t *rows, struct err *err)
{
    while (max > 0) {
        json_object_set_new(params, "limit", json_integer(max < 500 ? max : 500));
        json_t *result = conn_call(conn, "job.list", json_deep_copy(params), err);
        if (result == NULL)
            return false;
        json_t *jobs = json_object_get(result, "jobs"), *next = json_object_get(result, "next");
        max -= (int64_t)json_array_size(jobs);
        json_array_extend(rows, jobs);
        bool more = next != NULL && !json_is_null(next) && json_array_size(jobs) > 0;
        if (more)
            json_object_set(params, "cursor", next);
        json_decref(result);
        if (!more)
            break;
    }
    return true;
}

static json_t *newest_last(const json_t *rows)
{
    json_t *turned = json_array();
    for (size_t i = json_array_size(rows); i > 0; i--)
        json_array_append(turned, json_array_get(rows, i - 1));
    return turned;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int64_t max = o->all ? INT64_MAX : SHOWN;
    json_t *params = json_object(), *rows = json_array();
    bool ok;

    if ((o->lines != NULL && !text_whole(o->lines, 1, INT64_MAX, &max, &err)) ||
        !make_filter(o, params, &err)) {
        json_decref(params);
        json_decref(rows);
        return cli_usage(c, "%s", err.text);
    }
    ok = conn_open(&conn, c, &err);
    for (int i = 0; ok && (i < argc || i == 0); i++) {
        json_t *one = json_deep_copy(params);
        if (i < argc)
            json_object_set_new(one, "name", json_string(argv[i]));
        ok = list(&conn, one, max, rows, &err);
        json_decref(one);
    }
    if (ok) {
        json_t *shown = newest_last(rows);
        if (c->json)
            view_json(c, shown);
        else
            view_jobs(c, shown, true);
        json_decref(shown);
    }
    json_decref(params);
    json_decref(rows);
    conn_close(&conn);
    return ok ? EXIT_OK : cli_fail(c, &err);
}

static const struct option ls_options[] = {
    OPTION_FLAG("all", 'a', all, "all that are kept, not the newest 30"),
    OPTION_TEXT("lines", 'n', lines, "N", "the newest N"),
    OPTION_LIST("state", 's', states, n_states, "STATE",
                "only in this state (several: any of them)"),
    OPTION_TEXT("since", 0, since, "DURATION", "only what was handed in since then: 1h, 2d"),
    OPTION_TEXT("pool", 'p', job.pool, "POOL", "only of this pool"),
    OPTION_LIST("label", 'l', job.labels, job.n_labels, "KEY[=VALUE]", "only with this label"),
    OPTIONS_END,
};
const struct command command_ls = {
    .name = "ls",
    .args = "[OPTION…] [NAME…]",
    .summary = "list jobs, the newest last",
    .options = ls_options,
    .help = "NAME is a job's name or a pattern with * ? [ ].",
    .examples = "coro ls --state failed --since 1d\n"
                "coro ls 'nightly*' --json | jq .\n",
    .run = run,
};
