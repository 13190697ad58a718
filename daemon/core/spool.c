/*
 * Spools: the output of commands whose lines are read, from the executor's log files to the
 * runtime.
 *
 * What the runtime has taken is told to the command's monitor (credit) once the rows that say so
 * are on disk; the monitor reads at most EXEC_SPOOL_WINDOW_BYTES beyond it, so a slow reader makes
 * the command wait.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/core/state.h"
#include "daemon/run/outlog.h"
#include "proto/log.h"
#include "proto/mem.h"
#include "proto/outlog.h"

enum {
    READ_BYTES = 256 * 1024,        /* at a time */
    TURN_BYTES = 4 * READ_BYTES,    /* of all spools in one turn of the loop */
    CREDIT_STEP_BYTES = 128 * 1024, /* less is not worth a message */
    POLL_US = 200 * 1000,           /* where a directory cannot be watched */
};

struct spool {
    uint64_t number;
    uint64_t asked, credit; /* the credit that is to be told, and that was */
    bool queued, followed;
    struct spool *next; /* in the queue */
};

static void enqueue(struct engine *e, struct spool *s)
{
    if (s->queued)
        return;
    s->queued = true;
    s->next = NULL;
    *(e->last_spool ? &e->last_spool->next : &e->first_spool) = s;
    e->last_spool = s;
}

static struct spool *dequeue(struct engine *e)
{
    struct spool *s = e->first_spool;
    if (!s)
        return NULL;
    e->first_spool = s->next;
    if (!s->next)
        e->last_spool = NULL;
    s->queued = false;
    return s;
}

static void on_grown(void *arg, uint64_t number)
{
    struct engine *e = arg;
    struct spool *s = map_get(&e->spools, number);
    if (s)
        enqueue(e, s);
}

/* Those that could not be followed. */
static void on_poll(void *arg)
{
    struct engine *e = arg;
    size_t at = 0;
    for (struct map_slot *m; (m = map_next(&e->spools, &at));)
        if (!((struct spool *)m->value)->followed)
            enqueue(e, m->value);
}

void spool_wanted(struct engine *e, struct leaf *leaf)
{
    struct spool *s = map_get(&e->spools, leaf->attempt);
    if (!s) {
        s = xcalloc(1, sizeof *s);
        s->number = leaf->attempt;
        s->asked = s->credit = runtime_lines_taken(leaf); /* committed: as it was loaded */
        map_put(&e->spools, s->number, s);
    }
    enqueue(e, s);
}

void spool_ended(struct engine *e, uint64_t number)
{
    on_grown(e, number);
}

static void forget(struct engine *e, struct spool *s)
{
    if (s->followed)
        outlog_follower_remove(e->follower, s->number);
    map_remove(&e->spools, s->number);
    free(s);
}

static void follow(struct engine *e, struct spool *s)
{
    struct err err;
    if (!e->follower) {
        e->follower = outlog_follower_new(e->loop, e->config->exec_log_dir, on_grown, e);
        e->spool_poll = alarm_new(e->loop, on_poll, e);
    }
    if (!s->followed && !(s->followed = outlog_follower_add(e->follower, s->number, &err)))
        log_debug("%s: it is looked at now and then", err.text);
    if (!s->followed)
        alarm_start(e->spool_poll, POLL_US);
}

/* Gives the runtime what there is; returns the framed bytes that were read. */
static size_t pass_on(struct engine *e, struct leaf *leaf, uint64_t position)
{
    struct buf framed = {0}, out = {0};
    struct outlog_range range = {.next = position};
    struct err err;
    char lost[sizeof err.text + 100];
    bool ok = outlog_read(e->config->exec_log_dir, leaf->attempt, position, READ_BYTES, &framed,
                          &range, &err);
    bool ended = leaf->state == LEAF_ENDED;
    if (!ok && (ended || err.code == EUCLEAN))
        snprintf(lost, sizeof lost, "its output cannot be read: %s", err.text);
    else if (range.dropped_bytes)
        snprintf(lost, sizeof lost, "%" PRIu64 " bytes of its output are gone",
                 range.dropped_bytes);
    else if (ended && framed.len == 0)
        snprintf(lost, sizeof lost, "the rest of its output is gone");
    else
        lost[0] = '\0';
    if (ok && !range.dropped_bytes)
        outlog_extract(framed.data, framed.len, OUTLOG_MASK(OUTLOG_STDOUT), &out, NULL);
    if (lost[0] || framed.len)
        runtime_leaf_data(e->runtime, leaf, out.data, out.len, range.next, lost[0] ? lost : NULL);
    size_t n = framed.len;
    buf_release(&framed);
    buf_release(&out);
    return n;
}

static void give_credit(struct engine *e, struct spool *s, struct leaf *leaf)
{
    uint64_t position = runtime_lines_taken(leaf);
    if (position < s->asked + CREDIT_STEP_BYTES)
        return;
    s->asked = position;
    effects_credit(&e->effects, s->number, position);
}

/* Returns the bytes that were read. */
static size_t serve(struct engine *e, struct spool *s)
{
    uint64_t position;
    struct leaf *leaf = runtime_leaf_find(e->runtime, s->number);
    bool running = leaf && leaf->state == LEAF_LAUNCHED && !leaf->cancelled;
    size_t n = 0;
    if (running)
        follow(e, s);
    if (leaf && runtime_lines_want(leaf, &position)) {
        n = pass_on(e, leaf, position);
        give_credit(e, s, leaf);
        if (n && runtime_lines_want(leaf, &position))
            enqueue(e, s);
    }
    if (!running && !s->queued)
        forget(e, s);
    return n;
}

bool spools_serve(struct engine *e)
{
    size_t bytes = 0;
    bool some = e->first_spool != NULL;
    for (struct spool *s; bytes < TURN_BYTES && (s = dequeue(e));)
        bytes += serve(e, s);
    return some;
}

void spool_release_credit(struct engine *e, uint64_t number, uint64_t position)
{
    struct spool *s = map_get(&e->spools, number);
    if (!s)
        return;
    s->credit = position;
    exec_credit(e->exec, number, position);
}

void spool_resolved(struct engine *e, uint64_t number)
{
    const struct spool *s = map_get(&e->spools, number);
    if (s && s->credit)
        exec_credit(e->exec, number, s->credit);
}

void spools_free(struct engine *e)
{
    size_t at = 0;
    for (struct map_slot *m; (m = map_next(&e->spools, &at));)
        free(m->value);
    map_release(&e->spools);
    outlog_follower_free(e->follower);
    alarm_free(e->spool_poll);
}
