#ifndef COROD_TASK_TIMER_H
#define COROD_TASK_TIMER_H
/*
 * Timers of all jobs in one binary heap by (deadline, creation). A due timer moves to its job's
 * list, at the job's next tick into its ready queue, and acts when its turn comes there: until then
 * it can be cancelled, as a TimerHandle of asyncio.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;
struct task;

enum timer_type { TIMER_SLEEP, TIMER_TIMEOUT, TIMER_JOB };
enum timer_state { TIMER_WAITING, TIMER_DUE, TIMER_READY, TIMER_DEAD };

struct timer {
    int64_t deadline_us;
    uint64_t seq; /* of creation in the job; once READY, of its handle */
    struct job *job;
    struct task *task; /* NULL for TIMER_JOB */
    uint32_t slot;     /* where in the task's stack the pointer to it is */
    uint32_t at;       /* place in the heap or in the job's due list */
    uint8_t type, state;
};

struct timer_heap {
    struct timer **all;
    size_t n, cap;
};

void timer_heap_release(struct timer_heap *h);
/* INT64_MAX when there is none. */
int64_t timer_heap_next_us(const struct timer_heap *h);

void timer_heap_add(struct timer_heap *h, struct timer *t);

/* now_us + seconds, in whole microseconds, bounded. */
int64_t timer_deadline(int64_t now_us, double seconds);

/* For a slot (struct timer *) inside an activation of the task, or the job's own with task NULL
 * and type TIMER_JOB. */
struct timer *timer_start(struct job *job, struct task *task, enum timer_type type,
                          int64_t deadline_us, struct timer **slot);
/* One that acts when its turn in the ready queue comes, at the next tick. */
struct timer *timer_soon(struct job *job, struct task *task, enum timer_type type,
                         struct timer **slot);
/* Takes the timer out of the slot; NULL there is fine. */
void timer_cancel(struct timer **slot);
/* Moves the job's and every other job's due timers to their due lists. */
void timer_take_due(struct timer_heap *h, int64_t now_us);
/* The turn of a READY one has come: acts and frees it. */
void timer_fire(struct timer *timer);

#endif
