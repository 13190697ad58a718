#include "daemon/task/job.h"

#include <stdarg.h>

#include "daemon/task/keep.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct job *job_new(struct runtime *rt, uint64_t id, uint32_t owner, struct program *program)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->rt = rt;
    job->id = id;
    job->owner = owner;
    job->objects.job = job;
    job->program = program_ref(program);
    job->values = value_account_new();
    job->priority = program_document(program)->priority;
    job->next_task = 1;
    job->ready.next_seq = 1;
    job->fresh = true;
    return job;
}

static void handle_release(struct handle *h)
{
    if (h->type == HANDLE_CHILD) {
        gather_unref(h->p);
        task_unref(h->q);
    } else if (h->type == HANDLE_WATCH) {
        watch_unref(h->p);
        task_unref(h->q);
    }
}

static void forget_tasks(struct job *job)
{
    for (size_t i = 0; i < job->n_changed; i++)
        job->changed[i]->dirty = false;
    for (size_t i = 0; i < job->n_ended; i++)
        job->ended[i]->ending = false;
    job->n_changed = job->n_ended = 0;
    /* Handles may be in circles: first everything goes that a task holds, then the tasks. Each is
     * held meanwhile, so that the list stays. */
    for (struct task *t = job->first; t; t = t->next) {
        t->unretrieved = false;
        task_ref(t);
    }
    for (struct task *t = job->first; t; t = t->next)
        task_clear(t);
    task_unref(steal(&job->main));
    while (job->first) {
        struct task *t = job->first;
        job->first = t->next;
        bool live = !task_is_done(t);
        job->rt->live -= live ? 1 : 0;
        t->dirty = t->ending = false;
        task_leave_job(t);
        job->rt->gone++;
        t->outcome = OUTCOME_CANCELLED;
        task_unref(t);
        if (live)
            task_unref(t);
    }
}

void job_free(struct job *job)
{
    if (!job)
        return;
    struct ready *r = &job->ready;
    forget_tasks(job);
    if (job->closing) {
        gather_clear(job->closing);
        gather_unref(steal(&job->closing));
    }
    coro_list_release(&job->left);
    timer_cancel(job, &job->deadline);
    value_unref(job->failure);
    given_free(job->given);
    keeps_release(job);
    objects_release(&job->objects);
    free(job->objects.changed);
    for (; r->n > 0; r->n--, r->head++)
        handle_release(&r->ring[r->head & (r->cap - 1)]);
    ready_release(r);
    free(job->due);
    free(job->changed);
    free(job->ended);
    program_unref(job->program);
    value_account_free(job->values);
    free(job);
}

void ready_release(struct ready *r)
{
    free(r->ring);
    *r = (struct ready){0};
}

void ready_put(struct ready *r, struct handle h)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 16;
        struct handle *ring = xmalloc(cap * sizeof *ring);
        for (size_t i = 0; i < r->n; i++)
            ring[i] = r->ring[(r->head + i) & (r->cap - 1)];
        free(r->ring);
        r->ring = ring;
        r->cap = cap;
        r->head = 0;
    }
    r->ring[(r->head + r->n++) & (r->cap - 1)] = h;
    if (h.seq >= r->next_seq)
        r->next_seq = h.seq + 1;
}

struct handle *ready_find(const struct ready *r, uint32_t seq)
{
    /* They ascend, mostly one by one. */
    for (size_t low = 0, high = r->n; low < high;) {
        size_t mid = low + (high - low) / 2;
        struct handle *h = &r->ring[(r->head + mid) & (r->cap - 1)];
        int32_t distance = (int32_t)((uint32_t)h->seq - seq);
        if (distance == 0)
            return h;
        if (distance < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static struct handle ready_take(struct ready *r)
{
    struct handle h = r->ring[r->head];
    r->head = (r->head + 1) & (r->cap - 1);
    if (--r->n == 0)
        r->ring = xspare(r->ring, &r->cap, sizeof *r->ring);
    return h;
}

bool job_has_work(const struct job *job)
{
    return job->phase != PHASE_OVER &&
           (job->running || job->ready.n > 0 || job->n_due > 0 || job->stop ||
            job->sources == 0); /* stuck: that is dealt with, too */
}

void job_wake(struct job *job)
{
    struct runtime *rt = job->rt;
    if (job->queued)
        return;
    job->queued = true;
    job->next_work = NULL;
    *(rt->work_last ? &rt->work_last->next_work : &rt->work_first) = job;
    rt->work_last = job;
}

void job_touch(struct job *job)
{
    struct runtime *rt = job->rt;
    if (job->dirty)
        return;
    job->dirty = true;
    if (rt->n_dirty == rt->cap_dirty)
        rt->dirty = xgrow(rt->dirty, &rt->cap_dirty, rt->n_dirty + 1, sizeof(struct job *));
    rt->dirty[rt->n_dirty++] = job;
}

uint64_t job_soon(struct job *job, enum handle_type type, void *p, void *q)
{
    uint64_t seq = job->ready.next_seq;
    ready_put(&job->ready, (struct handle){seq, p, q, type});
    job_touch(job);
    job_wake(job);
    return seq;
}

void job_soon_task(struct job *job, enum handle_type type, struct task *t)
{
    t->ready = (uint8_t)type;
    t->ready_seq = job_soon(job, type, t, NULL);
    task_touch(t);
}

void job_dispatch(struct job *job, struct handle h)
{
    struct task *t = h.p;
    switch ((enum handle_type)h.type) {
    case HANDLE_STEP:
    case HANDLE_WAKE:
        t->ready = 0;
        job->running = t;
        task_resume(t, h.type == HANDLE_WAKE, NULL);
        break;
    case HANDLE_SELF: {
        struct buf text = {0};
        task_put_name(t, &text);
        t->ready = 0;
        job->running = t;
        task_resume(
            t, false,
            error_new("RuntimeError", "Task cannot await on itself: <task %s>", buf_cstr(&text)));
        buf_release(&text);
        break;
    }
    case HANDLE_LEAF:
        leaf_settle(t);
        break;
    case HANDLE_TIMER:
        timer_fire(h.p, h.q);
        break;
    case HANDLE_CHILD:
        gather_child_done(h.p, h.q);
        gather_unref(h.p);
        task_unref(h.q);
        break;
    case HANDLE_WATCH:
        watch_child_done(h.p, h.q);
        watch_unref(h.p);
        task_unref(h.q);
        break;
    case HANDLE_NOTHING:
        break;
    case HANDLE_STOP:
        job->stop_seq = 0;
        job->stop = true;
        break;
    }
}

static void take_timers(struct job *job)
{
    timer_take_due(&job->rt->timers, job->now_us);
    timer_make_ready(job);
}

/* False: nothing can run now. */
static bool next_tick(struct job *job)
{
    job_touch(job);
    if (job->stop) {
        job->stop = false;
        job_stopped(job);
    }
    if (job->phase == PHASE_OVER)
        return false;
    take_timers(job);
    if (job->ready.n == 0 && job->sources == 0)
        job_stuck(job);
    job->ready.tick_end = job->ready.next_seq;
    if (job->ready.n > 0 && job->rt->effects->tick)
        job->rt->effects->tick(job->rt->arg, job->id);
    return job->ready.n > 0;
}

/*
 * A loop that awaits nothing holds up all of its job, in asyncio for ever. Who ends the job from
 * outside, or its timeout, must be able to: such a step is interrupted where it stands.
 */
static void job_interrupt(struct job *job)
{
    if (job->deadline.state == TIMER_DUE || job->deadline.state == TIMER_READY) {
        timer_cancel(job, &job->deadline);
        job_overdue(job);
    }
    if (!job->interrupt)
        return;
    job->step_nodes = 0; /* as much again for cleaning up */
    task_interrupt(job->running);
}

/* Goes on with the step that runs. False: the budget is over. */
static bool job_go(struct job *job, unsigned *budget)
{
    unsigned before = *budget;
    if (job->step_nodes > STEP_MAX_NODES)
        job_interrupt(job);
    task_touch(job->running);
    bool over = task_go(job->running, budget);
    job->step_nodes += before - *budget;
    if (over) {
        job->running = NULL;
        job->step_nodes = 0;
    }
    return over;
}

/* One that waits again at once is not left as the one that runs: another job may wake it. */
static bool step_is_over(const struct job *job)
{
    return job->running && job->running->op == OP_NONE;
}

static void run(struct job *job, unsigned *budget)
{
    struct ready *r = &job->ready;
    while (job->phase != PHASE_OVER && (*budget > 0 || step_is_over(job))) {
        if (job->running) {
            if (!job_go(job, budget))
                return;
        } else if (r->n > 0 && r->ring[r->head].seq < r->tick_end) {
            --*budget;
            job_touch(job); /* how far the queue has come */
            job->values_before = job->values->bytes;
            job_dispatch(job, ready_take(r));
        } else if (!next_tick(job)) {
            return;
        }
    }
}

void job_run(struct job *job, unsigned *budget)
{
    struct value_account *others = value_account_use(job->values);
    job->values_before = job->values->bytes;
    run(job, budget);
    value_account_use(others);
}

bool job_refuse(struct job *job, struct value **v)
{
    const size_t *now = &job->values->bytes, before = job->values_before;
    bool small =
        *now <= before + SMALL_GROWTH_BYTES && *now <= JOB_MAX_VALUE_BYTES + JOB_SPARE_VALUE_BYTES;
    if (*now <= before || small || !job_is_large(job))
        return false;
    value_unref(*v);
    job->values_before = *now;
    *v = error_new("RuntimeError", "the values of the job take more than %d MiB",
                   (int)(JOB_MAX_VALUE_BYTES >> 20));
    return true;
}

void job_print(struct job *job, const char *text, size_t len)
{
    job->lines++;
    job_touch(job);
    if (job->rt->effects->printed)
        job->rt->effects->printed(job->rt->arg, job->id, job->lines, text, len);
}

void job_diagnostic(struct job *job, const char *format, ...)
{
    struct buf text = {0};
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&text, format, ap);
    va_end(ap);
    if (job->rt->effects->diagnostic)
        job->rt->effects->diagnostic(job->rt->arg, job->id, buf_cstr(&text));
    buf_release(&text);
}

void job_report(struct job *job, const struct task *t, const char *what)
{
    struct buf name = {0};
    task_put_title(t, &name);
    job_diagnostic(job, "%s: task %u (%s): %s: %s", what, t->id, buf_cstr(&name),
                   error_type(t->value), error_message(t->value));
    buf_release(&name);
}
