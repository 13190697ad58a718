#ifndef COROD_RPC_TASKS_H
#define COROD_RPC_TASKS_H
/*
 * The tasks of a job for a reply: what the runtime shows of a live job, taken first, together with
 * the rows of the store, read after the commit of what was shown. Inside daemon/rpc only.
 */
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/engine.h"
#include "proto/json_out.h"

struct task_node {
    uint32_t id, parent;
    const char *name, *awaits; /* borrowed from views and rows */
    enum task_state state;
    int64_t created_us, finished_us;
    const char *error;     /* JSON or NULL */
    size_t attempt;        /* 1 + the row of its newest attempt, 0: none */
    size_t first_attempt;  /* likewise of its oldest; `next_attempt` leads from one to the next */
    size_t child, sibling; /* 1 + index of the first child and of the next sibling */
};

struct tasks {
    uint64_t job;
    size_t max, *n_kept;
    struct task_view *views; /* their errors are taken out: see errors */
    char **errors;           /* JSON or NULL, of each view */
    size_t n_views, cap_views, cap_errors;
    struct task_node *all; /* ascending ids */
    size_t *next_attempt;  /* 1 + the row of the same task's next attempt, of each row */
    size_t n;
    size_t more;       /* tasks of the job that are not here */
    bool is_committed; /* what the runtime showed */
};

enum { TASKS_MAX = 10000 };

/* Takes what the runtime shows now, of the first `max` tasks; nothing when the job is not live.
 * *n_kept counts those that are not freed yet. */
struct tasks *tasks_new(struct engine *e, uint64_t job, size_t max, size_t *n_kept);
void tasks_free(void *tasks);

/* Adds to a query what tasks_build() needs: TASKS_SETS sets. */
enum { TASKS_SETS = 4 };
void tasks_query(const struct tasks *t, struct batch *q);
/* sets: those results, which must live as long as the nodes are used. */
void tasks_build(struct tasks *t, const struct rows *sets);
/* Finds the attempts of each task among the rows of ST_JOB_ATTEMPTS. */
void tasks_add_attempts(struct tasks *t, const struct rows *attempts);

/* The list of job.get; {state: count} over all tasks of the job; the tree of job.tree. */
void tasks_write_list(const struct tasks *t, struct json_out *o);
void tasks_write_counts(const struct tasks *t, const struct rows *sets, struct json_out *o);
/* Nested at most so deep that any JSON parser takes it; counts in t->more what was left out. */
void tasks_write_tree(struct tasks *t, const struct rows *attempts, struct json_out *o);

#endif
