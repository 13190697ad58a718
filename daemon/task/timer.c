#include <math.h>

#include "daemon/task/job.h"
#include "proto/mem.h"

/* A deadline further away than this never comes (285,000 years). */
static const int64_t FAR_US = INT64_MAX / 2;

static bool before(const struct timer *a, const struct timer *b)
{
    if (a->deadline_us != b->deadline_us)
        return a->deadline_us < b->deadline_us;
    return a->seq < b->seq;
}

static void place(struct timer_heap *h, size_t i, struct timer *t)
{
    h->all[i] = t;
    t->at = (uint32_t)i;
}

static void sift_up(struct timer_heap *h, size_t i, struct timer *t)
{
    while (i > 0 && before(t, h->all[(i - 1) / 2])) {
        place(h, i, h->all[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(h, i, t);
}

static void sift_down(struct timer_heap *h, size_t i, struct timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && before(h->all[child + 1], h->all[child]))
            child++;
        if (!before(h->all[child], t))
            break;
        place(h, i, h->all[child]);
        i = child;
    }
    place(h, i, t);
}

void timer_heap_add(struct timer_heap *h, struct timer *t)
{
    if (h->n == h->cap)
        h->all = xgrow(h->all, &h->cap, h->n + 1, sizeof *h->all);
    t->state = TIMER_WAITING;
    sift_up(h, h->n++, t);
}

static void heap_remove(struct timer_heap *h, size_t i)
{
    struct timer *moved = h->all[--h->n];
    if (i == h->n)
        return;
    if (i > 0 && before(moved, h->all[(i - 1) / 2]))
        sift_up(h, i, moved);
    else
        sift_down(h, i, moved);
}

void timer_heap_release(struct timer_heap *h)
{
    free(h->all);
    *h = (struct timer_heap){0};
}

int64_t timer_heap_next_us(const struct timer_heap *h)
{
    return h->n ? h->all[0]->deadline_us : INT64_MAX;
}

int64_t timer_deadline(int64_t now_us, double seconds)
{
    double us = seconds * 1e6;
    if (!(us < (double)(FAR_US - now_us)))
        return FAR_US;
    return us > 0 ? now_us + (int64_t)llround(us) : now_us;
}

static struct timer *timer_make(struct job *job, struct task *task, enum timer_type type,
                                struct timer **slot)
{
    struct timer *t = xcalloc(1, sizeof *t);
    t->job = job;
    t->task = task;
    t->type = (uint8_t)type;
    if (task) {
        t->slot = (uint32_t)((char *)slot - task->stack);
        job->sources++;
    }
    *slot = t;
    return t;
}

struct timer *timer_start(struct job *job, struct task *task, enum timer_type type,
                          int64_t deadline_us, struct timer **slot)
{
    struct timer *t = timer_make(job, task, type, slot);
    t->deadline_us = deadline_us;
    t->seq = job->next_timer++;
    timer_heap_add(&job->rt->timers, t);
    return t;
}

struct timer *timer_soon(struct job *job, struct task *task, enum timer_type type,
                         struct timer **slot)
{
    struct timer *t = timer_make(job, task, type, slot);
    t->deadline_us = job->now_us;
    t->state = TIMER_READY;
    t->seq = job_soon(job, HANDLE_TIMER, t, NULL);
    return t;
}

static void unlist(struct timer *t)
{
    if (t->task)
        t->job->sources--;
}

void timer_cancel(struct timer **slot)
{
    struct timer *t = steal(slot);
    if (!t)
        return;
    unlist(t);
    switch ((enum timer_state)t->state) {
    case TIMER_WAITING:
        heap_remove(&t->job->rt->timers, t->at);
        free(t);
        break;
    case TIMER_DUE:
        t->job->due[t->at] = NULL;
        free(t);
        break;
    case TIMER_READY: /* its handle is skipped, and frees it */
        t->state = TIMER_DEAD;
        t->task = NULL;
        break;
    case TIMER_DEAD:
        break;
    }
}

void timer_take_due(struct timer_heap *h, int64_t now_us)
{
    while (h->n > 0 && h->all[0]->deadline_us <= now_us) {
        struct timer *t = h->all[0];
        struct job *job = t->job;
        heap_remove(h, 0);
        if (job->n_due == job->cap_due)
            job->due = xgrow(job->due, &job->cap_due, job->n_due + 1, sizeof(struct timer *));
        t->state = TIMER_DUE;
        t->at = (uint32_t)job->n_due;
        job->due[job->n_due++] = t;
        job_wake(job);
    }
}

void timer_fire(struct timer *timer)
{
    struct task *t = timer->task;
    if (timer->state == TIMER_DEAD) {
        free(timer);
        return;
    }
    unlist(timer);
    if (!t) {
        timer->job->deadline = NULL;
        job_touch(timer->job);
        job_overdue(timer->job);
    } else {
        struct timer **slot = (struct timer **)(void *)(t->stack + timer->slot);
        *slot = NULL;
        task_touch(t);
        if (timer->type == TIMER_SLEEP)
            wait_settle(t, FUTURE_DONE);
        else
            timeout_expired(t, slot);
    }
    free(timer);
}
