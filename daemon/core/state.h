#ifndef COROD_CORE_STATE_H
#define COROD_CORE_STATE_H
/* The engine's own structures, shared by the files of this folder. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/heap.h"
#include "daemon/base/map.h"
#include "daemon/base/worker.h"
#include "daemon/core/effects.h"
#include "daemon/core/engine.h"
#include "daemon/core/retain.h"
#include "daemon/run/exec.h"
#include "daemon/run/http.h"
#include "daemon/sched/pool.h"

enum { SHA_BYTES = 32 };

/* Content that jobs share, by its SHA-256: a program or an environment. */
struct shared {
    unsigned char sha[SHA_BYTES];
    unsigned refs;
    bool stored; /* its row is in a batch or on disk */
    bool in_map;
    struct map *map;
    struct program *program;   /* of a program … */
    struct mistakes warnings;  /* … what its check warned of */
    struct value *environment; /* of an environment: object of strings */
};

/* Stored: the numbers stay. */
enum pause { PAUSE_NONE, PAUSE_STARTS, PAUSE_FROZEN };

/* A job waits for the end of another one. */
struct dependency {
    struct gate *gate; /* of the one that waits */
    struct after after;
    bool settled;
    struct live *other;           /* NULL: it has ended … */
    enum job_state how;           /* … like this */
    TAILQ_ENTRY(dependency) link; /* of those that wait for the same, or of engine.settling */
};
TAILQ_HEAD(dependencies, dependency);

/* Of a job that has not started yet: gate.c. */
struct gate {
    struct live *job;
    bool held, queued;
    struct heap_entry delay, at; /* runtime's time; wall clock */
    struct dependency *after;
    size_t n, n_pending;
    /* What it waited for cannot be any more: gate_check() ends it. */
    bool is_impossible;
    struct after impossible;
    enum job_state how;
    TAILQ_ENTRY(gate) link; /* of engine.starts */
};

/* A job that has not ended, or whose end is not on disk yet. */
struct live {
    uint64_t id;
    unsigned char uuid[16];
    uint32_t uid, gid;
    enum job_state state;
    struct shared *program, *environment; /* environment may be NULL */
    char *key, *cwd, *pool;               /* NULL: none; cwd is the effective one */
    char *name;                           /* this and the next two: at first the document's */
    struct value *labels;                 /* NULL: none */
    int priority;
    int umask;
    int64_t created_us, started_us, finished_us; /* wall clock; 0: not yet */
    uint64_t retry_of;                           /* 0: of none */
    uint64_t output_seq;
    int64_t output_bytes; /* of what it printed, and of its rows; beyond config->log_cap_bytes it is
                             cut */
    struct place_list waiting; /* leaves that wait for slots */
    bool launched;             /* ever */
    enum pause pause;
    struct gate *gate; /* NULL: it has started */
    struct dependencies dependents;
    /* What the next batch must write. */
    bool fresh, dirty, ended, on_dirty_list, gate_changed;
    struct live *next_dirty;
    struct buf runtime; /* the runtime's part; len 0: unchanged */
    struct buf value, error;
    int exit;              /* once it has ended */
    size_t oversize_bytes; /* ≠ 0: its state cannot be kept; SIZE_MAX: that was dealt with */
};

enum attempt_state {
    ATTEMPT_RECORDED,  /* its launch is in a batch */
    ATTEMPT_COMMITTED, /* its launch is on disk; to be sent */
    ATTEMPT_SENT,
    ATTEMPT_ENDED, /* its end is in a batch */
};

struct attempt {
    uint64_t number, job;
    uint32_t task;
    enum attempt_state state;
    bool same_boot, resolving, stop;
    bool http;           /* a request: nothing of it goes to the executor */
    bool kill;           /* its job was killed: it is stopped without grace */
    struct leaf *leaf;   /* NULL: nobody waits for it any more */
    struct place *slots; /* of a leaf that is gone, until it has ended */
    int64_t launched_us;
    int64_t pid;                 /* 0 until it is told */
    struct attempt *prev, *next; /* ascending numbers */
};

struct engine {
    struct loop *loop;
    const struct config *config;
    void (*on_event)(void *arg, const struct event *e);
    void *arg;
    struct store *store;
    struct runtime *runtime;
    struct pools *pools;
    struct exec_client *exec;
    struct worker *worker;
    struct retain *retain;
    struct alarm *timer; /* of the runtime's next deadline */

    struct map jobs;     /* id → struct live */
    struct map attempts; /* number → struct attempt */
    struct attempt *first_attempt, *last_attempt;
    struct map programs, environments; /* sha → struct shared */
    struct map keys; /* (uid, key) being submitted → struct submit, see submit.c */
    uint64_t next_job, next_attempt, next_event;

    /* The rule of the tick: what is open goes on disk with the next batch. */
    struct batch open, committing;
    struct effects effects, releasing; /* … and what waits for it and for the last one */
    struct effects released;           /* nothing keeps these any more */
    struct live *dirty_jobs;
    bool is_committing;

    /* Leaves that can never start, to be told to the runtime outside its calls. */
    struct failed_leaf *failed;
    size_t n_failed, cap_failed;

    /* gate.c */
    struct heap delays, ats;
    TAILQ_HEAD(, gate) starts;    /* open gates, in the order of opening */
    struct dependencies settling; /* of jobs that have ended; who waits is not told yet */

    TAILQ_HEAD(, simulating) simulations;
    size_t n_simulations;

    bool exec_seen;  /* its highest number is known: launches may be numbered */
    bool exec_ready; /* up, and all open attempts are resolved */
    size_t n_resolving;
    bool draining;
    bool stopping; /* nothing is started any more */

    /* attempt_http.c */
    struct http_client *http;
    struct http_options http_options;
    struct alarm *patience;      /* with requests in flight at the stop */
    void (*on_quiet)(void *arg); /* NULL: nobody waits */
    void *quiet_arg;

    /* spool.c */
    struct map spools;                      /* attempt → struct spool */
    struct spool *first_spool, *last_spool; /* that are to be read */
    struct outlog_follower *follower;
    struct alarm *spool_poll;

    struct err storage_trouble, exec_trouble; /* code 0: all is well */
    uint64_t exec_trouble_of;                 /* the attempt that it is about; 0: none */
    char boot_id[BOOT_ID_SIZE];
    int64_t clock_offset_us; /* runtime's time = boot clock + this */
    int64_t clock_seen_us;   /* the last that was noted in the store */
    int64_t started_us;
    size_t n_running;
};

struct failed_leaf {
    struct leaf *leaf;
    char *text;
};

/* engine.c */
int64_t engine_now_us(const struct engine *e); /* the runtime's time */
struct live *engine_job(struct engine *e, uint64_t id);
void engine_emit(struct engine *e, enum event_type type, const struct live *job, uint32_t task,
                 int state, uint64_t n, const char *text, size_t len);

/* A line of diagnostics of a job. */
void engine_diagnose(struct engine *e, struct live *job, const char *text);

/* The job is over: its row, its event, those that wait for it. value, error: NULL or borrowed. */
void job_end(struct engine *e, struct live *job, enum job_state state, struct value *value,
             struct value *error);

/* gate.c: what keeps a job from starting */
struct gate_setting {
    bool held;
    int64_t delay_until_us, at_us; /* runtime's time; wall clock; 0: none */
    struct after_list after;       /* borrowed */
    const enum job_state *ended;   /* how those of them ended that are not live */
};
/* Closes the way of a job that has not started, or queues it; sets its state, without an event. */
void gate_new(struct engine *e, struct live *job, const struct gate_setting *s);
/* Ends it when that is decided already. */
void gate_check(struct engine *e, struct live *job);
void gate_free(struct engine *e, struct live *job);
/* From now; wall clock; 0: none. */
void gate_set_time(struct engine *e, struct live *job, int64_t delay_us, int64_t at_us);
void gate_cancel(struct engine *e, struct live *job);
/* Its program is at its first commands, none of which has had a slot; it may be paused. job may be
 * NULL. */
bool job_is_queued(const struct live *job);
/* Those that wait for the job are told by the next two. */
void gates_on_end(struct engine *e, struct live *ended);
/* Tells a bounded number, in the order of the ends; the rest is told with later commits. */
void gates_settle(struct engine *e);
/* Tells all who wait for this job, whose end nobody could read any more after a crash. */
void gates_settle_before_removal(struct engine *e, uint64_t id);
/* Opens gates whose time has come, starts what may start. */
void gates_serve(struct engine *e);
/* There is something to start. */
bool gates_may_start(const struct engine *e);
/* When the next one is due, in the runtime's time; INT64_MAX: none is. */
int64_t gates_next_us(const struct engine *e);
/* The four columns; NULL: it has started. */
void gate_write(const struct gate *g, struct batch *b);

/* rows.c: jobs as rows */
void job_mark_dirty(struct engine *e, struct live *job);
/* Sets the state, with its event. */
void job_set_state(struct engine *e, struct live *job, enum job_state state);
/* Queued while it only waits for its first slot, else running. */
void job_refresh_state(struct engine *e, struct live *job);
void batch_json_or_null(struct batch *b, struct value *v);
/* Adds what changed to e->open. */
void rows_collect(struct engine *e);
/* Of a job that is over: its queues, locks and their like. */
void rows_remove_objects(struct engine *e, uint64_t job);
void live_free(struct live *job);

/* exit.c: error: what it failed with, or NULL */
int exit_of_job(enum job_state state, const struct value *error);

/* shared.c */
void sha256(const void *p, size_t len, unsigned char out[SHA_BYTES]);
void uuid7(unsigned char u[16], int64_t now_us); /* version 7 (RFC 9562), of the wall clock */
struct shared *shared_find(struct map *m,
                           const unsigned char sha[SHA_BYTES]); /* a new reference or NULL */
struct shared *shared_add(struct map *m, const unsigned char sha[SHA_BYTES]); /* one reference */
void shared_unref(struct shared *s);
struct shared *environment_get(struct engine *e,
                               struct value *env); /* a reference; NULL for NULL or {} */

/* attempt.c */
extern const struct exec_events engine_exec_events;
/* Grants slots, tells failed leaves; true when the runtime was told something. */
bool attempts_launch(struct engine *e);
void attempt_release_start(struct engine *e, uint64_t number);
void attempt_release_stop(struct engine *e, uint64_t number);
void attempt_release_pause(struct engine *e, uint64_t number);
void attempt_release_settle(struct engine *e, uint64_t number);
/* The pool that it takes its slots from; borrowed. job may be NULL. */
const char *leaf_pool(const struct live *job, const struct leaf *leaf);
void attempt_leaf_wanted(struct engine *e, struct leaf *leaf);
void attempt_leaf_dropped(struct engine *e, struct leaf *leaf);
void attempt_leaf_gone(struct engine *e, struct leaf *leaf);
struct attempt *attempt_add(struct engine *e, uint64_t number, uint64_t job, uint32_t task);
void attempts_free(struct engine *e);
/* Its end goes into the open batch and to its leaf. answer: what the leaf of a request is told;
 * end then has the rest for the row. */
void attempt_finish(struct engine *e, struct attempt *a, const struct exec_end *end,
                    const struct leaf_outcome *answer);
/* output.c: what a command wrote, as values have it */
struct streams {
    struct buf out, err;
    bool truncated;
};
/* Appends to *s, without the last newlines, or what was cut without half a character. */
void output_read(struct engine *e, const struct exec_end *end, struct streams *s);
/* Cuts off an unfinished UTF-8 sequence at the end. */
void output_trim_character(struct buf *b);

/* attempt_http.c: attempts that are requests */
#define POOL_OF_REQUESTS "http"
enum { REQUEST_SLOTS = 10000 }; /* of that pool, unless it was set */
void http_attempts_init(struct engine *e);
void http_attempts_free(struct engine *e);
/* Its launch is on disk. */
void http_attempt_send(struct engine *e, struct attempt *a);
void http_attempt_stop(struct engine *e, struct attempt *a);
/* After a start: those that were open are lost. */
void http_attempts_recover(struct engine *e);
/* Tells who waits for the end of all requests, if that has come. */
void http_attempts_look(struct engine *e);

/* spool.c: the output of commands whose lines are read */
void spool_wanted(struct engine *e, struct leaf *leaf);
/* The attempt's end was told to the runtime: what is left is read, or nothing more is. */
void spool_ended(struct engine *e, uint64_t number);
/* Reads a bounded part of what is wanted; true when there was something to do. */
bool spools_serve(struct engine *e);
void spool_release_credit(struct engine *e, uint64_t number, uint64_t position);
/* The executor says that it runs: what it may not know is told again. */
void spool_resolved(struct engine *e, uint64_t number);
void spools_free(struct engine *e);

/* start.c: what the executor is told of a leaf */
/* Sends it; false with err when it cannot be built (bad bytes, too large). */
bool attempt_send(struct engine *e, const struct attempt *a, struct err *err);

/* The path seen from dir (NULL: /) unless it is absolute; dir's when path is NULL. To free(); NULL
 * when both are. */
char *path_in(const char *dir, const char *path);

/* What a job that is made again has from the one before; the rest is as in a submission. */
struct origin {
    uint64_t retry_of;
    char *name, *pool;
    struct value *labels;
    int priority;
    bool failed; /* what went well is given */
    struct given *given;
};
void origin_free(struct origin *o); /* NULL is allowed */
/* submit.c: as engine_submit(); o is taken over. Its s->cwd and umask are those of the job, keys
 * and what keeps a job from starting do not count. */
void submission_again(struct engine *e, const struct submission *s, struct origin *o,
                      void (*on_done)(void *arg, const struct submitted *r,
                                      const struct mistakes *errors, const struct err *err),
                      void *arg);
/* retry.c: reads what is given to o's program; then(arg, NULL) or with err. */
void retry_read_given(struct engine *e, struct origin *o, const struct program *program,
                      void (*then)(void *arg, const struct err *err), void *arg);

/* submit.c: a submission that will not be answered any more */
void submission_drop(void *submit);

/* Only checks: program is borrowed, NULL when there are errors. */
void submission_parse(struct engine *e, const char *text, size_t len,
                      void (*on_parsed)(void *arg, struct program *program,
                                        const struct mistakes *errors),
                      void *arg);

/* simulate.c: a slice of one; true when there was one */
bool simulations_turn(struct engine *e);
void simulations_free(struct engine *e);

/* recover.c */
bool engine_recover(struct engine *e, struct err *err);

#endif
