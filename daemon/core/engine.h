#ifndef COROD_CORE_ENGINE_H
#define COROD_CORE_ENGINE_H
/*
 * The engine: where runtime, pools, store and executor meet. It keeps the rule of the tick: what
 * happened is taken in, the runtime runs, what changed is committed, and only then anything leaves
 * the daemon. All calls are the loop's thread's.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "daemon/config.h"
#include "daemon/lang/program.h"
#include "daemon/store/store.h"
#include "daemon/task/runtime.h"
#include "daemon/task/simulate.h"
#include "daemon/task/visit.h"
#include "proto/err.h"
#include "proto/state.h"

enum event_type {
#define EVENT(name, text, help) EVENT_##name,
#include "proto/event.def"
#undef EVENT
    EVENT_COUNT
};
const char *event_type_name(enum event_type t);

/* Borrowed for the call. Delivered after the commit that it depends on. */
struct event {
    uint64_t seq;  /* ascending for ever; below 2^53 */
    int64_t at_us; /* wall clock */
    enum event_type type;
    uint64_t job;
    uint32_t uid;     /* the job's owner */
    uint32_t task;    /* of TASK_STATE, ATTEMPT_*; else 0 */
    int state;        /* enum job_state or enum task_state of *_STATE */
    uint64_t n;       /* OUTPUT: seq of the line; ATTEMPT_*: its number */
    const char *text; /* OUTPUT, DIAGNOSTIC; the job's name of JOB_CREATED; NULL */
    size_t len;
};

/* How an attempt that was a request ended, in its row; the others are enum exec_outcome. */
enum { HOW_ANSWERED = 16, HOW_UNANSWERED };

struct engine;

/* Opens the store, recovers, connects to the executor. on_event is the one observer. */
struct engine *engine_new(struct loop *l, const struct config *config,
                          void (*on_event)(void *arg, const struct event *e), void *arg,
                          struct err *err);
/* Commits what is pending, closes the store. Commands go on. */
void engine_free(struct engine *e);
/* The turn hook for loop_run(). */
bool engine_turn(void *engine);
struct store *engine_store(struct engine *e);

/* Calls fn(arg) when all that has happened so far is on disk (at once when it is). The one way to
 * reply. */
void engine_after_commit(struct engine *e, void (*fn)(void *arg), void *arg);

struct submission {
    uint32_t uid, gid;
    bool admin;       /* may wait for jobs of others */
    const char *text; /* the job document: JSON */
    size_t len;
    const char *key;   /* or NULL; a document's own key counts when this is NULL */
    const char *cwd;   /* the client's; the document's wins */
    struct value *env; /* object of strings, the client's; borrowed; NULL: empty */
    int umask;         /* -1: 022 */
};
struct submitted {
    uint64_t id;
    unsigned char uuid[16]; /* version 7 (RFC 9562) */
    enum job_state state;
    bool existing;                   /* the key was known: nothing new was made */
    const struct mistakes *warnings; /* borrowed; NULL: none */
};
/*
 * Checks and accepts a job. on_done comes once, after the commit (or with err: code of
 * proto/errors.def, mistakes for an invalid job). Everything in s is copied. Big documents are
 * parsed on a worker thread.
 */
void engine_submit(struct engine *e, const struct submission *s,
                   void (*on_done)(void *arg, const struct submitted *r,
                                   const struct mistakes *errors, const struct err *err),
                   void *arg);
/* Only checks. errors and warnings are borrowed. */
void engine_check(struct engine *e, const char *text, size_t len,
                  void (*on_done)(void *arg, const struct mistakes *errors,
                                  const struct mistakes *warnings),
                  void *arg);

struct simulating;
/*
 * Runs a job on virtual time (daemon/task/simulate.h), a slice in each turn of the loop. on_done
 * comes once: with the simulation (borrowed), or with errors (ERR_INVALID_JOB), or err alone; NULL
 * is returned when it has come already. Big documents are parsed on the worker.
 */
struct simulating *engine_simulate(struct engine *e, const char *text, size_t len, bool trace,
                                   void (*on_done)(void *arg, const struct simulation *s,
                                                   const struct mistakes *errors,
                                                   const struct err *err),
                                   void *arg);
/* Nobody wants it any more: on_done does not come. */
void engine_simulate_drop(struct simulating *s);

/* The id of the next job that will be accepted: all there are are below it. */
uint64_t engine_next_job(const struct engine *e);

/* A live job, as it is in memory (a reply that shows it waits for engine_after_commit). Borrowed
 * strings. */
struct live_job {
    uint64_t id;
    uint32_t uid;
    enum job_state state;
    bool frozen; /* paused, and its commands too */
    const char *name, *pool;
    int64_t created_us, started_us;
    size_t tasks; /* that have not ended */
};
bool engine_live_job(struct engine *e, uint64_t id, struct live_job *ret);
/* The live task tree, while each() gives true: a job may have a million tasks. False when it is not
 * live. */
bool engine_view(struct engine *e, uint64_t id, bool (*each)(void *arg, const struct task_view *v),
                 void *arg);
/* Who of its tasks waits for which other that has not ended, likewise. */
bool engine_waits(struct engine *e, uint64_t id,
                  bool (*each)(void *arg, uint32_t waiter, uint32_t awaited), void *arg);
/* What keeps a job from starting. */
struct gate_view {
    bool held;
    int64_t until_us;    /* wall clock; 0: its time has come */
    struct after *after; /* whose ends it waits for; in order, the caller's to free() */
    size_t n_after;
};
/* When the wall clock, as it is set now, will show what is until_us of the runtime's time;
 * to 10 ms. */
int64_t engine_wall_us(const struct engine *e, int64_t until_us);
/* False when it has started, or is not live. */
bool engine_gate(struct engine *e, uint64_t id, struct gate_view *ret);
/* A command of a live job: where it waits for a slot, or that it runs. Borrowed strings. */
struct leaf_view {
    const char *pool;
    uint32_t slots, pool_slots, pool_taken;
    bool pool_paused;
    bool http;           /* a request, which needs no executor */
    bool waiting;        /* for slots */
    bool stopping;       /* it is being ended */
    uint64_t attempt;    /* 0: not launched */
    int64_t launched_us; /* wall clock */
    int64_t pid;         /* 0: not known */
};
void engine_leaf(struct engine *e, const struct leaf *leaf, struct leaf_view *ret);
/* How many come before one that waits for slots. O(n) of who waits in its pool. */
size_t engine_leaf_ahead(const struct leaf *leaf);
/* The commands that have slots of a pool, oldest first, while each() gives true. */
void engine_each_holder(struct engine *e, const char *pool,
                        bool (*each)(void *arg, uint64_t job, uint32_t task), void *arg);
/* Cancels (clean-up runs; a paused job is resumed for it). False when it is not live. */
bool engine_cancel(struct engine *e, uint64_t id);
/* Ends it at once as cancelled: its commands get SIGKILL, no clean-up runs. False when it is not
 * live. */
bool engine_kill(struct engine *e, uint64_t id);
/*
 * Pauses a job that was started: its leaves get no slots; with freeze its running commands are
 * stopped, too. Of one that is paused already freeze is added. False with err (ERR_STATE).
 */
bool engine_pause(struct engine *e, uint64_t id, bool freeze, struct err *err);
/* Its commands and leaves go on. False with err (ERR_STATE): it is not paused. */
bool engine_resume(struct engine *e, uint64_t id, struct err *err);

/* Of a job that has not started; one that waits for its first slot is paused. False with err
 * (ERR_STATE). */
bool engine_hold(struct engine *e, uint64_t id, struct err *err);
/* Undoes that. False with err (ERR_STATE). */
bool engine_release(struct engine *e, uint64_t id, struct err *err);
struct job_setting {
    const char *name, *pool; /* NULL: as it was; name "": none */
    struct value *labels;    /* object of strings; NULL: as they were; borrowed */
    bool has_priority, has_time;
    int priority;
    int64_t delay_us, at_us; /* has_time: from now; wall clock; 0: none. Both 0: at once */
};
/* Of a job that has not started, or waits for its first slot: then without a time. False with err
 * (ERR_STATE; ERR_PARAMS: there is no such pool). */
bool engine_set_job(struct engine *e, uint64_t id, const struct job_setting *s, struct err *err);
/*
 * Removes a job whose end is on disk, with all that belongs to it: it is gone with the next commit,
 * its rows and log files follow little by little. A job that is not there is nothing to do. uid:
 * its owner's, for the event.
 */
void engine_remove(struct engine *e, uint64_t id, uint32_t uid);
/* Settings have changed: what they say of jobs that have ended is looked at soon. */
void engine_reloaded(struct engine *e);

/*
 * Makes a job that has ended again: the same program, environment, directory, owner and settings,
 * as a new one. failed: the results that its gather over items has recorded are given to it.
 * on_done as in engine_submit(). Whether it has ended and whose it is: the caller looks.
 */
void engine_retry(struct engine *e, uint64_t id, bool failed,
                  void (*on_done)(void *arg, const struct submitted *r,
                                  const struct mistakes *errors, const struct err *err),
                  void *arg);

struct pool_view {
    const char *name;
    uint32_t slots, taken;
    size_t waiting;
    bool paused;
};
void engine_each_pool(struct engine *e, void (*each)(void *arg, const struct pool_view *p),
                      void *arg);
bool engine_has_pool(struct engine *e, const char *name);
/* Creates or changes a pool (1 … 100,000 slots; name: letters, digits, - _ . up to 64). */
bool engine_pool_set(struct engine *e, const char *name, uint32_t slots, struct err *err);
/* A paused pool starts nothing. False with err: there is no such pool. */
bool engine_pool_pause(struct engine *e, const char *name, bool paused, struct err *err);

/* Named objects, as in daemon/task/visit.h; the engine's turn calls on_end. What it tells, but what
 * is_on_disk, and what was changed, waits for engine_after_commit. The visitor is visitor_free()'d
 * by whoever made it.
 */
struct visitor *engine_visitor(struct engine *e);
struct visit *engine_visit(struct engine *e, struct visitor *v, const struct visit_wish *wish,
                           void (*on_end)(void *arg, const struct visit_end *end,
                                          const struct err *err),
                           void *arg);
bool engine_queue_shutdown(struct engine *e, uint32_t uid, const char *name, bool immediate,
                           struct err *err);
bool engine_named_remove(struct engine *e, uint32_t uid, const char *name, bool force,
                         struct err *err);
void engine_each_named(struct engine *e, int64_t uid,
                       void (*each)(void *arg, const struct named_view *v), void *arg);

/* Asks the attempt's monitor to write its output so far to the log. */
void engine_flush_output(struct engine *e, uint64_t attempt);
/* Directory of the log files (executor's state), for run/outlog.h. */
const char *engine_log_dir(const struct engine *e);

/* No new job is accepted (ERR_DRAINING); running ones go on. */
void engine_drain(struct engine *e);
/* The daemon is to stop: nothing is started any more. on_quiet comes once, perhaps at once: when no
 * HTTP request is in flight, after 5 s in any case (what is left then is lost, as by a crash). */
void engine_wind_down(struct engine *e, void (*on_quiet)(void *arg), void *arg);

/* What is kept of jobs that have ended, as the last sweep found it. */
struct retain_stats {
    int64_t kept_jobs, log_bytes, free_bytes; /* -1: not known yet; free_bytes are the database's */
    uint64_t removed_jobs;                    /* since the daemon's start */
    int64_t last_sweep_us;                    /* wall clock; 0: none yet */
};

struct engine_stats {
    size_t live_jobs, live_tasks, running_commands;
    bool executor_up, storage_ok, draining;
    char trouble[1000]; /* why storage or executor is not all right; "" */
    int64_t started_us; /* the daemon's start, wall clock */
    struct retain_stats retain;
    struct store_stats store;
};
void engine_get_stats(struct engine *e, struct engine_stats *ret);

#endif
