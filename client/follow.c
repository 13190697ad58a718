#include "client/follow.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/get.h"
#include "client/interrupt.h"
#include "client/leave.h"
#include "client/live.h"
#include "client/log_read.h"
#include "client/text.h"
#include "client/words.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define PATIENCE_S 120

struct state {
    struct follow *f;
    /* "task attempt" → bytes shown so far, and → bytes that each subscription has brought, with
     * those not kept: a new one begins at the start, what was shown is skipped. */
    json_t *shown, *arrived[2];
    uint64_t follow_ids[2], wait_id;
    const char *subscribed[2]; /* streams of follow_ids; NULL: none */
    bool open[2];
    json_t *subscriptions[2];
    bool said_gone;
    struct leave leave;
    /* f->live: a line for each command, by its number. */
    struct live live;
    uint64_t events_id;
    json_t *events; /* the subscription */
    int inside;     /* the descriptor that was left in the middle of a line; 0: none */
};

static bool stdout_failed;

bool follow_stdout_failed(void)
{
    return stdout_failed;
}

void follow_write(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n >= 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            struct pollfd p = {fd, POLLOUT, 0};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            stdout_failed |= fd == STDOUT_FILENO;
            return;
        }
    }
}

static json_t *follow_params(const struct follow *f, const char *stream)
{
    json_t *params = json_pack("{s:I, s:s}", "id", f->job, "stream", stream);
    if (f->task > 0)
        json_object_set_new(params, "task", json_integer(f->task));
    return params;
}

static void subscribe_one(struct state *s, size_t i)
{
    json_decref(s->subscriptions[i]);
    s->subscriptions[i] = NULL;
    s->follow_ids[i] = 0;
    json_object_clear(s->arrived[i]);
    s->open[i] = s->subscribed[i] != NULL;
    if (s->open[i])
        s->follow_ids[i] =
            conn_send(s->f->conn, "log.follow", follow_params(s->f, s->subscribed[i]));
}

static void subscribe(struct state *s)
{
    struct follow *f = s->f;

    for (size_t i = 0; i < 2; i++)
        subscribe_one(s, i);
    json_decref(s->events);
    s->events = NULL;
    if (s->live.enabled) {
        s->events_id = conn_send(f->conn, "event.subscribe",
                                 json_pack("{s:{s:I, s:[s, s]}}", "filter", "job", f->job, "types",
                                           "attempt.started", "attempt.ended"));
        conn_send(f->conn, "job.attempts", json_pack("{s:I}", "id", f->job));
    }
    s->wait_id = 0;
    if (f->wait && f->ended == NULL)
        s->wait_id =
            conn_send(f->conn, "job.wait", json_pack("{s:[I], s:s}", "ids", f->job, "mode", "all"));
}

static json_int_t counter(const json_t *counts, const char *key)
{
    return json_integer_value(json_object_get(counts, key));
}

/* --json: one object a line. */
static void put_json(const struct state *s, const json_t *params, const char *data, size_t len,
                     json_int_t dropped)
{
    bool text = text_is_utf8(data, len);
    json_t *line = json_object();
    static const char *const copied[] = {"task", "attempt", "stream"};

    for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
        json_t *v = json_object_get(params, copied[i]);
        if (v != NULL)
            json_object_set(line, copied[i], v);
    }
    json_t *word = word_plain(data, len);
    json_object_set(line, "data", text ? word : json_object_get(word, "base64"));
    json_object_set_new(line, "encoding", json_string(text ? "utf-8" : "base64"));
    if (dropped > 0)
        json_object_set_new(line, "dropped", json_integer(dropped));
    json_decref(word);
    cleanup_free char *dumped = json_dumps(line, JSON_COMPACT);
    fprintf(s->f->conn->cli->out.file, "%s\n", dumped != NULL ? dumped : "{}");
    fflush(s->f->conn->cli->out.file);
    json_decref(line);
}

/* Some output is not kept; that is told in a line of its own. */
static void put_dropped(struct state *s, json_int_t dropped)
{
    if (s->inside)
        follow_write(s->inside, "\n", 1);
    s->inside = 0;
    log_note_dropped(s->f->conn->cli, dropped);
}

/* How many bytes before these are not kept, where a stream is that has brought `at` bytes. */
static json_int_t dropped_before(const json_t *params, json_int_t at)
{
    json_int_t n = get_int(params, "dropped");
    return n > 0 && n <= INT64_MAX / 2 - at ? n : 0;
}

/* Shows one chunk, but for what an earlier connection has shown. */
static void show(struct state *s, json_t *arrived, const json_t *params)
{
    struct buf data = {0};
    const json_t *v = json_object_get(params, "data");
    const char *stream = json_string_value(json_object_get(params, "stream"));
    const char *encoding = json_string_value(json_object_get(params, "encoding"));

    if (!json_is_string(v) || stream == NULL)
        return;
    word_decode(json_string_value(v), json_string_length(v), encoding, &data);
    cleanup_free char *task = json_dumps(json_object_get(params, "task"), JSON_ENCODE_ANY);
    cleanup_free char *key =
        xasprintf("%s %lld", task != NULL ? task : "", (long long)get_int(params, "attempt"));
    json_int_t had = counter(s->shown, key), at = counter(arrived, key);
    json_int_t begin = at + dropped_before(params, at), end = begin + (json_int_t)data.len;
    json_object_set_new(arrived, key, json_integer(end));
    if (end > had) {
        size_t skip = had > begin ? (size_t)(had - begin) : 0, n = data.len - skip;
        const char *p = buf_cstr(&data) + skip;
        json_int_t dropped = begin - (had > at ? had : at);
        int fd = strcmp(stream, "stderr") == 0 && !s->f->merge ? STDERR_FILENO : STDOUT_FILENO;
        json_object_set_new(s->shown, key, json_integer(end));
        live_clear(&s->live);
        if (s->f->conn->cli->json)
            put_json(s, params, p, n, dropped);
        else if (dropped > 0)
            put_dropped(s, dropped);
        if (n > 0)
            s->inside = p[n - 1] != '\n' ? fd : 0;
        if (n > 0 && !s->f->conn->cli->json)
            follow_write(fd, p, n);
    }
    buf_release(&data);
}

/* The lines below the output are there while the output is at the start of a line. */
static void draw(struct state *s)
{
    if (s->inside || s->live.n_rows == 0)
        live_clear(&s->live);
    else
        live_draw(&s->live, false);
}

static void on_command(struct state *s, const json_t *attempt)
{
    if (json_is_null(json_object_get(attempt, "finished")))
        live_begin(&s->live, (uint64_t)get_int(attempt, "number"), get_text(attempt, "command"));
}

static void on_event(struct state *s, const json_t *e)
{
    json_int_t number = get_int(e, "attempt");
    if (strcmp(get_text(e, "type"), "attempt.ended") == 0)
        live_end(&s->live, (uint64_t)number);
    else /* which command? */
        conn_send(s->f->conn, "job.attempts",
                  json_pack("{s:I, s:I, s:i}", "id", s->f->job, "after", number - 1, "limit", 1));
}

static void on_log(struct state *s, const json_t *params)
{
    const json_t *subscription = json_object_get(params, "subscription");

    if (s->events != NULL && json_equal(s->events, subscription)) {
        on_event(s, params);
        return;
    }

    for (size_t i = 0; i < 2; i++) {
        if (s->subscriptions[i] == NULL || !json_equal(s->subscriptions[i], subscription))
            continue;
        show(s, s->arrived[i], params);
        if (json_is_true(json_object_get(params, "eof")))
            s->open[i] = false;
        /* We were too slow for it. */
        if (json_is_true(json_object_get(params, "lost")))
            subscribe_one(s, i);
        return;
    }
}

static bool on_reply(struct state *s, json_t *message, struct err *err)
{
    uint64_t id = conn_message_id(message);
    struct err refused = {0};
    json_t *result = conn_result(s->f->conn, message, &refused);

    if (id == s->leave.cancel_id && id != 0)
        return true; /* it has ended by itself: job.wait tells */
    if (id == s->events_id)
        s->events = json_incref(json_object_get(result, "subscription"));
    if (json_is_array(json_object_get(result, "attempts"))) {
        size_t i;
        const json_t *attempt;
        json_array_foreach (json_object_get(result, "attempts"), i, attempt)
            on_command(s, attempt);
        return true;
    }
    if (result == NULL) {
        *err = refused;
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (id == s->follow_ids[i])
            s->subscriptions[i] = json_incref(json_object_get(result, "subscription"));
    }
    if (id == s->wait_id)
        s->f->ended = json_incref(json_array_get(json_object_get(result, "jobs"), 0));
    if (id == s->wait_id && s->f->ended == NULL)
        return err_set(err, ERR_INTERNAL, "the daemon's reply to job.wait has no job");
    return true;
}

/* The daemon is gone: waits for it and goes on. */
static bool come_back(struct state *s, struct err *err)
{
    struct follow *f = s->f;

    live_clear(&s->live);
    if (!s->said_gone)
        cli_problem(f->conn->cli, "the daemon went away; job %lld goes on, waiting for the daemon",
                    (long long)f->job);
    s->said_gone = true;
    if (!conn_reopen(f->conn, PATIENCE_S, err))
        return false;
    s->leave.cancel_id = 0;
    subscribe(s);
    return true;
}

static bool over(const struct state *s)
{
    return !s->open[0] && !s->open[1] && (s->f->ended != NULL || !s->f->wait);
}

static int pump(struct state *s, struct err *err)
{
    struct follow *f = s->f;

    while (!over(s)) {
        json_t *message = NULL;
        int timeout_ms = leave_timeout_ms(&s->leave, live_timeout_ms(&s->live));
        switch (conn_next(f->conn, timeout_ms, &message, err)) {
        case CONN_TIMEOUT:
            if (leave_is_due(&s->leave))
                return EXIT_INTERRUPT;
            break;
        case CONN_GONE:
            if (s->leave.leaving)
                return EXIT_INTERRUPT;
            if (!come_back(s, err))
                return EXIT_COROD;
            break;
        case CONN_INTERRUPTED:
            live_clear(&s->live);
            if (!f->detach || leave_interrupted(&s->leave, f->conn, f->job))
                return EXIT_INTERRUPT;
            break;
        case CONN_MESSAGE:
            if (conn_message_id(message) == 0)
                on_log(s, json_object_get(message, "params"));
            else if (!on_reply(s, message, err)) {
                json_decref(message);
                return EXIT_COROD;
            }
            json_decref(message);
            break;
        }
        draw(s);
    }
    return EXIT_OK;
}

int follow_run(struct follow *f, struct err *err)
{
    struct state s = {.f = f, .shown = json_object()};

    s.subscribed[0] = f->streams;
    s.subscribed[1] = f->prints ? "output" : NULL;
    if (f->detach)
        interrupt_catch();
    for (size_t i = 0; i < 2; i++)
        s.arrived[i] = json_object();
    if (f->live)
        live_init(&s.live, f->conn->cli, 0);
    subscribe(&s);
    int status = pump(&s, err);
    live_release(&s.live);
    json_decref(s.events);
    json_decref(s.shown);
    for (size_t i = 0; i < 2; i++) {
        json_decref(s.arrived[i]);
        json_decref(s.subscriptions[i]);
    }
    return status;
}
