#ifndef COROD_TASK_GATHER_H
#define COROD_TASK_GATHER_H
/*
 * The future that gather() gives in asyncio, and the semaphore of a gather with a limit. Both
 * outlive the activation that made them: an error goes to the awaiter at once, the siblings run on.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/value.h"
#include "daemon/task/waiter.h"
#include "proto/buf.h"

struct job;
struct job_loader;
struct task;

enum gather_state { GATHER_PENDING, GATHER_RESULTS, GATHER_ERROR, GATHER_ORPHAN };

struct gather {
    uint32_t refs, id;
    struct job *job;
    struct task *awaiter;   /* not counted; NULL: the shutdown's, or an orphan */
    struct task **children; /* each counted; a task may come twice */
    uint32_t n, cap;
    uint32_t futures;  /* different ones among them */
    uint32_t finished; /* of them, seen */
    uint8_t state;
    bool return_exceptions, cancel_requested, shutdown;
    struct value *error; /* of GATHER_ERROR */
};

struct gather *gather_new(struct job *job, bool return_exceptions);
void gather_unref(struct gather *g);
/* Adds a child; a task that is there already is shared. */
void gather_add(struct gather *g, struct task *child);
/* All are added: takes in those that were done before. */
void gather_begin(struct gather *g);
/* A child's done-callback. */
void gather_child_done(struct gather *g, struct task *child);
/* Nobody will ask for its outcome any more. */
void gather_abandon(struct gather *g);
/* The list of results, a new reference; NULL: *error. */
struct value *gather_results(const struct gather *g, struct value **error);
/* Drops the children. */
void gather_clear(struct gather *g);

void gather_save(const struct gather *g, struct buf *out);
bool gather_load(struct gather *g, struct job_loader *l, struct reader *r);
/* A child of the shutdown, found by its callback. */
void gather_load_child(struct gather *g, struct task *child, bool seen);

/* asyncio.Semaphore as of 3.13. */
struct sem {
    uint32_t refs;
    uint32_t gather; /* the id of its gather: names it in rows */
    int64_t limit, value;
    struct waiters waiters;
};
struct sem *sem_new(uint32_t gather, int64_t limit);
struct sem *sem_ref(struct sem *s);
void sem_unref(struct sem *s);

#endif
