/* log.read */
#include "daemon/rpc/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/run/outlog.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* Attempts and lines that are looked at for one reply. */
enum { READ_ATTEMPTS = 100, READ_LINES = 10000 };

const char *const log_stream_names[] = {
    [OUTLOG_STDOUT] = "stdout", [OUTLOG_STDERR] = "stderr", [OUTLOG_LOST] = "lost"};

unsigned log_mask(enum log_stream s)
{
    return s == LOG_STREAM_STDOUT   ? OUTLOG_MASK(OUTLOG_STDOUT)
           : s == LOG_STREAM_STDERR ? OUTLOG_MASK(OUTLOG_STDERR)
                                    : OUTLOG_MASK_ALL;
}

bool log_cursor_read(const json_t *v, struct log_cursor *ret)
{
    const char *s = json_string_value(v);
    char *end;
    *ret = (struct log_cursor){0};
    if (!s) {
        ret->position = (uint64_t)json_integer_value(v);
        return true;
    }
    if (*s < '0' || *s > '9')
        return false;
    errno = 0;
    ret->position = strtoull(s, &end, 10);
    if (*end == ':' && end[1] >= '0' && end[1] <= '9') {
        ret->attempt = ret->position;
        ret->position = strtoull(end + 1, &end, 10);
    }
    return !*end && !errno && ret->position < INT64_MAX && ret->attempt < INT64_MAX;
}

bool log_check_task(struct request *r, struct json_task task, uint64_t job)
{
    struct json_mistakes m = {0};
    if (!task.job || task.job == job)
        return true;
    json_mistakes_add(&m, "/task", NULL, "is no task of job %llu", (unsigned long long)job);
    request_mistakes(r, &m);
    return false;
}

bool log_may(struct request *r, const struct rows *job, uint64_t id)
{
    if (job->n && peer_may(&r->peer, (uint32_t)cell_int(job, 0, JOB_UID)))
        return true;
    request_error(r, ERR_NOT_FOUND, NULL, "there is no job %llu", (unsigned long long)id);
    return false;
}

struct log_read {
    uint64_t job, attempt;
    struct log_cursor cursor;
    enum log_stream stream;
    size_t limit;
    struct buf data;
    uint64_t dropped;
    bool eof;
};

static void log_read_free(void *state)
{
    struct log_read *l = state;
    buf_release(&l->data);
    free(l);
}

static void answer(struct request *r)
{
    struct log_read *l = r->state;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "data");
    bool text = jout_bytes(&o, l->data.data, l->data.len);
    jout_key(&o, "encoding");
    jout_text(&o, text ? "utf-8" : "base64");
    jout_key(&o, "next");
    if (l->stream == LOG_STREAM_OUTPUT)
        jout_printf(&o, "%llu", (unsigned long long)l->cursor.position);
    else
        jout_printf(&o, "%llu:%llu", (unsigned long long)l->cursor.attempt,
                    (unsigned long long)l->cursor.position);
    jout_key(&o, "eof");
    jout_bool(&o, l->eof);
    if (l->dropped) {
        jout_key(&o, "dropped");
        jout_uint(&o, l->dropped);
    }
    jout_end_object(&o);
    request_result(r, &b);
}

static void on_lines(struct request *r, const struct rows *sets, size_t n)
{
    struct log_read *l = r->state;
    const struct rows *job = &sets[0], *lines = &sets[1];
    (void)n;
    if (!log_may(r, job, l->job))
        return;
    size_t bytes = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct cell *text = cell_at(lines, i, 3);
        bytes += text->s.len;
        l->cursor.position = (uint64_t)cell_int(lines, i, 0);
        if (cell_int(lines, i, 1) != 0)
            continue;
        buf_add(&l->data, text->s.p, text->s.len);
        buf_addch(&l->data, '\n');
    }
    /* The query stops at so many lines or bytes. */
    l->eof = lines->n < READ_LINES && bytes < l->limit && !job_row_is_live(job, 0);
    answer(r);
}

/* Takes framed bytes, whole chunks; returns how many were taken. */
static size_t take_chunks(struct log_read *l, const char *framed, size_t len)
{
    uint64_t lost = 0;
    size_t taken = outlog_extract(framed, len, log_mask(l->stream), &l->data, &lost);
    l->dropped += lost;
    return taken;
}

/* Takes from one attempt; true when it is at its end. */
static bool take_attempt(struct request *r, struct log_read *l, const struct rows *a, size_t row,
                         struct err *err)
{
    uint64_t number = l->cursor.attempt;
    const struct cell *output = cell_at(a, row, LOG_OUTPUT);
    bool ended = cell_int(a, row, LOG_ENDED) != 0;
    if (ended && !cell_int(a, row, LOG_IN_FILE)) {
        size_t len = output->type == CELL_BLOB ? output->s.len : 0;
        size_t from = l->cursor.position < len ? (size_t)l->cursor.position : len;
        l->cursor.position = from + take_chunks(l, output->s.p + from, len - from);
        return l->cursor.position == len;
    }
    if (!ended)
        engine_flush_output(r->server->engine, number); /* for who asks again */
    struct outlog_range range = {0};
    struct buf framed = {0};
    size_t limit = l->limit > l->data.len ? l->limit - l->data.len : 1;
    if (!outlog_read(engine_log_dir(r->server->engine), number, l->cursor.position, limit, &framed,
                     &range, err)) {
        buf_release(&framed);
        return false;
    }
    take_chunks(l, framed.data, framed.len);
    l->dropped += range.dropped_bytes;
    l->cursor.position = range.next;
    bool end = framed.len == 0 && ended;
    buf_release(&framed);
    return end;
}

/* Takes from one attempt until there is enough, or nothing more, or it was long enough. */
static bool take_to_end(struct request *r, struct log_read *l, const struct rows *a, size_t row,
                        struct err *err)
{
    for (int pieces = 0; pieces < 64; pieces++) {
        uint64_t before = l->cursor.position;
        if (take_attempt(r, l, a, row, err))
            return true;
        if (err->code || l->data.len >= l->limit || l->cursor.position == before)
            break;
    }
    return false;
}

static void on_attempts(struct request *r, const struct rows *sets, size_t n)
{
    struct log_read *l = r->state;
    const struct rows *job = &sets[0], *attempts = &sets[1];
    struct err err = {0};
    bool at_end = true;
    (void)n;
    if (!log_may(r, job, l->job))
        return;
    for (size_t i = 0; i < attempts->n; i++) {
        uint64_t number = (uint64_t)cell_int(attempts, i, LOG_NUMBER);
        if (number != l->cursor.attempt)
            l->cursor = (struct log_cursor){number, 0};
        at_end = take_to_end(r, l, attempts, i, &err);
        if (err.code) {
            request_error(r, ERR_STORAGE, NULL, "the log of attempt %llu cannot be read: %s",
                          (unsigned long long)number, err.text);
            return;
        }
        if (!at_end)
            break;
        l->cursor = (struct log_cursor){number + 1, 0};
        if (l->data.len >= l->limit) {
            at_end = i + 1 == attempts->n;
            break;
        }
    }
    bool no_more = !job_row_is_live(job, 0) || (l->attempt && attempts->n);
    l->eof = at_end && attempts->n < READ_ATTEMPTS && no_more;
    answer(r);
}

void method_log_read(struct request *r, const struct log_read_params *p)
{
    struct log_cursor cursor;
    struct batch q = {0};
    if (!log_cursor_read(p->offset, &cursor)) {
        request_error(r, ERR_EXPIRED, NULL, "the offset is none that log.read gave");
        return;
    }
    if (!log_check_task(r, p->task, p->id))
        return;
    struct log_read *l = xcalloc(1, sizeof *l);
    l->job = p->id;
    l->attempt = p->attempt;
    l->cursor = cursor;
    l->stream = (enum log_stream)p->stream;
    l->limit = (size_t)p->limit;
    r->state = l;
    r->state_free = log_read_free;
    batch_add(&q, ST_JOB_BRIEF);
    batch_int(&q, (int64_t)p->id);
    batch_add(&q, l->stream == LOG_STREAM_OUTPUT ? ST_JOB_OUTPUT : ST_LOG_ATTEMPTS);
    batch_int(&q, (int64_t)p->id);
    if (l->stream == LOG_STREAM_OUTPUT) {
        batch_int(&q, (int64_t)cursor.position);
        batch_int(&q, READ_LINES);
        batch_int(&q, p->limit);
    } else {
        batch_int(&q, (int64_t)cursor.attempt - 1);
        batch_int(&q, p->task.number);
        batch_int(&q, (int64_t)p->attempt);
        batch_int(&q, READ_ATTEMPTS);
    }
    request_read(r, &q, l->stream == LOG_STREAM_OUTPUT ? on_lines : on_attempts);
    batch_release(&q);
}
