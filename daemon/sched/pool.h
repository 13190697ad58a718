#ifndef COROD_SCHED_POOL_H
#define COROD_SCHED_POOL_H
/*
 * Pools: named numbers of slots. A leaf waits in its pool until it is the first in line, by
 * priority and then by order of wanting, and its slots are free. Nobody overtakes, so a leaf that
 * needs many slots is not starved. A paused pool starts nothing; the leaves of a paused job keep
 * their place in the order while others pass them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/task/runtime.h"
#include "proto/err.h"

struct pools;
struct place;
LIST_HEAD(place_list, place);

enum { POOL_MAX_SLOTS = 100000 };

/* A pool "default" of that many slots is there from the start. */
struct pools *pools_new(uint32_t default_slots);
void pools_free(struct pools *p);

/* Creates or changes a pool. Fewer slots than are taken: the next ones wait. */
bool pools_set(struct pools *p, const char *name, uint32_t slots, struct err *err);

/* A paused pool gives no slots. False: there is no such pool. */
bool pools_pause(struct pools *p, const char *name, bool paused, struct err *err);
/* The leaves of a paused job get no slots, also those that come later. */
void pools_pause_job(struct pools *p, uint64_t job);
/* Its leaves go on in their old order; nothing happens when it is not paused. */
void pools_resume_job(struct pools *p, uint64_t job);

/*
 * The leaf waits in pool `name`. False with err when it never could start: no such pool, or it
 * needs more slots than the pool has (unless it waited there before a restart: the pool was made
 * smaller since). leaf->user is the scheduler's until pools_leave(). siblings: NULL, or a list that
 * has its place while it waits: of the leaves of a job.
 */
bool pools_enter(struct pools *p, struct leaf *leaf, const char *name, bool waited_before,
                 struct place_list *siblings, struct err *err);
/* Takes those that wait out of their lines: *ret, the caller's to free(). They may change, and are
 * to enter again. */
size_t pools_take(struct place_list *siblings, struct leaf ***ret);
/* The next leaf that may start, its slots taken; NULL when none may. */
struct leaf *pools_next(struct pools *p);
/* A leaf that runs already (after a restart): takes its slots without waiting, even beyond what
 * there are. */
void pools_enter_running(struct pools *p, struct leaf *leaf, const char *name);
/* The leaf has ended or is not wanted any more: its place or its slots are free. NULL user is
 * allowed. */
void pools_leave(struct leaf *leaf);

/* The leaf goes, but what it started runs on: its slots are kept until pools_give_back(). NULL
 * when it has none. */
struct place *pools_keep(struct leaf *leaf);
void pools_give_back(struct place *x); /* NULL is allowed */
/* Its pool's name. */
const char *pools_kept_in(const struct place *x);

struct pool_stats {
    const char *name;
    uint32_t slots, taken;
    size_t waiting;
    bool paused;
};
void pools_each(const struct pools *p, void (*each)(void *arg, const struct pool_stats *s),
                void *arg);
struct pool_place {
    struct pool_stats pool; /* its name is borrowed */
    uint32_t slots;         /* that the leaf needs or has */
    bool waiting;
};
/* Where the leaf waits or runs; false: nowhere. */
bool pools_place(const struct leaf *leaf, struct pool_place *ret);
/* How many wait where the leaf waits and come before it, those of paused jobs not counted. O(n) of
 * who waits there. */
size_t pools_ahead(const struct leaf *leaf);
/* Whether the leaf waits for a slot. */
bool pools_is_waiting(const struct leaf *leaf);

#endif
