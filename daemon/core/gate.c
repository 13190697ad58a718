/*
 * Gates: what keeps a job from starting. A job that is held, whose time has not come or that waits
 * for the ends of others is a row and a gate, and nothing in the runtime.
 *
 * An open gate is in a queue, from which jobs start in the engine's turn. What the end of a job
 * means for those that wait for it is written with that end, unless it is very much: then with
 * later commits. A start in between finds how the job ended in its row.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum { STARTS_A_TURN = 1000, SETTLED_A_COMMIT = 500 };

static bool is_timed(const struct gate *g)
{
    return g->delay.place || g->at.place;
}

static enum job_state state_of(const struct gate *g)
{
    return g->held                            ? JOB_STATE_HELD
           : g->n_pending || g->is_impossible ? JOB_STATE_WAITING
           : is_timed(g)                      ? JOB_STATE_SCHEDULED
                                              : JOB_STATE_QUEUED;
}

/* Into the queue when nothing is left that keeps it, else out of it. */
static void queue(struct engine *e, struct gate *g)
{
    bool open = state_of(g) == JOB_STATE_QUEUED;
    if (open && !g->queued)
        TAILQ_INSERT_TAIL(&e->starts, g, link);
    else if (!open && g->queued)
        TAILQ_REMOVE(&e->starts, g, link);
    g->queued = open;
}

/* Something of it has changed. */
static void refresh(struct engine *e, struct live *job)
{
    enum job_state state = state_of(job->gate);
    queue(e, job->gate);
    job->gate_changed = true;
    if (state != job->state)
        job_set_state(e, job, state);
    else
        job_mark_dirty(e, job);
}

static void forget(struct engine *e, struct dependency *d)
{
    struct dependencies *list = d->other ? &d->other->dependents : &e->settling;
    TAILQ_REMOVE(list, d, link);
}

static void settle(struct engine *e, struct dependency *d)
{
    forget(e, d);
    d->settled = true;
    d->gate->n_pending--;
}

void gate_free(struct engine *e, struct live *job)
{
    struct gate *g = job->gate;
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        if (!g->after[i].settled)
            forget(e, &g->after[i]);
    }
    heap_remove(&e->delays, &g->delay);
    heap_remove(&e->ats, &g->at);
    if (g->queued)
        TAILQ_REMOVE(&e->starts, g, link);
    free(g->after);
    free(g);
    job->gate = NULL;
}

/* Other jobs. */

static const char *how_it_ended(enum job_state state)
{
    return state == JOB_STATE_CANCELLED ? "was cancelled"
           : state == JOB_STATE_LOST    ? "was lost"
           : state == JOB_STATE_FAILED  ? "failed"
                                        : "succeeded";
}

/* Waits for what cannot be any more. */
static void fail(struct engine *e, struct live *job, const struct after *a, enum job_state state)
{
    cleanup_value struct value *error = error_new(
        "DependencyError", "job %llu %s; this job needs it to %s", (unsigned long long)a->job,
        how_it_ended(state), a->kind == AFTER_OK ? "succeed" : "fail");
    job_end(e, job, JOB_STATE_FAILED, NULL, error);
}

static void take(struct engine *e, struct dependency *d)
{
    struct live *job = d->gate->job;
    settle(e, d);
    if (after_is_met(d->after.kind, d->how == JOB_STATE_SUCCEEDED))
        refresh(e, job);
    else
        fail(e, job, &d->after, d->how);
}

void gates_on_end(struct engine *e, struct live *ended)
{
    struct dependency *d;
    while ((d = TAILQ_FIRST(&ended->dependents))) {
        TAILQ_REMOVE(&ended->dependents, d, link);
        d->other = NULL;
        d->how = ended->state;
        TAILQ_INSERT_TAIL(&e->settling, d, link);
    }
}

void gates_settle(struct engine *e)
{
    struct dependency *d;
    for (unsigned n = 0; n < SETTLED_A_COMMIT && (d = TAILQ_FIRST(&e->settling)); n++)
        take(e, d); /* what that ends joins the queue */
}

void gates_settle_before_removal(struct engine *e, uint64_t id)
{
    struct dependencies first = TAILQ_HEAD_INITIALIZER(first);
    struct dependency *d, *next;
    for (d = TAILQ_FIRST(&e->settling); d; d = next) {
        next = TAILQ_NEXT(d, link);
        if (d->after.job != id)
            continue;
        TAILQ_REMOVE(&e->settling, d, link);
        TAILQ_INSERT_TAIL(&first, d, link);
    }
    TAILQ_CONCAT(&first, &e->settling, link);
    TAILQ_CONCAT(&e->settling, &first, link);
    while ((d = TAILQ_FIRST(&e->settling)) && d->after.job == id)
        take(e, d);
}

/* Making one. */

static void start_timer(struct heap *h, struct heap_entry *x, int64_t at_us, uint64_t job)
{
    heap_remove(h, x);
    x->at_us = at_us;
    x->seq = job;
    if (at_us)
        heap_add(h, x);
}

static void set_time(struct engine *e, struct gate *g, int64_t delay_until_us, int64_t at_us)
{
    start_timer(&e->delays, &g->delay, delay_until_us, g->job->id);
    start_timer(&e->ats, &g->at, at_us, g->job->id);
}

/* What it waits for of one other job; how that ended if it is not live. */
static void add_after(struct engine *e, struct gate *g, const struct after *a, enum job_state ended)
{
    struct live *other = engine_job(e, a->job);
    if (other && !other->ended) {
        struct dependency *d = &g->after[g->n++];
        *d = (struct dependency){.gate = g, .after = *a, .other = other};
        TAILQ_INSERT_TAIL(&other->dependents, d, link);
        g->n_pending++;
        return;
    }
    enum job_state state = other ? other->state : ended;
    if (g->is_impossible || after_is_met(a->kind, state == JOB_STATE_SUCCEEDED))
        return;
    g->is_impossible = true;
    g->impossible = *a;
    g->how = state;
}

void gate_new(struct engine *e, struct live *job, const struct gate_setting *s)
{
    struct gate *g = xcalloc(1, sizeof *g);
    g->job = job;
    g->held = s->held;
    g->after = xcalloc(s->after.n + 1, sizeof *g->after);
    for (size_t i = 0; i < s->after.n; i++)
        add_after(e, g, &s->after.all[i], s->ended[i]);
    set_time(e, g, s->delay_until_us, s->at_us);
    job->gate = g;
    job->gate_changed = g->n < s->after.n;
    job->state = state_of(g);
    queue(e, g);
}

void gate_check(struct engine *e, struct live *job)
{
    if (job->gate->is_impossible)
        fail(e, job, &job->gate->impossible, job->gate->how);
}

/* Time. */

/* The one that is due the longest, NULL when none is. */
static struct gate *next_due(struct engine *e)
{
    struct heap_entry *delay = heap_first(&e->delays), *at = heap_first(&e->ats);
    int64_t late = delay ? engine_now_us(e) - delay->at_us : -1;
    int64_t late_at = at ? clock_real_us() - at->at_us : -1;
    if (late < 0 && late_at < 0)
        return NULL;
    if (late > late_at || (late == late_at && delay->seq < at->seq)) {
        heap_remove(&e->delays, delay);
        return container_of(delay, struct gate, delay);
    }
    heap_remove(&e->ats, at);
    return container_of(at, struct gate, at);
}

int64_t gates_next_us(const struct engine *e)
{
    const struct heap_entry *delay = heap_first(&e->delays), *at = heap_first(&e->ats);
    int64_t due = delay ? delay->at_us : INT64_MAX;
    int64_t due_at = at ? at->at_us - clock_real_us() + engine_now_us(e) : INT64_MAX;
    return due < due_at ? due : due_at;
}

static void start(struct engine *e, struct live *job)
{
    gate_free(e, job);
    job->gate_changed = true;
    job_mark_dirty(e, job);
    runtime_start(e->runtime, job->id, job->uid, job->program->program, engine_now_us(e));
    runtime_set_priority(e->runtime, job->id, job->priority);
}

bool gates_may_start(const struct engine *e)
{
    return TAILQ_FIRST(&e->starts) && !e->draining &&
           runtime_live_tasks(e->runtime) < e->config->max_live_tasks;
}

void gates_serve(struct engine *e)
{
    struct gate *g;
    while ((g = next_due(e)))
        refresh(e, g->job);
    unsigned budget = STARTS_A_TURN;
    while (budget-- && gates_may_start(e))
        start(e, TAILQ_FIRST(&e->starts)->job);
}

void gate_write(const struct gate *g, struct batch *b)
{
    if (!g) {
        for (int i = 0; i < 4; i++)
            batch_null(b);
        return;
    }
    batch_int(b, g->held);
    batch_int_or_null(b, g->delay.place ? g->delay.at_us : 0);
    batch_int_or_null(b, g->at.place ? g->at.at_us : 0);
    struct after_list l = {0};
    for (size_t i = 0; i < g->n; i++) {
        if (g->after[i].settled)
            continue;
        l.all = xgrow(l.all, &l.cap, l.n + 1, sizeof *l.all);
        l.all[l.n++] = g->after[i].after;
    }
    struct buf text = {0};
    if (l.n)
        after_write(&l, &text);
    batch_text(b, l.n ? text.data : NULL, text.len);
    buf_release(&text);
    after_release(&l);
}

/* What is asked of it. */

void gate_cancel(struct engine *e, struct live *job)
{
    cleanup_value struct value *error = error_new("CancelledError", "%s", "");
    job_end(e, job, JOB_STATE_CANCELLED, NULL, error);
}

/* The job, if it has not started; else NULL with err: what is not done to it then. */
static struct live *gated(struct engine *e, uint64_t id, const char *what, struct err *err)
{
    struct live *job = engine_job(e, id);
    if (job && job->gate)
        return job;
    if (!job || job->ended)
        err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
    else
        err_set(err, ERR_STATE, "job %llu is %s: only one that has not started can be %s",
                (unsigned long long)id, job_state_name(job->state), what);
    return NULL;
}

void gate_set_time(struct engine *e, struct live *job, int64_t delay_us, int64_t at_us)
{
    set_time(e, job->gate, delay_us ? engine_now_us(e) + delay_us : 0,
             at_us > clock_real_us() ? at_us : 0);
    refresh(e, job);
}

bool job_is_queued(const struct live *job)
{
    return job && !job->ended && !job->gate && !job->started_us;
}

bool engine_hold(struct engine *e, uint64_t id, struct err *err)
{
    if (job_is_queued(engine_job(e, id)))
        return engine_pause(e, id, false, err);
    struct live *job = gated(e, id, "held", err);
    if (!job)
        return false;
    job->gate->held = true;
    refresh(e, job);
    return true;
}

bool engine_release(struct engine *e, uint64_t id, struct err *err)
{
    struct live *job = engine_job(e, id);
    bool queued = job_is_queued(job);
    if (queued && job->pause)
        return engine_resume(e, id, err);
    if (!queued && !gated(e, id, "released", err))
        return false;
    if (queued || !job->gate->held)
        return err_set(err, ERR_STATE, "job %llu is not held, it is %s", (unsigned long long)id,
                       job_state_name(job->state));
    job->gate->held = false;
    refresh(e, job);
    return true;
}
