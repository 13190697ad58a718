#ifndef COROD_TASK_WATCH_H
#define COROD_TASK_WATCH_H
/*
 * Done-callbacks of several tasks that belong to one activation: of a task_group, a wait, a race, a
 * shield, an as_completed.
 *
 * What has happened is in the rows of the tasks' ends, so that the row of the one who watches need
 * not follow them: in it are only the watched tasks, as ranges. A callback is not in its task's row
 * either before something else changes there: those that are missing are younger than all that are
 * in the row, so that they can be put back in order of their watches.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/value.h"
#include "proto/buf.h"

struct job;
struct job_loader;
struct task;

enum watch_kind {
    WATCH_ORPHAN, /* nobody cares any more */
    WATCH_GROUP,  /* a task_group: all[] are its children that may not be done, not saved */
    WATCH_WAIT,
    WATCH_COMPLETED,
    WATCH_RACE,
    WATCH_SHIELD,
};
enum watch_until { UNTIL_ALL, UNTIL_FIRST, UNTIL_ERROR };

struct watched {
    struct task *task; /* counted */
    bool soon;         /* was done when it was added: its callback came at once */
};

struct watch {
    uint32_t refs, id;
    struct job *job;
    struct task *owner; /* not counted; NULL for an orphan */
    uint8_t kind, until;
    bool waiting;                                      /* the owner waits at its activation */
    bool aborting, parent_cancelled, exiting, entered; /* of a group, as in asyncio's TaskGroup */
    uint32_t left;                                     /* callbacks that have not run */
    struct watched *all;
    size_t n, cap;
    uint64_t soon_seq; /* the handle of the first that came at once; the others follow */
    /* COMPLETED: those that ended and were not taken; RACE: the first. Counted. */
    struct task **ended;
    size_t first_ended, n_ended, cap_ended;
    uint32_t taken, seen;  /* COMPLETED: given away; seen: while it is loaded */
    struct value **errors; /* GROUP: in order of completion */
    size_t n_errors, cap_errors;
};

struct watch *watch_new(struct task *owner, enum watch_kind kind);
struct watch *watch_ref(struct watch *w);
void watch_unref(struct watch *w); /* NULL is allowed */
/* Its activation is over: it forgets all. */
void watch_abandon(struct watch *w);

/* Collects a task, once if it comes again; watch_begin() adds the callbacks. */
void watch_take(struct watch *w, struct task *t);
/* sort: in order of creation, as corod has it for what is a set in CPython. */
void watch_begin(struct watch *w, bool sort);
/* A new child of a group. */
void watch_add_child(struct watch *w, struct task *child);
/* Suspends the owner, whose activation on top is the watch's, until on_event(). */
void watch_suspend(struct watch *w);
/* The next that is completed, the caller's reference; NULL: none yet. */
struct task *watch_next(struct watch *w);
/* How many of all are done. */
uint32_t watch_done(const struct watch *w);

/* The callback's turn (of a handle or when it is loaded). */
void watch_child_done(struct watch *w, struct task *child);

/* Parts of these, for loading. */
void watch_append(struct watch *w, struct task *t);
void watch_add_callback(struct watch *w, struct task *t);
void watch_add_ended(struct watch *w, struct task *t);

/* ---- groups (group.c) ---- */

/* asyncio's TaskGroup._on_task_done() and _abort(). */
void group_child_done(struct watch *w, struct task *child);
void group_abort(struct watch *w);
/* asyncio's checks of create_task(). False: *error. */
bool group_may_create(const struct watch *w, struct value **error);
struct value *group_value(struct watch *w);
/* Borrowed; NULL: no task_group. */
struct watch *group_of(const struct value *v);
void group_add_error(struct watch *w, struct value *error); /* takes over */

/* ---- rows ---- */

void watch_save(const struct watch *w, struct buf *out);
/* A new reference; NULL: damaged. */
struct watch *watch_load(struct task *owner, enum watch_kind kind, struct job_loader *l,
                         struct reader *r);
/* A watch by id; an orphan unless its activation is found. A new reference. */
struct watch *load_watch(struct job_loader *l, uint32_t id);
/* All rows of live tasks are there: the callbacks that are not in them, and who is watched. */
bool watches_load(struct job_loader *l);
/* The callback of an ended task, with its handle's seq: it is still to come, or has been. */
bool watch_load_callback(struct job_loader *l, uint32_t task, uint64_t id, uint64_t seq);
/* All tasks are there: what the watches have seen, in order. */
void watches_load_seen(struct job_loader *l);

/* Ids, those that follow each other as one. */
void tasks_save(struct task *const *all, size_t n, struct buf *out);
/* Each counted. False: damaged; what there is is in *all. */
bool tasks_load(struct job_loader *l, struct reader *r, struct task ***all, size_t *n);

#endif
