#ifndef COROD_TASK_JOB_H
#define COROD_TASK_JOB_H
/*
 * A job in the runtime: its loop (asyncio's BaseEventLoop), its tasks, its end (asyncio.run()).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/map.h"
#include "daemon/task/named.h"
#include "daemon/task/object.h"
#include "daemon/task/task.h"

enum {
    JOB_MAX_TASKS = 2000000,
    JOB_FEW_TASKS = 1000,    /* see runtime_limit_tasks() */
    STEP_MAX_NODES = 100000, /* of a job that is ended from outside: see job_interrupt() */
    TASK_MAX_STACK_BYTES = 256 * 1024,
    JOB_MAX_VALUE_BYTES = 256 * 1024 * 1024, /* of all its values together; see job_is_full() */
    JOB_SPARE_VALUE_BYTES = 16 * 1024 * 1024,
    SMALL_GROWTH_BYTES = 64 * 1024,
};

enum handle_type {
    HANDLE_STEP = 1, /* p: task */
    HANDLE_WAKE,     /* p: task; what it awaits is done */
    HANDLE_SELF,     /* p: task that awaits itself */
    HANDLE_LEAF,     /* p: task whose command ended */
    HANDLE_TIMER,    /* p, q: see timer_fire() */
    HANDLE_CHILD,    /* p: gather, q: its child that ended; both counted */
    HANDLE_WATCH,    /* p: watch, q: its task that ended; both counted */
    HANDLE_NOTHING,  /* a callback to nobody */
    HANDLE_STOP,
};
struct handle {
    uint64_t seq;
    void *p, *q;
    uint32_t type;
};

/* The ready queue: a ring. */
struct ready {
    struct handle *ring;
    size_t head, n, cap; /* cap: a power of two */
    uint64_t next_seq;
    uint64_t tick_end; /* what is below belongs to the tick that runs */
};

enum job_phase { PHASE_MAIN, PHASE_SHUTDOWN, PHASE_OVER };

struct job {
    struct runtime *rt;
    uint64_t id;
    uint32_t owner; /* whose named objects it uses */
    struct program *program;
    struct value_account *values;
    size_t values_before;  /* their bytes when this step began, or went on after an error */
    int priority;          /* of its commands unless they say */
    struct job *next_work; /* in the runtime's queue */
    bool queued, dirty, stop, fresh, killed;
    uint8_t phase, stuck; /* stuck: how often nothing could run */
    uint32_t next_task, next_scope, next_coro, next_gather;
    uint64_t next_timer, lines, ends;
    int64_t now_us;
    struct ready ready;
    struct timer_entry *due;
    size_t n_due, cap_due;
    struct task *first, *last; /* all that are in memory */
    struct task *main;         /* counted */
    struct task *running;      /* in the middle of a step */
    size_t step_nodes;         /* that this step has been through */
    bool interrupt;            /* ended from outside: a step without end is, too */
    size_t live;               /* tasks */
    size_t sources;            /* timers of tasks, and commands that have not ended */
    struct task **changed;     /* dirty, each kept by its bit */
    size_t n_changed, cap_changed;
    struct task **ended; /* for end rows */
    size_t n_ended, cap_ended;
    struct given *given;   /* until its first gather has begun */
    struct value *failure; /* what the job ends with instead of main's outcome */
    struct timer deadline;
    struct gather *closing; /* the round of the shutdown */
    struct coro_list left;  /* coroutines that nobody started, for the job's end */
    struct object_home objects;
    struct object_use use;
    struct keeps *keeping;  /* what the row names that is written or read now */
    struct map keeps, kept; /* by task; objects by the address of their value */
    uint32_t last_keep;
    uint64_t stop_seq; /* of the HANDLE_STOP in the queue */
};

struct runtime {
    const struct runtime_effects *effects;
    void *arg;
    struct map jobs;
    struct map attempts; /* struct leaf by attempt */
    struct timer_heap timers;
    uint64_t leaf_seq, steps;
    struct job *work_first, *work_last;
    struct job **dirty; /* for runtime_collect() */
    size_t n_dirty, cap_dirty;
    size_t live, max_live;
    size_t gone;      /* tasks that were freed since memory was last given back */
    size_t keep_from; /* bytes */
    struct named_objects named;
};

/* The job is over and its last rows were collected. */
void runtime_forget(struct runtime *rt, struct job *job);

struct job *job_new(struct runtime *rt, uint64_t id, uint32_t owner, struct program *program);
void job_free(struct job *job);
/* Has something to run or to tell: it goes to the runtime's queue. */
void job_wake(struct job *job);
/* Its row has changed. */
void job_touch(struct job *job);
/* asyncio's call_soon(): returns the handle's seq. */
uint64_t job_soon(struct job *job, enum handle_type type, void *p, void *q);
/* Puts it back as it was saved: ascending seq. */
void ready_put(struct ready *r, struct handle h);
/* By the lower half of its seq; NULL: it is not there. */
struct handle *ready_find(const struct ready *r, uint32_t seq);
void ready_release(struct ready *r);
/* Puts the task's step or wake-up into the queue. */
void job_soon_task(struct job *job, enum handle_type type, struct task *t);
/* Runs ticks until nothing is left to run now, or the budget is over. */
void job_run(struct job *job, unsigned *budget);
bool job_has_work(const struct job *job);

static inline bool job_is_large(const struct job *job)
{
    return job->values->bytes > JOB_MAX_VALUE_BYTES;
}
/*
 * Of a large job, whose values have grown since values_before: true: *v is released, and now an
 * error. What little a clean-up needs is still had, until the spare bytes are used up too.
 */
bool job_refuse(struct job *job, struct value **v);

/* The job's end (end.c). */
void job_kill(struct job *job);
void job_stopped(struct job *job); /* the loop was stopped */
void job_stuck(struct job *job);   /* nothing is left that could run */
void job_overdue(struct job *job); /* its own timeout */

void job_print(struct job *job, const char *text, size_t len);
void job_diagnostic(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A task failed and nobody will ask. */
void job_report(struct job *job, const struct task *t, const char *what);
/* Runs the handle whose turn it is; a task's step becomes job->running. */
void job_dispatch(struct job *job, struct handle h);

/* Commands (leaf.c). */
struct leaf_run {
    struct leaf leaf;
    struct task *task;
    struct job *job;
    struct value *result, *error; /* once it has ended */
    uint64_t done_seq;            /* of its HANDLE_LEAF, 0: none */
};
/* Its task goes away with it: tells it when that is because the job is killed. */
void leaf_leave(struct leaf *leaf, struct job *job);
/* All is loaded: it is wanted again, or more of its lines. */
void leaf_loaded(struct leaf_run *run);
/* The end of the task's command has its turn. */
void leaf_settle(struct task *t);
/* The command that the task waits for, or NULL. */
struct leaf_run *leaf_of(const struct task *t);
#endif
