#ifndef COROD_TASK_KEEP_H
#define COROD_TASK_KEEP_H
/*
 * Large values in a task's row: its variables, and the lists that it goes through. A value never
 * changes, so it is written once, as a row of its own that the task's row names; else every turn of
 * a long loop would write all of it again. It is an object that only rows know, and lives as long
 * as the row of a live task names it. (That of one that ended is written once anyway, and outlives
 * it.)
 */
#include <stdbool.h>

#include "daemon/task/object.h"
#include "proto/buf.h"

enum { KEEP_FROM_BYTES = 8 * 1024 }; /* unless runtime_keep_from() says otherwise */

/* Their numbers are above this one: people count queues and locks. */
#define KEEP_IDS (UINT32_C(1) << 31)

struct keeps;

/* Between these the task's row is written or read; what it named before is released at the end. */
void keeps_begin(struct job *job);
void keeps_end(struct job *job, uint32_t task);
/* The task's row counts no more. */
void keeps_forget(struct job *job, uint32_t task);
/* The job goes away. */
void keeps_release(struct job *job);

/* In place of value_save() and value_load(). Elsewhere than in a task's row they do the same. */
void keep_save(const struct job *job, const struct value *v, struct buf *out);
/* A new reference; NULL: damaged. */
struct value *keep_load(struct job_loader *l, struct reader *r);

/* What object_save.c and object.c do for these objects. */
void keep_row(const struct object *o, struct buf *out);
bool keep_row_load(struct job_loader *l, struct object *o, struct reader *r);
void keep_drop(struct object *o);

#endif
