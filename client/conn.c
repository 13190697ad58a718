#include "client/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "client/interrupt.h"
#include "client/start.h"
#include "proto/errors.h"
#include "proto/mem.h"

#define MESSAGE_MAX_BYTES (512u * 1024 * 1024)
#define ASK_AGAIN_S       5  /* how long conn_ask() looks for the next daemon */
#define SHORT_LIVED_S     2  /* a connection that did not last so long … */
#define SHORT_LIVED_MAX   12 /* … so many times in a row */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void pause_s(double s)
{
    struct timespec t = {(time_t)s, (long)((s - (double)(time_t)s) * 1e9)};
    nanosleep(&t, NULL);
}

static bool begin(struct conn *c, struct cli *cli, int fd)
{
    if (fd < 0)
        return false;
    *c = (struct conn){.cli = cli, .fd = fd, .is_open = true, .opened_s = now_s()};
    frame_reader_init(&c->in, MESSAGE_MAX_BYTES);
    return true;
}

bool conn_open(struct conn *c, struct cli *cli, struct err *err)
{
    return begin(c, cli, start_connect(cli, err));
}

bool conn_probe(struct conn *c, struct cli *cli, struct err *err)
{
    return begin(c, cli, start_probe(cli, err));
}

void conn_close(struct conn *c)
{
    if (!c->is_open)
        return;
    c->fd = close_fd(c->fd);
    frame_reader_release(&c->in);
    buf_release(&c->out);
    while (c->first_kept < c->n_kept)
        json_decref(c->kept[c->first_kept++]);
    free(c->kept);
    json_decref(c->mistakes);
    c->kept = NULL;
    c->mistakes = NULL;
    c->first_kept = c->n_kept = c->cap_kept = c->kept_replies = 0;
    c->is_open = false;
}

bool conn_reopen(struct conn *c, double patience_s, struct err *err)
{
    struct cli *cli = c->cli;
    double began = now_s();
    /* A daemon that ends again and again, say because of this very job, is not started for ever. */
    unsigned short_lived = began - c->opened_s < SHORT_LIVED_S ? c->short_lived + 1 : 0;

    conn_close(c);
    for (unsigned n = short_lived;; n++) {
        struct err last;
        if (n > 0)
            pause_s(n < 10 ? 0.1 * n : 1);
        if (short_lived > SHORT_LIVED_MAX)
            return err_set(err, ECONNRESET, "the daemon ends again and again, see its log");
        if (conn_open(c, cli, &last)) {
            c->short_lived = short_lived;
            return true;
        }
        if (now_s() - began >= patience_s || interrupt_count() > 1) {
            if (err != NULL)
                *err = last;
            return false;
        }
    }
}

uint64_t conn_send_text(struct conn *c, const char *method, const char *params)
{
    uint64_t id = ++c->last_id;
    buf_printf(&c->out, "{\"jsonrpc\":\"2.0\",\"id\":%llu,\"method\":\"%s\"",
               (unsigned long long)id, method);
    if (params != NULL) {
        buf_addstr(&c->out, ",\"params\":");
        buf_addstr(&c->out, params);
    }
    buf_addstr(&c->out, "}\n");
    return id;
}

uint64_t conn_send(struct conn *c, const char *method, json_t *params)
{
    cleanup_free char *text = NULL;
    if (params != NULL) {
        text = json_dumps(params, JSON_COMPACT);
        json_decref(params);
        if (text == NULL)
            text = xstrdup("{}");
    }
    return conn_send_text(c, method, text);
}

static enum conn_got gone(struct conn *c, struct err *err, const char *why)
{
    c->fd = close_fd(c->fd);
    err_set(err, ECONNRESET, "the daemon went away: %s", why);
    return CONN_GONE;
}

/* Takes the first whole message; NULL: none yet. *bad: it is no JSON. */
static json_t *take_message(struct conn *c, bool *bad)
{
    const char *text;
    size_t len;

    switch (frame_next(&c->in, false, &text, &len)) {
    case FRAME_MORE:
        return NULL;
    case FRAME_MESSAGE:
        break;
    default:
        *bad = true;
        return NULL;
    }
    json_t *message = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    *bad = !json_is_object(message);
    return message;
}

static bool would_block(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Writes and reads what is possible now; false: gone, *why says it. */
static bool transfer(struct conn *c, short events, const char **why)
{
    if (events & POLLOUT) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            buf_consume(&c->out, (size_t)n);
        else if (!would_block(n)) {
            /* What it said before it closed is still to be read. */
            buf_clear(&c->out);
        }
    }
    if (events & (POLLIN | POLLHUP | POLLERR)) {
        size_t room = 64 * 1024;
        ssize_t n = recv(c->fd, frame_reader_space(&c->in, room), room, MSG_DONTWAIT);
        if (n > 0)
            frame_reader_got(&c->in, (size_t)n);
        else if (!would_block(n)) {
            *why = n == 0 ? "it closed the connection" : strerror(errno);
            return false;
        }
    }
    return true;
}

/* Sends what is queued and waits for a message on the connection. */
static enum conn_got receive(struct conn *c, double until, int timeout_ms, json_t **ret,
                             struct err *err)
{
    if (c->fd < 0)
        return gone(c, err, "it is closed");
    for (;;) {
        bool bad = false;
        json_t *message = take_message(c, &bad);
        if (bad) {
            json_decref(message);
            return gone(c, err, "what it sent is no message");
        }
        if (message != NULL) {
            *ret = message;
            return CONN_MESSAGE;
        }
        struct pollfd p = {c->fd, (short)(POLLIN | (c->out.len > 0 ? POLLOUT : 0)), 0};
        int left_ms = timeout_ms < 0 ? -1 : (int)((until - now_s()) * 1e3 + 0.999);
        if (timeout_ms >= 0 && left_ms < 0)
            left_ms = 0;
        /* Sent at once: the first turn of the loop needs no poll. */
        const char *why = NULL;
        if (c->out.len > 0 && !transfer(c, POLLOUT, &why))
            return gone(c, err, why);
        if (c->out.len == 0)
            p.events = POLLIN;
        int n = interrupt_poll(&p, 1, left_ms);
        if (n < 0 && errno == EINTR)
            return CONN_INTERRUPTED;
        if (n == 0 && timeout_ms >= 0)
            return CONN_TIMEOUT;
        if (n > 0 && !transfer(c, p.revents, &why))
            return gone(c, err, why);
    }
}

enum conn_got conn_next(struct conn *c, int timeout_ms, json_t **ret, struct err *err)
{
    double until = now_s() + timeout_ms / 1e3;

    if (c->first_kept < c->n_kept) {
        *ret = c->kept[c->first_kept++];
        c->kept_replies -= conn_message_id(*ret) != 0;
        return CONN_MESSAGE;
    }
    return receive(c, until, timeout_ms, ret, err);
}

uint64_t conn_message_id(const json_t *message)
{
    const json_t *id = json_object_get(message, "id");
    return json_is_integer(id) ? (uint64_t)json_integer_value(id) : 0;
}

bool conn_is_gone(const struct err *err)
{
    return err->code > 0;
}

json_t *conn_result(struct conn *c, json_t *message, struct err *err)
{
    json_t *result = json_object_get(message, "result");
    json_t *error = json_object_get(message, "error");

    if (result != NULL && error == NULL)
        return result;
    const char *text = json_string_value(json_object_get(error, "message"));
    json_t *data = json_object_get(error, "data");
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    json_decref(c->mistakes);
    c->mistakes = json_incref(data);
    if (code >= 0 || code < -40000)
        code = ERR_INTERNAL;
    err_set(err, (int)code, "%s", text != NULL ? text : "the daemon's reply is no reply");
    return NULL;
}

static void keep(struct conn *c, json_t *message)
{
    if (c->first_kept == c->n_kept)
        c->first_kept = c->n_kept = 0;
    c->kept = xgrow(c->kept, &c->cap_kept, c->n_kept + 1, sizeof(*c->kept));
    c->kept[c->n_kept++] = message;
    c->kept_replies += conn_message_id(message) != 0;
}

/* The reply to `id` among the messages that came early; NULL: not there. */
static json_t *take_kept(struct conn *c, uint64_t id)
{
    for (size_t i = c->first_kept; c->kept_replies > 0 && i < c->n_kept; i++) {
        json_t *message = c->kept[i];
        if (conn_message_id(message) != id)
            continue;
        c->n_kept--;
        memmove(&c->kept[i], &c->kept[i + 1], (c->n_kept - i) * sizeof(*c->kept));
        c->kept_replies--;
        return message;
    }
    return NULL;
}

json_t *conn_reply(struct conn *c, uint64_t id, struct err *err)
{
    json_t *message = take_kept(c, id), *result = NULL;

    while (message == NULL) {
        json_t *next = NULL;
        enum conn_got got = receive(c, 0, -1, &next, err);
        if (got == CONN_INTERRUPTED && interrupt_count() < 2)
            continue;
        if (got == CONN_INTERRUPTED)
            err_set(err, EINTR, "interrupted");
        if (got != CONN_MESSAGE)
            return NULL;
        /* A request that could not be read at all is answered without an id. */
        bool ours = conn_message_id(next) == id || (json_is_null(json_object_get(next, "id")) &&
                                                    json_object_get(next, "error") != NULL);
        if (ours)
            message = next;
        else
            keep(c, next);
    }
    result = json_incref(conn_result(c, message, err));
    json_decref(message);
    return result;
}

json_t *conn_call(struct conn *c, const char *method, json_t *params, struct err *err)
{
    return conn_reply(c, conn_send(c, method, params), err);
}

json_t *conn_ask(struct conn *c, const char *method, json_t *params, struct err *err)
{
    json_t *result = conn_call(c, method, json_incref(params), err);
    if (result == NULL && err->code == ECONNRESET && conn_reopen(c, ASK_AGAIN_S, err))
        result = conn_call(c, method, json_incref(params), err);
    json_decref(params);
    return result;
}
