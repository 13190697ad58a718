/*
 * Attempts that are HTTP requests. They are recorded, committed and sent as commands are, but this
 * process makes them: what is in flight when it ends is lost. A request that never left is told as
 * such, so that it is wanted again in any case.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "daemon/lang/utf8.h"
#include "proto/mem.h"
#include "proto/outlog.h"
#include <config.h>

enum {
    STOP_PATIENCE_US = 5000000, /* for requests in flight when the daemon stops */
    OWN_HEADERS = 3,            /* User-Agent, Idempotency-Key, NULL */
};

/* Making a request. */

static void put_uuid(struct buf *b, const unsigned char u[16])
{
    for (size_t i = 0; i < 16; i++)
        buf_printf(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
}

/* The same for what is sent again because its answer was lost; another for each further attempt of
 * the program. */
static char *idempotency_key(const struct live *job, const struct leaf *leaf)
{
    struct buf b = {0};
    buf_addstr(&b, "Idempotency-Key: ");
    put_uuid(&b, job->uuid);
    buf_printf(&b, ".%u.%llu", leaf->task, (unsigned long long)leaf->first_attempt);
    return buf_steal(&b);
}

static bool has_header(const struct value *headers, const char *name)
{
    for (size_t i = 0; i < value_count(headers); i++)
        if (strcasecmp(value_get_string(value_member(headers, i)->key, NULL), name) == 0)
            return true;
    return false;
}

/* Those of the document (null: none of that name), and ours unless it says otherwise. */
static char **make_headers(const struct live *job, const struct leaf *leaf)
{
    const struct value *headers = value_find(leaf->spec.request, "headers");
    char **all = xcalloc(value_count(headers) + OWN_HEADERS, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < value_count(headers); i++) {
        const struct value_member *m = value_member(headers, i);
        struct buf line = {0};
        if (value_type(m->value) == VALUE_NULL)
            continue;
        buf_printf(&line, "%s: ", value_get_string(m->key, NULL));
        value_write_text(&line, m->value);
        all[n++] = buf_steal(&line);
    }
    if (!has_header(headers, "User-Agent"))
        all[n++] = xstrdup("User-Agent: corod/" PACKAGE_VERSION);
    if (!has_header(headers, "Idempotency-Key"))
        all[n++] = idempotency_key(job, leaf);
    return all;
}

static void free_headers(char **headers)
{
    for (size_t i = 0; headers[i]; i++)
        free(headers[i]);
    free(headers);
}

static void take_options(struct engine *e)
{
    const struct config *c = e->config;
    e->http_options = (struct http_options){
        .ca_file = c->http_ca_file,
        .allow = c->http_allow,
        .deny = c->http_deny,
        .connect_timeout_ms = c->http_connect_timeout_ms,
        .max_body_bytes = c->http_max_body_bytes,
    };
}

static bool start(struct engine *e, struct attempt *a, const struct live *job, struct err *err)
{
    const struct value *request = a->leaf->spec.request, *body = value_find(request, "body");
    struct buf bytes = {0};
    if (body)
        value_to_bytes(body, &bytes);
    char **headers = make_headers(job, a->leaf);
    const struct http_request r = {
        .number = a->number,
        .method = value_get_string(value_find(request, "method"), NULL),
        .url = value_get_string(value_find(request, "url"), NULL),
        .headers = (const char *const *)headers,
        .body = body ? buf_cstr(&bytes) : NULL,
        .body_len = bytes.len,
        .max_redirects = (unsigned)value_get_int(value_find(request, "redirects")),
        .once = !a->leaf->spec.retry_lost,
    };
    take_options(e);
    bool ok = http_start(e->http, &r, err);
    free_headers(headers);
    buf_release(&bytes);
    return ok;
}

/* Ends. */

/* Nobody has an answer: it was lost, or why there is none. */
static void end_without(struct engine *e, struct attempt *a, enum exec_outcome outcome,
                        const char *why, bool unsent)
{
    const struct exec_end end = {
        .number = a->number,
        .outcome = outcome,
        .never_ran = unsent,
        .text = why,
    };
    const struct leaf_outcome answer = {
        .how = outcome == EXEC_LOST ? LEAF_LOST : LEAF_NOT_STARTED,
        .text = why,
        .unsent = unsent,
    };
    attempt_finish(e, a, &end, &answer);
}

void http_attempt_send(struct engine *e, struct attempt *a)
{
    struct live *job = engine_job(e, a->job);
    struct err err;
    if (a->stop || !a->leaf || !job)
        end_without(e, a, EXEC_NOT_STARTED, "cancelled before it was sent", true);
    else if (e->stopping)
        end_without(e, a, EXEC_LOST, "the daemon was stopped before it was sent", true);
    else if (!start(e, a, job, &err))
        end_without(e, a, EXEC_NOT_STARTED, err.text, true);
    else {
        a->state = ATTEMPT_SENT;
        engine_emit(e, EVENT_ATTEMPT_STARTED, job, a->task, 0, a->number, NULL, 0);
    }
}

void http_attempt_stop(struct engine *e, struct attempt *a)
{
    if (a->state != ATTEMPT_SENT)
        return;
    http_stop(e->http, a->number);
    end_without(e, a, EXEC_NOT_STARTED, "cancelled", false);
}

void http_attempts_recover(struct engine *e)
{
    struct attempt *next;
    for (struct attempt *a = e->first_attempt; a; a = next) {
        next = a->next;
        if (a->http)
            end_without(e, a, EXEC_LOST, "the daemon ended before the answer came", false);
    }
}

/* A header's bytes as text: UTF-8 if they are, else ISO 8859-1 (RFC 9110, 5.5). */
static struct value *header_text(const char *p, size_t len)
{
    if (utf8_length(p, len) == len)
        return value_string(p, len);
    struct buf b = {0};
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c >= 0x80)
            buf_addch(&b, (char)(0xc0 | c >> 6));
        buf_addch(&b, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
    }
    struct value *v = value_string(b.data, b.len);
    buf_release(&b);
    return v;
}

/* Adds to the one of the same name, or at the end. */
static size_t add_header(struct value_member *all, size_t n, struct value *key, struct value *value)
{
    size_t i = 0;
    while (i < n && !value_equal(all[i].key, key))
        i++;
    if (i == n) {
        all[n] = (struct value_member){key, value};
        return n + 1;
    }
    struct buf both = {0};
    value_write_text(&both, all[i].value);
    buf_addstr(&both, ", ");
    value_write_text(&both, value);
    value_unref(key);
    value_unref(value);
    value_unref(all[i].value);
    all[i].value = value_string(both.data, both.len);
    buf_release(&both);
    return n;
}

/* There are at most a thousand (run/http_transfer.c). */
static struct value *headers_of(const struct http_answer *a)
{
    size_t lines = 0, n = 0;
    for (size_t i = 0; i < a->headers_len; i++)
        lines += a->headers[i] == '\n';
    cleanup_free struct value_member *all = xcalloc(lines + 1, sizeof *all);
    for (const char *p = a->headers, *end = p + a->headers_len; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        const char *colon = memmem(p, (size_t)(line_end - p), ": ", 2);
        struct value *key = header_text(p, (size_t)(colon - p));
        n = add_header(all, n, key, header_text(colon + 2, (size_t)(line_end - colon - 2)));
        p = line_end + 1;
    }
    struct value *v = value_object(all, n);
    return v ? v : value_object(NULL, 0);
}

/* What `coro log` shows: one line. */
static void put_log(struct buf *log, const struct attempt *a, const struct http_answer *answer)
{
    struct buf line = {0};
    if (a->leaf)
        leaf_spec_text(&a->leaf->spec, 2000, &line);
    if (answer->error)
        buf_printf(&line, " → %s", answer->error);
    else
        buf_printf(&line, " → %d, %llu bytes, %.3f s", answer->status,
                   (unsigned long long)answer->body_bytes, (double)answer->duration_us / 1e6);
    buf_addch(&line, '\n');
    outlog_put(log, OUTLOG_STDERR, line.data, line.len);
    buf_release(&line);
}

static void on_answer(void *arg, uint64_t number, const struct http_answer *answer)
{
    struct engine *e = arg;
    struct attempt *a = map_get(&e->attempts, number);
    if (!a)
        return;
    struct buf log = {0}, body = {0};
    cleanup_value struct value *headers = headers_of(answer);
    bool truncated = answer->body_bytes > answer->body_len;
    put_log(&log, a, answer);
    buf_add(&body, answer->body, answer->body_len);
    if (truncated)
        output_trim_character(&body);
    const struct exec_end end = {
        .number = number,
        .outcome = answer->error ? EXEC_NOT_STARTED : EXEC_EXITED,
        .status = answer->status,
        .text = answer->error,
        .duration_us = answer->duration_us,
        .output = log.data,
        .output_len = log.len,
        .log_bytes = log.len,
    };
    const struct leaf_outcome outcome = {
        .how = answer->error ? LEAF_NOT_STARTED : LEAF_ANSWERED,
        .status = answer->status,
        .text = answer->error,
        .headers = headers,
        .out = body.data,
        .out_len = body.len,
        .truncated = truncated,
        .duration_s = (double)answer->duration_us / 1e6,
    };
    attempt_finish(e, a, &end, &outcome);
    buf_release(&log);
    buf_release(&body);
}

/* The engine's start and stop. */

void http_attempts_init(struct engine *e)
{
    struct err err;
    pools_set(e->pools, POOL_OF_REQUESTS, REQUEST_SLOTS, &err);
    take_options(e);
    e->http = http_client_new(e->loop, &e->http_options, on_answer, e);
}

void http_attempts_free(struct engine *e)
{
    http_client_free(e->http);
    alarm_free(e->patience);
}

static void on_patience_over(void *arg)
{
    struct engine *e = arg;
    void (*on_quiet)(void *) = steal(&e->on_quiet);
    if (on_quiet)
        on_quiet(e->quiet_arg);
}

void http_attempts_look(struct engine *e)
{
    if (e->on_quiet && !http_in_flight(e->http))
        on_patience_over(e);
}

void engine_wind_down(struct engine *e, void (*on_quiet)(void *arg), void *arg)
{
    e->stopping = true;
    e->on_quiet = on_quiet;
    e->quiet_arg = arg;
    e->patience = alarm_new(e->loop, on_patience_over, e);
    alarm_start(e->patience, STOP_PATIENCE_US);
    http_attempts_look(e);
}
