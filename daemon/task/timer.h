#ifndef COROD_TASK_TIMER_H
#define COROD_TASK_TIMER_H
/*
 * Timers of all jobs in one binary heap by (deadline, creation). A due timer moves to its job's
 * list, at the job's next tick into its ready queue, and acts when its turn comes there: until then
 * it can be cancelled, as a TimerHandle of asyncio.
 *
 * There may be millions: what says when is only in the heap, and the timer itself, inside of an
 * activation that may move, only knows its place there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct task;

enum timer_type { TIMER_SLEEP, TIMER_TIMEOUT, TIMER_JOB };
enum timer_state { TIMER_NONE, TIMER_WAITING, TIMER_DUE, TIMER_READY };

/* Inside of an activation, or the job's own. `struct timer t = {0};` is none. */
struct timer {
    _Alignas(8) uint32_t at; /* place in the heap or in the job's due list; READY: of its handle's
                                seq the lower half */
    uint8_t type, state;
};

/* Where a timer waits. */
struct timer_entry {
    int64_t deadline_us;
    uint64_t order; /* of creation in the job << 16 | where in the task's stack it is */
    void *owner;    /* struct task; struct job for its own; NULL: cancelled */
};
struct timer_heap {
    struct timer_entry *all;
    size_t n, cap;
};

#define TIMER_MAX_SEQ (UINT64_MAX >> 16)

void timer_heap_release(struct timer_heap *h);
/* INT64_MAX when there is none. */
int64_t timer_heap_next_us(const struct timer_heap *h);

/* now_us + seconds, in whole microseconds, bounded. */
int64_t timer_deadline(int64_t now_us, double seconds);

/* x is none yet: inside an activation of the task, or the job's own with task NULL and type
 * TIMER_JOB. */
void timer_start(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                 int64_t deadline_us);
/* One that acts when its turn in the ready queue comes, at the next tick. */
void timer_soon(struct job *job, struct task *task, struct timer *x, enum timer_type type);
/* Afterwards it is none; that it was is fine. */
void timer_cancel(struct job *job, struct timer *x);
/* Of one that is READY: now. */
int64_t timer_due_us(const struct job *job, const struct timer *x);
uint64_t timer_seq(const struct job *job, const struct timer *x);
/* As it was saved, WAITING with seq, or READY with that of its handle, whose p and q are *p, *q. */
void timer_put_back(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                    int64_t deadline_us, uint64_t seq);
void timer_put_ready(struct job *job, struct task *task, struct timer *x, enum timer_type type,
                     uint64_t seq, void **p, void **q);
/* Moves the job's and every other job's due timers to their due lists. */
void timer_take_due(struct timer_heap *h, int64_t now_us);
/* Those of the job's due list go into its ready queue. */
void timer_make_ready(struct job *job);
/* The turn of a READY one has come: p and q of its handle. */
void timer_fire(void *p, void *q);
/* The task of such a handle; NULL: the job's own, or it was cancelled. */
struct task *timer_task(void *p, void *q);

#endif
