#include <string.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/screen.h"
#include "client/view.h"
#include "proto/buf.h"
#include "proto/mem.h"
#include "proto/state.h"

#define SHOWN_LIVE  20
#define SHOWN_ENDED 5

static json_t *states(bool live)
{
    json_t *list = json_array();
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (job_state_is_live((enum job_state)i) == live)
            json_array_append_new(list, json_string(job_state_name((enum job_state)i)));
    }
    return list;
}

/* The rows of a job.list reply, the newest last; `running` chooses among the live ones. */
static json_t *rows(const json_t *result, bool (*wanted)(const char *state))
{
    json_t *list = json_array();
    const json_t *jobs = json_object_get(result, "jobs");
    for (size_t i = json_array_size(jobs); i > 0; i--) {
        json_t *job = json_array_get(jobs, i - 1);
        if (wanted(get_text(job, "state")))
            json_array_append(list, job);
    }
    return list;
}

static bool is_running(const char *state)
{
    return strcmp(state, "running") == 0;
}

static bool is_waiting(const char *state)
{
    return !is_running(state);
}

static bool any(const char *state)
{
    (void)state;
    return true;
}

static void section(struct cli *c, const char *title, const json_t *jobs)
{
    struct buf head = {0};
    if (json_array_size(jobs) == 0)
        return;
    buf_addch(&head, '\n');
    screen_put(&c->out, &head, STYLE_BOLD, title);
    fprintf(c->out.file, "%s\n", buf_cstr(&head));
    buf_release(&head);
    view_jobs(c, jobs, false);
}

/* The pools without that of HTTP requests, unless it has something to do. */
static json_t *used(const json_t *pools)
{
    json_t *some = json_array(), *pool;
    size_t i;
    json_array_foreach (pools, i, pool) {
        if (strcmp(get_text(pool, "name"), "http") != 0 || get_int(pool, "taken") > 0 ||
            get_int(pool, "waiting") > 0 || json_is_true(json_object_get(pool, "paused")))
            json_array_append(some, pool);
    }
    return some;
}

static void print(struct cli *c, const json_t *all)
{
    json_t *pools = used(json_object_get(all, "pools"));
    view_pools(c, pools, true);
    json_decref(pools);
    section(c, "running", json_object_get(all, "running"));
    section(c, "waiting", json_object_get(all, "waiting"));
    section(c, "ended last", json_object_get(all, "ended"));
}

/* While the disk refuses nothing is told but that: the rest waits until it can be kept. */
static bool is_in_trouble(struct conn *conn, struct cli *c)
{
    struct err err;
    json_t *stats = conn_ask(conn, "system.stats", NULL, &err);
    const char *trouble = stats != NULL ? get_text(stats, "trouble") : "";
    bool failing = stats != NULL && strcmp(get_text(stats, "storage"), "failing") == 0;
    if (failing && c->json) {
        json_t *all = json_pack("{s:s}", "trouble", trouble);
        view_json(c, all);
        json_decref(all);
    } else if (*trouble != '\0') {
        struct buf line = {0};
        screen_put(&c->out, &line, STYLE_RED, trouble);
        fprintf(c->out.file, "%s\n", buf_cstr(&line));
        buf_release(&line);
    }
    json_decref(stats);
    return failing;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    if (is_in_trouble(&conn, c)) {
        conn_close(&conn);
        return EXIT_OK;
    }
    uint64_t pools_id = conn_send(&conn, "pool.list", NULL);
    uint64_t live_id = conn_send(
        &conn, "job.list", json_pack("{s:o, s:i}", "state", states(true), "limit", SHOWN_LIVE));
    uint64_t ended_id = conn_send(
        &conn, "job.list", json_pack("{s:o, s:i}", "state", states(false), "limit", SHOWN_ENDED));
    json_t *pools = conn_reply(&conn, pools_id, &err);
    json_t *live = pools != NULL ? conn_reply(&conn, live_id, &err) : NULL;
    json_t *ended = live != NULL ? conn_reply(&conn, ended_id, &err) : NULL;
    int status = EXIT_OK;
    if (ended == NULL) {
        status = cli_fail(c, &err);
    } else {
        json_t *all = json_pack("{s:O, s:o, s:o, s:o}", "pools", json_object_get(pools, "pools"),
                                "running", rows(live, is_running), "waiting",
                                rows(live, is_waiting), "ended", rows(ended, any));
        if (c->json)
            view_json(c, all);
        else
            print(c, all);
        json_decref(all);
    }
    json_decref(pools);
    json_decref(live);
    json_decref(ended);
    conn_close(&conn);
    return status;
}

static const struct option none[] = {OPTIONS_END};
const struct command command_overview = {
    .name = "",
    .args = "",
    .summary = "what is going on",
    .options = none,
    .run = run,
};
