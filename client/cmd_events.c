#include <errno.h>
#include <string.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/text.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define PATIENCE_S 1e9 /* who follows events waits for the daemon */

struct events {
    struct conn conn;
    json_t *filter; /* NULL: all */
    json_int_t seq; /* of the last one that was printed; -1: from now on */
    bool follow;
    uint64_t subscribe_id, ping_id;
};

/* A ping goes behind it: its answer comes behind all that is kept. */
static void subscribe(struct events *e)
{
    json_t *params = json_object();
    if (e->filter != NULL)
        json_object_set(params, "filter", e->filter);
    if (e->seq >= 0)
        json_object_set_new(params, "after", json_integer(e->seq));
    e->subscribe_id = conn_send(&e->conn, "event.subscribe", params);
    if (!e->follow)
        e->ping_id = conn_send(&e->conn, "system.ping", NULL);
}

static bool print(struct events *e, json_t *params, struct err *err)
{
    FILE *out = e->conn.cli->out.file;

    e->seq = get_int(params, "seq");
    json_object_del(params, "subscription");
    json_dumpf(params, out, JSON_COMPACT);
    fputc('\n', out);
    return fflush(out) == 0 || err_errno(err, "stdout cannot be written");
}

static bool on_reply(struct events *e, json_t *message, struct err *err)
{
    if (conn_message_id(message) != e->subscribe_id)
        return true;
    const json_t *result = conn_result(&e->conn, message, err);
    if (result == NULL && err->code == ERR_EXPIRED) {
        cli_problem(e->conn.cli, "events behind %lld are no longer kept; what is kept follows",
                    (long long)e->seq);
        e->seq = 0;
        subscribe(e);
        return true;
    }
    if (result != NULL && e->seq < 0)
        e->seq = get_int(result, "seq");
    return result != NULL;
}

static bool come_back(struct events *e, struct err *err)
{
    if (!e->follow)
        return false;
    cli_problem(e->conn.cli, "the daemon went away, waiting for it");
    if (!conn_reopen(&e->conn, PATIENCE_S, err))
        return false;
    subscribe(e);
    return true;
}

/* Ends when all that is kept is printed, or never. False: *err. */
static bool pump(struct events *e, struct err *err)
{
    subscribe(e);
    for (;;) {
        json_t *message = NULL;
        bool ok = true;
        enum conn_got got = conn_next(&e->conn, -1, &message, err);
        if (got == CONN_GONE) {
            ok = come_back(e, err);
        } else if (got == CONN_MESSAGE) {
            json_t *params = json_object_get(message, "params");
            uint64_t id = conn_message_id(message);
            if (id != 0 && id == e->ping_id) {
                json_decref(message);
                return true;
            }
            if (id != 0)
                ok = on_reply(e, message, err);
            else if (json_is_true(json_object_get(params, "lost")))
                subscribe(e); /* we were too slow for it */
            else if (get_int(params, "seq") > e->seq)
                ok = print(e, params, err);
            json_decref(message);
        }
        if (!ok)
            return false;
    }
}

static bool make_filter(struct events *e, const struct options *o, int argc, char **argv,
                        struct err *err)
{
    json_t *types = json_array();

    e->filter = json_object();
    for (size_t i = 0; i < o->n_types; i++)
        json_array_append_new(types, json_string(o->types[i]));
    if (o->n_types > 0)
        json_object_set(e->filter, "types", types);
    json_decref(types);
    if (o->owner != NULL)
        json_object_set_new(e->filter, "owner", json_string(o->owner));
    if (argc == 0)
        return true;
    json_t *ids = ids_resolve(&e->conn, argv, (size_t)argc, IDS_ALL_LIVE, err);
    if (ids == NULL)
        return false;
    json_object_set_new(e->filter, "job", ids);
    return true;
}

static bool check_type(const char *word, struct err *err)
{
    static const char *const types[] = {
#define EVENT(name, text, help) text,
#include "proto/event.def"
#undef EVENT
    };
    struct buf all = {0};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(word, types[i]) == 0) {
            buf_release(&all);
            return true;
        }
        buf_printf(&all, " %s", types[i]);
    }
    err_set(err, EINVAL, "there is no type of event \"%s\"; there are%s", word, buf_cstr(&all));
    buf_release(&all);
    return false;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct events e = {.conn = {.fd = -1}, .follow = o->follow, .seq = o->follow ? -1 : 0};
    struct err err = {0};
    int64_t after;

    for (size_t i = 0; i < o->n_types; i++) {
        if (!check_type(o->types[i], &err))
            return cli_usage(c, "%s", err.text);
    }
    if (o->after_seq != NULL) {
        if (!text_whole(o->after_seq, 0, INT64_MAX, &after, &err))
            return cli_usage(c, "--after: %s", err.text);
        e.seq = after;
    }
    if (!conn_open(&e.conn, c, &err))
        return cli_fail(c, &err);
    c->no_start = true; /* one that is stopped meanwhile stays so */
    bool ok = make_filter(&e, o, argc, argv, &err) && pump(&e, &err);
    json_decref(e.filter);
    conn_close(&e.conn);
    return ok ? EXIT_OK : cli_fail(c, &err);
}

static const struct option events_options[] = {
    OPTION_FLAG("follow", 'f', follow, "what happens from now on, until Ctrl-C"),
    OPTION_TEXT("after", 0, after_seq, "SEQ", "begin behind this one; 0: with all that is kept"),
    OPTION_LIST("type", 't', types, n_types, "TYPE",
                "only job.created, job.state, task.state, output… (several: any of them)"),
    OPTION_TEXT("owner", 0, owner, "USER", "only of this user's jobs"),
    OPTIONS_END,
};
const struct command command_events = {
    .name = "events",
    .args = "[OPTION…] [ID…]",
    .summary = "what happened to jobs: JSON, one event a line",
    .options = events_options,
    .help =
        "Without -f what the daemon still keeps (the last 10,000 or so since it started). With -f\n"
        "it goes on when the daemon comes back, from where it was; a gap is told on stderr.",
    .examples = "coro events -f -t job.state | jq -r '\"\\(.job) \\(.state)\"'\n"
                "coro events -f --after 0 last\n",
    .run = run,
};
