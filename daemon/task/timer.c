#include <math.h>

#include "daemon/task/job.h"
#include "proto/mem.h"

/* A deadline further away than this never comes (285,000 years). */
static const int64_t FAR_US = INT64_MAX / 2;

/* Stands for a place in the stack: the job's own. */
enum { SLOT_OF_JOB = UINT16_MAX };

static bool before(const struct timer_entry *a, const struct timer_entry *b)
{
    return a->deadline_us != b->deadline_us ? a->deadline_us < b->deadline_us : a->order < b->order;
}

static struct timer *timer_at(void *owner, unsigned slot)
{
    if (slot == SLOT_OF_JOB)
        return &((struct job *)owner)->deadline;
    return (struct timer *)(void *)(((struct task *)owner)->stack + slot);
}

static unsigned slot_of(const struct timer_entry *e)
{
    return (uint16_t)e->order;
}

static struct job *job_of(const struct timer_entry *e)
{
    return slot_of(e) == SLOT_OF_JOB ? e->owner : ((struct task *)e->owner)->job;
}

static void place(struct timer_heap *h, size_t i, struct timer_entry e)
{
    h->all[i] = e;
    timer_at(e.owner, slot_of(&e))->at = (uint32_t)i;
}

/* Finds e its place, from i on upwards or downwards. */
static void sift(struct timer_heap *h, size_t i, struct timer_entry e)
{
    while (i > 0 && before(&e, &h->all[(i - 1) / 2])) {
        place(h, i, h->all[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->n && before(&h->all[child + 1], &h->all[child]))
            child++;
        if (child >= h->n || !before(&h->all[child], &e))
            break;
        place(h, i, h->all[child]);
        i = child;
    }
    place(h, i, e);
}

static void heap_add(struct timer_heap *h, struct timer_entry e)
{
    if (h->n == h->cap)
        h->all = xgrow(h->all, &h->cap, h->n + 1, sizeof *h->all);
    sift(h, h->n++, e);
}

static void heap_take(struct timer_heap *h, size_t i)
{
    struct timer_entry last = h->all[--h->n];
    if (i < h->n)
        sift(h, i, last);
    else if (h->n == 0)
        h->all = xspare(h->all, &h->cap, sizeof *h->all);
}

void timer_heap_release(struct timer_heap *h)
{
    free(h->all);
    *h = (struct timer_heap){0};
}

int64_t timer_heap_next_us(const struct timer_heap *h)
{
    return h->n ? h->all[0].deadline_us : INT64_MAX;
}

int64_t timer_deadline(int64_t now_us, double seconds)
{
    double us = seconds * 1e6;
    if (!(us < (double)(FAR_US - now_us)))
        return FAR_US;
    return us > 0 ? now_us + (int64_t)llround(us) : now_us;
}

static struct timer_entry entry(struct job *job, struct task *task, struct timer *x,
                                enum timer_type type, int64_t deadline_us, uint64_t seq)
{
    uint64_t slot = SLOT_OF_JOB;
    x->type = (uint8_t)type;
    if (task) {
        slot = (uint64_t)((uint64_t *)(void *)x - task->stack);
        job->sources++;
    }
    return (struct timer_entry){deadline_us, seq << 16 | slot, task ? (void *)task : (void *)job};
}

void timer_put_back(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                    int64_t deadline_us, uint64_t seq)
{
    x->state = TIMER_WAITING;
    heap_add(&job->rt->timers, entry(job, task, x, type, deadline_us, seq));
}

void timer_put_ready(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                     uint64_t seq, void **p, void **q)
{
    struct timer_entry e = entry(job, task, x, type, 0, 0);
    x->state = TIMER_READY;
    x->at = (uint32_t)seq;
    *p = e.owner;
    *q = (void *)(uintptr_t)slot_of(&e);
}

void timer_start(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                 int64_t deadline_us)
{
    timer_put_back(job, task, x, type, deadline_us, job->next_timer++);
}

void timer_soon(struct job *job, struct task *task, struct timer *x, enum timer_type type)
{
    void *p, *q;
    timer_put_ready(job, task, x, type, job->ready.next_seq, &p, &q);
    job_soon(job, HANDLE_TIMER, p, q);
}

/* Of one that is READY. */
static struct handle *handle_of(const struct job *job, const struct timer *x)
{
    return ready_find(&job->ready, x->at);
}

void timer_cancel(struct job *job, struct timer *x)
{
    enum timer_state state = (enum timer_state)x->state;
    x->state = TIMER_NONE;
    if (state != TIMER_NONE && x->type != TIMER_JOB)
        job->sources--;
    if (state == TIMER_WAITING) {
        heap_take(&job->rt->timers, x->at);
    } else if (state == TIMER_DUE) {
        job->due[x->at].owner = NULL;
    } else if (state == TIMER_READY) {
        struct handle *h = handle_of(job, x);
        /* One that is being loaded may not be there yet, or name another's turn. */
        if (h && h->type == HANDLE_TIMER)
            h->p = NULL;
    }
}

static const struct timer_entry *entry_of(const struct job *job, const struct timer *x)
{
    return x->state == TIMER_WAITING ? &job->rt->timers.all[x->at]
           : x->state == TIMER_DUE   ? &job->due[x->at]
                                     : NULL;
}

int64_t timer_due_us(const struct job *job, const struct timer *x)
{
    const struct timer_entry *e = entry_of(job, x);
    return e ? e->deadline_us : job->now_us;
}

uint64_t timer_seq(const struct job *job, const struct timer *x)
{
    const struct timer_entry *e = entry_of(job, x);
    return e ? e->order >> 16 : handle_of(job, x)->seq;
}

void timer_take_due(struct timer_heap *h, int64_t now_us)
{
    while (h->n > 0 && h->all[0].deadline_us <= now_us) {
        struct timer_entry e = h->all[0];
        struct timer *x = timer_at(e.owner, slot_of(&e));
        struct job *job = job_of(&e);
        heap_take(h, 0);
        if (job->n_due == job->cap_due)
            job->due = xgrow(job->due, &job->cap_due, job->n_due + 1, sizeof *job->due);
        x->state = TIMER_DUE;
        x->at = (uint32_t)job->n_due;
        job->due[job->n_due++] = e;
        job_wake(job);
    }
}

void timer_make_ready(struct job *job)
{
    for (size_t i = 0; i < job->n_due; i++) {
        struct timer_entry e = job->due[i];
        if (!e.owner)
            continue;
        struct timer *x = timer_at(e.owner, slot_of(&e));
        x->state = TIMER_READY;
        x->at = (uint32_t)job_soon(job, HANDLE_TIMER, e.owner, (void *)(uintptr_t)slot_of(&e));
        if (x->type != TIMER_JOB)
            task_touch(e.owner);
    }
    job->n_due = 0;
    job->due = xspare(job->due, &job->cap_due, sizeof *job->due);
}

struct task *timer_task(void *p, void *q)
{
    return (uintptr_t)q == SLOT_OF_JOB ? NULL : p;
}

void timer_fire(void *p, void *q)
{
    if (!p)
        return;
    struct timer *x = timer_at(p, (uint16_t)(uintptr_t)q);
    struct task *t = timer_task(p, q);
    x->state = TIMER_NONE;
    if (!t) {
        job_touch(p);
        job_overdue(p);
        return;
    }
    t->job->sources--;
    task_touch(t);
    if (x->type == TIMER_SLEEP)
        wait_settle(t, FUTURE_DONE);
    else
        timeout_expired(t, x);
}
