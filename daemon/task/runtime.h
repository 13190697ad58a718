#ifndef COROD_TASK_RUNTIME_H
#define COROD_TASK_RUNTIME_H
/*
 * The runtime: runs jobs as coroutine tasks with asyncio's order (language.md, "Rules of the
 * loop"). It is pure: no descriptor, no clock, no SQL. Events come in through the calls below, time
 * is a number they are given; what is to be done outside comes out through struct runtime_effects,
 * what is to be stored through runtime_collect().
 *
 * Each job has a loop of its own: a ready FIFO, tasks, timers. Everything here is one thread's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/program.h"
#include "daemon/lang/value.h"
#include "proto/buf.h"
#include "proto/err.h"
#include "proto/state.h"

struct runtime;
struct job;
struct leaf;

enum job_end { JOB_SUCCEEDED, JOB_FAILED, JOB_CANCELLED, JOB_LOST };

enum stream { STREAM_IN, STREAM_OUT, STREAM_ERR, STREAMS };

/* What a leaf wants to run, evaluated. Values are the leaf's; NULL where the document says nothing.
 */
struct leaf_spec {
    /* An HTTP request instead of a command: {method, url, headers: {name: string, number or null},
     * redirects, body: string or {"base64"}, absent: none}, and no argv. */
    struct value *request;
    struct value *argv; /* list of strings or {"base64"} */
    struct value *env;  /* object; null unsets */
    struct value *cwd;  /* string */
    /* Other than /dev/null and pipes: what stdin holds (a string or {"base64"}), "stdout" for
     * stderr,
     * {"file": path} or {"append": path}. */
    struct value *streams[STREAMS];
    bool check; /* a non-zero exit raises, or a status of 400 or more */
    bool leftover_keep;
    bool retry_lost;      /* on_lost: "retry" */
    bool lines;           /* its stdout is read as lines: it needs a spool */
    struct value *pool;   /* string */
    int32_t priority;     /* of the job unless given */
    uint32_t slots;       /* ≥ 1 */
    struct value *limits; /* object or NULL */
};

enum leaf_state { LEAF_WANTED, LEAF_LAUNCHED, LEAF_ENDED };

/* The path of {"file": …} or {"append": …}; NULL: it is neither. */
const struct value *stream_path(const struct value *v, bool *append);
/* "stdout", of stderr. */
bool stream_is_stdout(const struct value *v);

/*
 * A command or a request of a task. Made by the runtime when the task reaches it; belongs to the
 * runtime; valid until runtime_leaf_ended() or effects->leaf_dropped() returns.
 */
struct leaf {
    uint64_t job;
    uint32_t task;
    uint64_t
        seq; /* order of wanting, ascending within the runtime's life and across restarts per job */
    uint64_t attempt;       /* number, 0 before the launch */
    uint64_t first_attempt; /* the same, but of the first one when earlier ones were lost */
    enum leaf_state state;
    bool cancelled; /* its end is wanted */
    struct leaf_spec spec;
    void *user; /* the scheduler's */
};

/* How a leaf ended. Strings are bytes as the command wrote them, without its trailing newlines, at
 * most 1 MiB. */
struct leaf_outcome {
    enum leaf_how {
        LEAF_EXITED,
        LEAF_SIGNALED,
        LEAF_NOT_STARTED, /* or a request without an answer */
        LEAF_LOST,
        LEAF_ANSWERED, /* a request */
    } how;
    int status;            /* exit status, signal, HTTP status; 127 or 126 for NOT_STARTED */
    const char *text;      /* for NOT_STARTED and LOST: what happened */
    bool unsent;           /* LOST: it was never begun, it may be wanted again in any case */
    struct value *headers; /* ANSWERED: an object of strings; borrowed. Its body is `out` */
    const char *out, *err;
    size_t out_len, err_len;
    bool truncated;
    double duration_s;
    /* With spec.lines: whether the output is in a spool of so many bytes; else `out` has all of it.
     */
    bool spooled;
    uint64_t spool_bytes;
};

/* Called from inside runtime_* calls; must not call back into the runtime. Nothing of it may leave
 * the daemon before the rows that runtime_collect() gives next are on disk. */
struct runtime_effects {
    void (*leaf_wanted)(void *arg, struct leaf *leaf);
    /* The leaf's end is wanted. LEAF_WANTED: forget it, it is gone when this returns.
     * LEAF_LAUNCHED: stop the command; runtime_leaf_ended() comes later as for any. */
    void (*leaf_dropped)(void *arg, struct leaf *leaf);
    /* Its job is killed: it is gone when this returns. LEAF_LAUNCHED: kill the command, nobody
     * asks for its end any more. */
    void (*leaf_gone)(void *arg, struct leaf *leaf);
    /* More of the output of a leaf with spec.lines is wanted, until runtime_lines_want() says no.
     * May be NULL. */
    void (*lines_wanted)(void *arg, struct leaf *leaf);
    /* A line of the job's output; seq counts from 1. */
    void (*printed)(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len);
    /* A task's state changed in a way a watcher sees: created, launched, ended (not every
     * suspension). */
    void (*task_changed)(void *arg, uint64_t job, uint32_t task, enum task_state state);
    /* The job is over. value or error (one is NULL) are borrowed. runtime_collect() still gives its
     * last rows; the job is gone from the runtime after that. */
    void (*job_ended)(void *arg, uint64_t job, enum job_end how, struct value *value,
                      struct value *error);
    /* A tick begins: it runs what is ready now. */
    void (*tick)(void *arg, uint64_t job);
    /* An error nobody retrieved, or another diagnostic of the job: one line. */
    void (*diagnostic)(void *arg, uint64_t job, const char *text);
};

struct runtime *runtime_new(const struct runtime_effects *effects, void *arg);
void runtime_free(struct runtime *rt);

/* Starts a job at time now_us; takes a reference to the program. First steps happen in
 * runtime_tick(). owner: jobs of the same one share the objects that have names. */
void runtime_start(struct runtime *rt, uint64_t job, uint32_t owner, struct program *program,
                   int64_t now_us);

/* Of the job's commands from now on that say none themselves; at first it is the document's. */
void runtime_set_priority(struct runtime *rt, uint64_t job, int priority);

/*
 * The task whose gather over items is the first that a job does (besides making objects and setting
 * variables); 0: it does something else first.
 */
uint32_t runtime_gatherer(const struct program *program);
/* Results of that task's children in an earlier run of the same program (see task/given.h). */
struct given;
struct given *given_new(void);
void given_free(struct given *g);
/* An end row's task and result; an error is left out. */
void given_add(struct given *g, uint32_t task, const char *result, size_t len);
/* As runtime_start(); runs the job until its gather has begun, with what is given (taken over):
 * such tasks end with that value in their first step. */
void runtime_start_given(struct runtime *rt, uint64_t job, uint32_t owner, struct program *program,
                         int64_t now_us, struct given *g);

/*
 * Runs ready steps: completions, then due timers, then what is ready now; until nothing is ready at
 * this time or about `budget` steps were made (a job's tick may be left half-done). True when work
 * is left.
 */
bool runtime_tick(struct runtime *rt, int64_t now_us, unsigned budget);
/* Steps made so far: what budgets count. */
uint64_t runtime_steps(const struct runtime *rt);
/* Time of the next timer, INT64_MAX when none. */
int64_t runtime_next_us(const struct runtime *rt);

/* The leaf got its slot and its launch is being recorded: its timeout starts to count. */
void runtime_leaf_launched(struct runtime *rt, struct leaf *leaf, uint64_t attempt, int64_t now_us);
/* Before its launch, while no scheduler looks at it. */
void runtime_leaf_prefer(struct leaf *leaf, int priority);
/* The launched leaf's command has ended. */
void runtime_leaf_ended(struct runtime *rt, struct leaf *leaf, const struct leaf_outcome *outcome);
/*
 * For a leaf with spec.lines. Its stdout is read from a spool outside, whose positions are only
 * numbers here: from *position on when more is wanted (also after its end, until spool_bytes). The
 * leaf is valid while runtime_leaf_find() gives it.
 */
bool runtime_lines_want(struct leaf *leaf, uint64_t *position);
/* Some bytes of stdout (may be none); `next` is where reading goes on. lost: nothing more will
 * come, and why; NULL: all is well. */
void runtime_leaf_data(struct runtime *rt, struct leaf *leaf, const char *data, size_t len,
                       uint64_t next, const char *lost);
/* What lies before this position is taken, as the rows that runtime_collect() gives next say (or
 * is a part of a line that has no end yet). */
uint64_t runtime_lines_taken(struct leaf *leaf);
/* What it runs, for people: its words, or the text of a script; one line, of at most `max` bytes
 * (and then `…`). */
void leaf_spec_text(const struct leaf_spec *spec, size_t max, struct buf *out);
/* By attempt number among the live jobs' launched leaves; NULL when none. */
struct leaf *runtime_leaf_find(struct runtime *rt, uint64_t attempt);

/* Cancels the main task (clean-up runs). False when the job is not live. */
bool runtime_cancel(struct runtime *rt, uint64_t job);

/* Ends a job at once as cancelled: nothing of it runs any more, no clean-up either. False when it
 * is not live. */
bool runtime_kill(struct runtime *rt, uint64_t job);

/* What a live job looks like now, for job.tree. Called once a task in order of creation. */
struct task_view {
    uint32_t id, parent; /* parent 0: none */
    char name[128];      /* name, or what it runs: `worker`, `run sha256sum …` */
    enum task_state state;
    int64_t created_us, finished_us; /* 0: not yet */
    char awaits[160]; /* "sleep until …", "task 1.3", "run make", "gather of 8, 3 done"; "" when it
                         runs */
    uint64_t attempt;    /* of its current leaf, 0 */
    struct value *error; /* borrowed, NULL */
    /* For those who want to know more of what it waits for; borrowed. */
    const struct leaf *leaf; /* its current one, NULL */
    int64_t until_us;        /* of a sleep; 0 */
};
bool runtime_view(struct runtime *rt, uint64_t job,
                  bool (*each)(void *arg, const struct task_view *v), void *arg);

/* How many of its tasks have not ended. */
size_t runtime_job_tasks(const struct runtime *rt, uint64_t job);

/* Who waits for which task that has not ended, while each() gives true; false when the job is not
 * live. */
bool runtime_waits(struct runtime *rt, uint64_t job,
                   bool (*each)(void *arg, uint32_t waiter, uint32_t awaited), void *arg);
/* It is now_us: what is shown of the job until its next tick counts from then. */
void runtime_pass_time(struct runtime *rt, uint64_t job, int64_t now_us);

/*
 * Rows changed since the last call, as they are now (a row changed ten times comes once). Called at
 * a tick's boundary or between budgets.
 */
struct task_row {
    uint64_t job;
    uint32_t id, parent;
    bool fresh;       /* was never collected before: the row is new */
    const char *name; /* for history */
    int64_t created_us;
    const char *frame; /* binary, the runtime's own */
    size_t frame_len;
};
struct task_end_row {
    uint64_t job;
    uint64_t seq; /* per job, ascending: order of completion */
    uint32_t task;
    enum task_state state;
    int64_t finished_us;
    const char *result; /* binary, the runtime's own: value or error */
    size_t result_len;
    const char *error; /* JSON text of the error for history, NULL when none */
};
/* A queue, a lock and so on: its state; and what is in a queue. Those with names have job 0. */
struct object_row {
    uint64_t job;
    uint32_t id;
    bool fresh;
    const char *state; /* binary, the runtime's own */
    size_t state_len;
};
struct item_row {
    uint64_t job;
    uint32_t object;
    uint64_t seq; /* ascending: order of putting */
    const char *value;
    size_t value_len;
};
/* A member that is NULL: nobody wants to know of those. */
struct runtime_sink {
    void (*task)(void *arg, const struct task_row *row);
    void (*task_end)(void *arg, const struct task_end_row *row);
    /* The job's own part: counters, phase. */
    void (*job)(void *arg, uint64_t job, const char *state, size_t len);
    void (*object)(void *arg, const struct object_row *row);
    /* The row and the rows of its items go. */
    void (*object_gone)(void *arg, uint64_t job, uint32_t object);
    void (*item)(void *arg, const struct item_row *row); /* a new row */
    /* The rows of its items from first to last go. */
    void (*items_gone)(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last);
    /* The job is over: the rows of all its objects and their items go. */
    void (*objects_gone)(void *arg, uint64_t job);
};
/* What it gave before must be on disk when it is called. */
void runtime_collect(struct runtime *rt, const struct runtime_sink *sink, void *arg);

/*
 * Takes up a job from its rows. Feed: begin, then every task row (ascending id), then every end row
 * (ascending seq), every object's row, every item's (by object, ascending seq), then finish. Leaves
 * that were wanted are wanted again through effects->leaf_wanted in their old order, launched ones
 * are found by runtime_leaf_find(). False with err when a row is damaged: the job is not taken up.
 */
struct job_loader;
struct job_loader *runtime_load_begin(struct runtime *rt, uint64_t job, uint32_t owner,
                                      struct program *program, const char *state, size_t len);
bool runtime_load_task(struct job_loader *l, const struct task_row *row, struct err *err);
bool runtime_load_end(struct job_loader *l, const struct task_end_row *row, struct err *err);
bool runtime_load_object(struct job_loader *l, const struct object_row *row, struct err *err);
bool runtime_load_item(struct job_loader *l, const struct item_row *row, struct err *err);
/* Frees the loader in any case. */
bool runtime_load_finish(struct job_loader *l, struct err *err);

/*
 * The objects with names: the rows of job 0 come before all jobs, then the jobs, then done. False
 * with err: that row is damaged, and its object as if it had been removed.
 */
bool runtime_load_named(struct runtime *rt, const struct object_row *row, struct err *err);
bool runtime_load_named_item(struct runtime *rt, const struct item_row *row, struct err *err);
/* All jobs that could be are taken up: what others held is free. */
void runtime_load_named_done(struct runtime *rt);
/* Jobs may come later, and clients (visit.h): who waits at an object with a name does not wait in
 * vain. Before the first of them. */
void runtime_expect_others(struct runtime *rt);

/*
 * So many live tasks of all jobs together: a job then gets RuntimeError when it makes more. One
 * with few tasks still may until they are twice as many. None unless set.
 */
void runtime_limit_tasks(struct runtime *rt, size_t max);
/* value_bytes() from which on a variable is worth a row of its own (keep.h); for tests: all are. */
void runtime_keep_from(struct runtime *rt, size_t bytes);
size_t runtime_live_tasks(const struct runtime *rt);

/* The node kinds, for program_parse(). */
const struct program_kinds *runtime_kinds(void);

#endif
