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

/* What is looked at for one reply: attempts, lines, and output, of which another stream's is left
 * out. */
enum { READ_ATTEMPTS = 100, READ_LINES = 10000, READ_BYTES = 4 * 1024 * 1024 };

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

void log_put_data(struct json_out *o, const struct buf *data, uint64_t dropped)
{
    jout_key(o, "data");
    bool text = jout_bytes(o, data->data, data->len);
    jout_key(o, "encoding");
    jout_text(o, text ? "utf-8" : "base64");
    if (dropped) {
        jout_key(o, "dropped");
        jout_uint(o, dropped);
    }
}

struct log_read {
    uint64_t job, attempt;
    uint32_t task;
    struct log_cursor cursor;
    enum log_stream stream;
    size_t limit;
    struct buf data;
    uint64_t dropped;
    size_t looked_at;
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
    log_put_data(&o, &l->data, l->dropped);
    jout_key(&o, "next");
    if (l->stream == LOG_STREAM_OUTPUT)
        jout_printf(&o, "%llu", (unsigned long long)l->cursor.position);
    else
        jout_printf(&o, "%llu:%llu", (unsigned long long)l->cursor.attempt,
                    (unsigned long long)l->cursor.position);
    jout_key(&o, "eof");
    jout_bool(&o, l->eof);
    jout_end_object(&o);
    request_result(r, &b);
}

static void on_lines(struct request *r, const struct rows *sets, size_t n)
{
    struct log_read *l = r->state;
    const struct rows *job = &sets[0], *lines = &sets[1];
    (void)n;
    if (!request_may(r, job, l->job))
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
    l->looked_at += len;
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
        if (len == 0)
            return true;
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

static bool is_enough(const struct log_read *l)
{
    return l->data.len >= l->limit || l->looked_at >= READ_BYTES;
}

/* Takes from one attempt until that is enough, or there is nothing more; true at its end. */
static bool take_to_end(struct request *r, struct log_read *l, const struct rows *a, size_t row,
                        struct err *err)
{
    while (!is_enough(l)) {
        uint64_t before = l->cursor.position;
        if (take_attempt(r, l, a, row, err))
            return true;
        if (err->code || l->cursor.position == before)
            break;
    }
    return false;
}

static void read_log(struct request *r);

static void on_attempts(struct request *r, const struct rows *sets, size_t n)
{
    struct log_read *l = r->state;
    const struct rows *job = &sets[0], *attempts = &sets[1];
    struct err err = {0};
    bool at_end = true;
    (void)n;
    if (!request_may(r, job, l->job))
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
        if (is_enough(l)) {
            at_end = i + 1 == attempts->n;
            break;
        }
    }
    bool no_more = !job_row_is_live(job, 0) || (l->attempt && attempts->n);
    l->eof = at_end && attempts->n < READ_ATTEMPTS && no_more;
    if (l->data.len == 0 && l->looked_at >= READ_BYTES) {
        l->looked_at = 0;
        read_log(r); /* others have their turn meanwhile */
    } else {
        answer(r);
    }
}

static void read_log(struct request *r)
{
    const struct log_read *l = r->state;
    bool lines = l->stream == LOG_STREAM_OUTPUT;
    struct batch q = {0};
    batch_add(&q, ST_JOB_BRIEF);
    batch_int(&q, (int64_t)l->job);
    batch_add(&q, lines ? ST_JOB_OUTPUT : ST_LOG_ATTEMPTS);
    batch_int(&q, (int64_t)l->job);
    if (lines) {
        batch_int(&q, (int64_t)l->cursor.position);
        batch_int(&q, READ_LINES);
        batch_int(&q, (int64_t)l->limit);
    } else {
        batch_int(&q, (int64_t)l->cursor.attempt - 1);
        batch_int(&q, l->task);
        batch_int(&q, (int64_t)l->attempt);
        batch_int(&q, READ_ATTEMPTS);
    }
    request_read(r, &q, lines ? on_lines : on_attempts);
    batch_release(&q);
}

void method_log_read(struct request *r, const struct log_read_params *p)
{
    struct log_cursor cursor;
    if (!log_cursor_read(p->offset, &cursor)) {
        request_error(r, ERR_EXPIRED, NULL, "the offset is none that log.read gave");
        return;
    }
    if (!log_check_task(r, p->task, p->id))
        return;
    struct log_read *l = xcalloc(1, sizeof *l);
    l->job = p->id;
    l->attempt = p->attempt;
    l->task = p->task.number;
    l->cursor = cursor;
    l->stream = (enum log_stream)p->stream;
    l->limit = (size_t)p->limit;
    r->state = l;
    r->state_free = log_read_free;
    read_log(r);
}
