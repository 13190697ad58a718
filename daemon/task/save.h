#ifndef COROD_TASK_SAVE_H
#define COROD_TASK_SAVE_H
/*
 * Rows of a job: how tasks are written and read back (runtime_collect(), runtime_load_*()).
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/map.h"
#include "daemon/task/job.h"

enum { ROW_VERSION = 1 };

void node_save(const struct node *n, struct buf *out);
/* False: there is no such node. *ret may be NULL (none was saved). */
bool node_load(struct job_loader *l, struct reader *r, const struct node **ret);
void atom_save(const struct job *job, uint32_t atom, struct buf *out);
bool atom_load(struct job_loader *l, struct reader *r, uint32_t *ret);
/* NULL is allowed. */
void value_save_opt(const struct value *v, struct buf *out);
bool value_load_opt(struct job_loader *l, struct reader *r, struct value **ret);
void timer_save(const struct job *job, const struct timer *x, struct buf *out);
bool timer_load(struct job_loader *l, struct reader *r, struct task *t, struct timer *x,
                enum timer_type type);

extern const char act_tags[]; /* of roles, in rows */
void task_save(const struct task *t, struct buf *out);
void task_end_save(const struct task *t, struct buf *out);
void job_save(const struct job *job, struct buf *out);

struct loaded_row {
    uint32_t id, parent;
    int64_t created_us, finished_us;
    char *frame, *result; /* result: of its end row */
    size_t frame_len, result_len;
    struct task *task; /* once made */
};

/* The beginning of an end row; its callbacks are behind. */
struct end_head {
    uint8_t outcome;
    bool unretrieved;
    uint64_t seq; /* of the first callback's handle; the others follow */
    uint64_t n;
    struct reader callbacks;
};
struct callback_id {
    uint8_t type;
    uint64_t id;
};

/* A callback of a watch that has run. */
struct loaded_seen {
    struct watch *watch;
    struct task *task;
    uint64_t seq;
};

struct loaded_item {
    struct object *object;
    uint64_t seq;
    size_t at, len; /* in item_data */
};

struct job_loader {
    struct runtime *rt;
    struct job *job;
    struct loaded_row *rows; /* ascending id */
    size_t n, cap;
    char *state;
    size_t state_len;
    uint64_t head; /* handles below have run */
    uint64_t last_end;
    uint32_t running;
    struct map scopes, coros, gathers, sems; /* by id; each counted */
    struct map watches;                      /* the same */
    struct map filled;                       /* scopes that were defined */
    struct map objects;                      /* by id; each counted */
    struct loaded_item *items;
    size_t n_items, cap_items;
    struct buf item_data;
    struct loaded_seen *seen;
    size_t n_seen, cap_seen;
    struct handle *handles;
    size_t n_handles, cap_handles;
    struct leaf_run **leaves;
    size_t n_leaves, cap_leaves;
    uint32_t *todo; /* rows of ended tasks that are to be read */
    size_t n_todo, cap_todo;
    struct reader tail; /* of the job's row */
    const char *why;    /* what is wrong */
};

/* A sum over the verb's name: a damaged row should not lead to another node. */
uint8_t node_check(const struct node *n);

bool load_fail(struct job_loader *l, const char *why);
/* A task by id: a live one, or one that ended; borrowed; NULL: there is none. */
struct task *load_task(struct job_loader *l, uint32_t id);
/* By id; a new one that is empty when it is named for the first time. New references. */
struct scope *load_scope(struct job_loader *l, uint32_t id);
struct sem *load_sem(struct job_loader *l, uint32_t gather, int64_t limit);
struct gather *load_gather(struct job_loader *l, uint32_t id);
struct coro *load_coro(struct job_loader *l, uint64_t handle_id);
void load_handle(struct job_loader *l, struct handle h);
/* A command that is wanted again when all is loaded. */
void load_leaf(struct job_loader *l, struct leaf_run *run);
struct value *load_resolve(void *loader, const char *kind, uint64_t id);

/* load_task.c */
struct loaded_row *load_row(const struct job_loader *l, uint32_t id);
struct task *load_shell(struct job_loader *l, const struct loaded_row *row);
bool load_frame(struct job_loader *l, struct loaded_row *row);
bool load_end(struct job_loader *l, struct loaded_row *row);
bool load_end_head(struct job_loader *l, struct reader *r, struct end_head *h);
bool load_callback(struct reader *r, struct callback_id *c);
/* The value in an end row of a job that is not loaded: a new reference; NULL: there is none, or it
 * holds handles. */
struct value *load_end_value(const char *result, size_t len);
bool load_check(struct job_loader *l, const struct task *t);
/* load_job.c */
bool load_job(struct job_loader *l);
void load_handles(struct job_loader *l);

#endif
