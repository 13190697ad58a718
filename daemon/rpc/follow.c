/*
 * log.follow: every attempt of a job is sent as its output comes, side by side. What is on disk
 * already is sent no faster than the peer reads, so a follower is never too slow.
 *
 * Whatever happens to the job only raises a flag; step() looks at the flags and does the next
 * thing, one read of the store at a time.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/log.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/subscription.h"
#include "daemon/run/outlog.h"
#include "proto/errors.h"
#include "proto/log.h"
#include "proto/mem.h"

enum {
    SCAN_ATTEMPTS = 100,
    SCAN_LINES = 1000,
    PIECE_BYTES = 64 * 1024,  /* of data in a notification, about */
    AHEAD_BYTES = 512 * 1024, /* unsent: beyond it nothing more is read */
};

/* An attempt whose output goes through a file and is not all sent. */
struct piece {
    LIST_ENTRY(piece) link;
    uint64_t number, position;
    uint32_t task;
    bool grown, ended;
};

struct follow {
    struct subscription *subscription;
    struct server *server;
    uint64_t job;
    uint32_t task; /* 0: any */
    enum log_stream stream;
    struct alarm *alarm;
    struct log_cursor from;
    uint64_t scanned; /* attempts, or lines, up to this number are known */
    LIST_HEAD(piece_list, piece) pieces;
    struct follow_read *reading; /* the read of the store that is under way */
    bool scan;                   /* there may be attempts or lines behind `scanned` */
    bool held_back;
    bool more;  /* there is more to read in files, at once */
    bool check; /* attempts may have ended */
    bool over;  /* the job or the task has ended: nothing new begins */
};

/* The store's callback outlives a subscription that is cancelled meanwhile. */
struct follow_read {
    struct follow *follow; /* NULL: gone */
    LIST_ENTRY(follow_read) link;
};

static void step(struct follow *f);

static void free_reading(struct follow_read *reading)
{
    LIST_REMOVE(reading, link);
    free(reading);
}

void follows_end(struct server *s)
{
    while (!LIST_EMPTY(&s->follow_reads))
        free_reading(LIST_FIRST(&s->follow_reads));
}

static void on_alarm(void *arg)
{
    step(arg);
}

static void step_soon(struct follow *f)
{
    alarm_start(f->alarm, 0);
}

static void piece_free(struct follow *f, struct piece *p)
{
    outlog_follower_remove(f->server->follower, p->number);
    LIST_REMOVE(p, link);
    free(p);
}

void follow_free(struct follow *f)
{
    struct piece *p;
    if (!f)
        return;
    while ((p = LIST_FIRST(&f->pieces)))
        piece_free(f, p);
    if (f->reading)
        f->reading->follow = NULL;
    alarm_free(f->alarm);
    free(f);
}

/* Too much is unsent: follows_on_drained() goes on. */
static bool is_held_back(struct follow *f)
{
    f->held_back = session_unsent(f->subscription->session) > AHEAD_BYTES;
    return f->held_back;
}

/* Sends; `dropped` bytes before the data are not kept. False: the subscription is gone. */
static bool send_data(struct follow *f, uint64_t attempt, uint32_t task, const char *stream,
                      const struct buf *data, uint64_t dropped)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    if (attempt) {
        jout_key(&o, "task");
        jout_printf(&o, "%llu.%lu", (unsigned long long)f->job, (unsigned long)task);
        jout_key(&o, "attempt");
        jout_uint(&o, attempt);
    }
    jout_key(&o, "stream");
    jout_text(&o, stream);
    log_put_data(&o, data, dropped);
    bool sent = subscription_notify(f->subscription, b.data, b.len);
    buf_release(&b);
    return sent;
}

/*
 * Sends framed bytes, one notification for each run of chunks of a stream. `dropped` bytes before
 * them are not kept.
 */
static bool send_framed(struct follow *f, const struct piece *p, const char *framed, size_t len,
                        uint64_t dropped)
{
    struct buf run = {0};
    unsigned mask = log_mask(f->stream);
    enum outlog_stream stream = mask & OUTLOG_MASK(OUTLOG_STDOUT) ? OUTLOG_STDOUT : OUTLOG_STDERR;
    struct outlog_chunk c;
    bool sent = true;
    for (ssize_t n; sent && len > 0 && (n = outlog_next(framed, len, &c)) > 0;
         framed += n, len -= (size_t)n) {
        bool lost = c.stream == OUTLOG_LOST;
        if (!lost && !(mask & OUTLOG_MASK(c.stream)))
            continue;
        if (run.len && (lost || c.stream != stream || run.len >= PIECE_BYTES)) {
            sent = send_data(f, p->number, p->task, log_stream_names[stream], &run, dropped);
            buf_clear(&run);
            dropped = 0;
        }
        if (lost) {
            outlog_extract(framed, (size_t)n, 0, NULL, &dropped);
        } else {
            stream = c.stream;
            buf_add(&run, c.data, c.len);
        }
    }
    if (sent && (run.len || dropped))
        sent = send_data(f, p->number, p->task, log_stream_names[stream], &run, dropped);
    buf_release(&run);
    return sent;
}

/* Sends the next bytes of a file; false: the subscription is gone. */
static bool send_piece(struct follow *f, struct piece *p)
{
    struct outlog_range range = {0};
    struct buf framed = {0};
    struct err err;
    if (!outlog_read(engine_log_dir(f->server->engine), p->number, p->position, PIECE_BYTES,
                     &framed, &range, &err)) {
        log_warning("the log of attempt %llu cannot be read: %s", (unsigned long long)p->number,
                    err.text);
        p->grown = false;
        p->ended = true;
        return true;
    }
    p->grown = framed.len > 0;
    p->position = range.next;
    bool sent = send_framed(f, p, framed.data, framed.len, range.dropped_bytes);
    buf_release(&framed);
    return sent;
}

/* Sends what has come of the attempts in files; false: the subscription is gone, or held back. */
static bool send_grown(struct follow *f)
{
    struct piece *p = LIST_FIRST(&f->pieces), *next;
    f->more = false;
    for (; p; p = next) {
        next = LIST_NEXT(p, link);
        if (p->grown) {
            if (is_held_back(f))
                return false;
            if (!send_piece(f, p))
                return false;
        }
        if (p->ended && !p->grown)
            piece_free(f, p);
        else
            f->more = f->more || p->grown;
    }
    if (f->more)
        step_soon(f);
    return true;
}

static struct piece *find_piece(struct follow *f, uint64_t number)
{
    struct piece *p;
    LIST_FOREACH (p, &f->pieces, link)
        if (p->number == number)
            break;
    return p;
}

static void on_grown(void *arg, uint64_t number)
{
    struct server *server = arg;
    struct session *session;
    struct subscription *s;
    LIST_FOREACH (session, &server->sessions, link)
        LIST_FOREACH (s, &session->subscriptions, link) {
            struct piece *p = s->follow ? find_piece(s->follow, number) : NULL;
            if (p) {
                p->grown = true;
                step_soon(s->follow);
            }
        }
}

static struct piece *add_piece(struct follow *f, uint64_t number, uint32_t task, uint64_t position)
{
    struct err err;
    struct piece *p = xcalloc(1, sizeof *p);
    p->number = number;
    p->task = task;
    p->position = position;
    p->grown = true;
    LIST_INSERT_HEAD(&f->pieces, p, link);
    if (!f->server->follower)
        f->server->follower = outlog_follower_new(
            f->server->loop, engine_log_dir(f->server->engine), on_grown, f->server);
    if (!outlog_follower_add(f->server->follower, number, &err))
        log_warning("log files cannot be watched: %s; output is shown when a command ends",
                    err.text);
    engine_flush_output(f->server->engine, number);
    return p;
}

/* Takes one row of an attempt; false: the subscription is gone. */
static bool take_attempt(struct follow *f, const struct rows *r, size_t row)
{
    uint64_t number = (uint64_t)cell_int(r, row, LOG_NUMBER);
    uint32_t task = (uint32_t)cell_int(r, row, LOG_TASK);
    bool ended = cell_int(r, row, LOG_ENDED) != 0;
    const struct cell *output = cell_at(r, row, LOG_OUTPUT);
    struct piece *p = find_piece(f, number);
    uint64_t from = p ? p->position : number == f->from.attempt ? f->from.position : 0;
    if (ended && !cell_int(r, row, LOG_IN_FILE)) {
        struct piece whole = {.number = number, .task = task};
        if (p)
            piece_free(f, p);
        return output->type != CELL_BLOB || from >= output->s.len ||
               send_framed(f, &whole, output->s.p + from, output->s.len - from, 0);
    }
    if (!p)
        p = add_piece(f, number, task, from);
    p->ended = ended;
    p->grown = p->grown || ended;
    return true;
}

enum { SET_JOB, SET_TASK_ENDED, SET_NEW, SET_OLD };

static bool take_attempts(struct follow *f, const struct rows *sets, size_t n)
{
    const struct rows *new = &sets[SET_NEW];
    for (size_t i = SET_OLD; i < n; i++)
        if (sets[i].n && !take_attempt(f, &sets[i], 0))
            return false;
    for (size_t i = 0; i < new->n; i++) {
        f->scanned = (uint64_t)cell_int(new, i, LOG_NUMBER);
        if (!take_attempt(f, new, i))
            return false;
    }
    f->scan = f->scan || new->n == SCAN_ATTEMPTS;
    return true;
}

static bool take_lines(struct follow *f, const struct rows *lines)
{
    struct buf data = {0};
    size_t bytes = 0;
    for (size_t i = 0; i < lines->n; i++) {
        const struct cell *text = cell_at(lines, i, 3);
        f->scanned = (uint64_t)cell_int(lines, i, 0);
        bytes += text->s.len;
        if (cell_int(lines, i, 1) != 0)
            continue;
        buf_add(&data, text->s.p, text->s.len);
        buf_addch(&data, '\n');
    }
    f->scan = f->scan || lines->n == SCAN_LINES || bytes >= PIECE_BYTES;
    bool sent = !data.len || send_data(f, 0, 0, "output", &data, 0);
    buf_release(&data);
    return sent;
}

static void on_rows(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct follow_read *reading = arg;
    struct follow *f = reading->follow;
    free_reading(reading);
    if (!f)
        return;
    f->reading = NULL;
    if (err) {
        subscription_lose(f->subscription, err->text);
        return;
    }
    bool ended = !sets[SET_JOB].n || !job_row_is_live(&sets[SET_JOB], 0) ||
                 (f->task && cell_int(&sets[SET_TASK_ENDED], 0, 0) > 0);
    if (f->stream == LOG_STREAM_OUTPUT ? !take_lines(f, &sets[SET_NEW])
                                       : !take_attempts(f, sets, n))
        return;
    /* The rows are of one moment: ended there, nothing is behind them. */
    f->over = ended;
    step(f);
}

static void add_number(struct batch *q, enum statement s, uint64_t n)
{
    batch_add(q, s);
    batch_int(q, (int64_t)n);
}

static void read_store(struct follow *f)
{
    struct batch q = {0};
    struct piece *p;
    struct err err;
    add_number(&q, ST_JOB_BRIEF, f->job);
    add_number(&q, ST_TASK_ENDED, f->job);
    batch_int(&q, f->task);
    add_number(&q, f->stream == LOG_STREAM_OUTPUT ? ST_JOB_OUTPUT : ST_LOG_ATTEMPTS, f->job);
    batch_int(&q, (int64_t)f->scanned);
    if (f->stream == LOG_STREAM_OUTPUT) {
        batch_int(&q, SCAN_LINES);
        batch_int(&q, PIECE_BYTES);
    } else {
        batch_int(&q, f->task);
        batch_int(&q, 0);
        batch_int(&q, SCAN_ATTEMPTS);
    }
    LIST_FOREACH (p, &f->pieces, link)
        if (f->check && !p->ended)
            add_number(&q, ST_LOG_ATTEMPT, p->number);
    struct follow_read *reading = xcalloc(1, sizeof *reading);
    reading->follow = f;
    LIST_INSERT_HEAD(&f->server->follow_reads, reading, link);
    if (store_read(engine_store(f->server->engine), &q, on_rows, reading, &err)) {
        f->reading = reading;
        f->scan = f->check = false;
    } else {
        free_reading(reading);
        alarm_start(f->alarm, 100000); /* the readers have too much to do: later */
    }
    batch_release(&q);
}

static void step(struct follow *f)
{
    static const char eof[] = "\"eof\":true";
    if (!send_grown(f) || f->reading || is_held_back(f))
        return;
    if (f->scan || f->check) {
        read_store(f);
    } else if (f->over && LIST_EMPTY(&f->pieces)) {
        if (subscription_notify(f->subscription, eof, sizeof eof - 1))
            subscription_free(f->subscription);
    } else if (f->over && !f->more) {
        /* The job did not wait for a command's end, so no event may tell of it. */
        f->check = true;
        alarm_start(f->alarm, 1000000);
    }
}

void follows_on_drained(struct session *session)
{
    struct subscription *s;
    LIST_FOREACH (s, &session->subscriptions, link)
        if (s->follow && s->follow->held_back && !is_held_back(s->follow))
            step_soon(s->follow);
}

static void on_event(struct follow *f, const struct event *e)
{
    switch (e->type) {
    case EVENT_OUTPUT:
        f->scan = f->scan || f->stream == LOG_STREAM_OUTPUT;
        break;
    case EVENT_ATTEMPT_STARTED:
        f->scan = f->scan || f->stream != LOG_STREAM_OUTPUT;
        break;
    case EVENT_ATTEMPT_ENDED:
        f->scan = f->check = f->stream != LOG_STREAM_OUTPUT;
        break;
    case EVENT_JOB_STATE:
        f->scan = f->scan || !job_state_is_live((enum job_state)e->state);
        break;
    case EVENT_JOB_REMOVED:
        subscription_lose(f->subscription, "the job was removed");
        return;
    case EVENT_TASK_STATE:
        f->scan = f->scan ||
                  (f->task && f->task == e->task && !task_state_is_live((enum task_state)e->state));
        break;
    default:
        return;
    }
    if (f->scan || f->check)
        step_soon(f);
}

void logs_on_event(struct server *server, const struct event *e)
{
    struct session *session;
    struct subscription *s;
    if (!server->n_subscriptions)
        return;
    LIST_FOREACH (session, &server->sessions, link) {
        struct subscription *next;
        for (s = LIST_FIRST(&session->subscriptions); s; s = next) {
            next = LIST_NEXT(s, link); /* it may end with this event */
            if (s->follow && s->follow->job == e->job)
                on_event(s->follow, e);
        }
    }
}

/* The parameters until it is known that the job is the peer's. */
struct asked {
    struct log_follow_params params;
    struct log_cursor from;
};

static void on_job(struct request *r, const struct rows *sets, size_t n)
{
    const struct asked *a = r->state;
    (void)n;
    if (!request_may(r, &sets[0], a->params.id))
        return;
    struct subscription *s = subscription_new(r->session);
    struct follow *f = xcalloc(1, sizeof *f);
    s->follow = f;
    f->subscription = s;
    f->server = r->server;
    f->job = a->params.id;
    f->task = a->params.task.number;
    f->stream = (enum log_stream)a->params.stream;
    f->from = a->from;
    f->scanned = f->stream == LOG_STREAM_OUTPUT ? a->from.position
                 : a->from.attempt              ? a->from.attempt - 1
                                                : 0;
    f->alarm = alarm_new(r->server->loop, on_alarm, f);
    f->scan = true;
    LIST_INIT(&f->pieces);
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "subscription");
    jout_uint(&o, s->id);
    jout_end_object(&o);
    request_result(r, &b);
    step_soon(f);
}

void method_log_follow(struct request *r, const struct log_follow_params *p)
{
    struct log_cursor from;
    struct batch q = {0};
    if (!log_cursor_read(p->offset, &from)) {
        request_error(r, ERR_EXPIRED, NULL, "the offset is none that log.read gave");
        return;
    }
    if (!log_check_task(r, p->task, p->id) || !subscription_may(r))
        return;
    struct asked *a = xcalloc(1, sizeof *a);
    a->params = *p;
    a->params.offset = NULL; /* borrowed for this call only */
    a->from = from;
    r->state = a;
    r->state_free = free;
    add_number(&q, ST_JOB_BRIEF, p->id);
    request_read(r, &q, on_job);
    batch_release(&q);
}
