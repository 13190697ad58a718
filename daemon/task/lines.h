#ifndef COROD_TASK_LINES_H
#define COROD_TASK_LINES_H
/*
 * The output of a command as lines, for `for … in: {lines: …}`: what asyncio has as a StreamReader.
 *
 * The output lies in the attempt's spool, outside. What is here is a piece of it that was read
 * ahead; it is asked for through effects->lines_wanted() and comes through runtime_leaf_data(). In
 * the row is only how far the lines were taken: the rest is read from the spool again. Output that
 * came with the command's end is in no spool, so it is in the row.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/task/job.h"
#include "proto/buf.h"

enum { LINE_MAX_BYTES = VALUE_MAX_BYTES - 1024 };

struct leaf_node;

/* The bytes from `at` on come from what was read at this position of the spool. */
struct lines_mark {
    size_t at;
    uint64_t position;
};

struct lines {
    struct leaf_run run; /* first; its error: what the loop ends with */
    struct buf data;
    size_t charge;       /* for it, of the job's values */
    size_t off, scanned; /* before off: taken; from off to before scanned: no end of a line */
    struct lines_mark *marks;
    size_t n_marks, cap_marks;
    uint64_t skip;         /* bytes of what comes next that were taken before a restart */
    uint64_t read;         /* where in the spool reading goes on */
    uint64_t total;        /* how much there is, once it has ended; UINT64_MAX: what there is */
    bool kept;             /* data is all there is, there is no spool */
    bool eof;              /* nothing will come any more */
    bool asked, counted;   /* lines_wanted() was told; is one of the job's sources */
    bool interrupted;      /* cancelled while the loop is left */
    struct value *leaving; /* what the loop is left with */
};

/* Wants the command; NULL: *error. */
struct lines *lines_new(struct task *t, const struct leaf_node *n, struct value **error);
/* Forgets it, without effects. */
void lines_free(struct lines *l);

enum lines_state { LINES_ITEM, LINES_END, LINES_ERROR, LINES_WAIT };
/* The next line or the error: a new reference in *v. */
enum lines_state lines_next(struct lines *l, struct value **v);
/* Its command is to end. False: that takes its time, lines_settle() is called then. */
bool lines_stop(struct lines *l);

void lines_save(const struct lines *l, struct buf *out);
/* NULL: damaged. */
struct lines *lines_load(struct task *t, struct job_loader *l, struct reader *r);
/* All is loaded: what has to be read again is asked for. */
void lines_loaded(struct leaf_run *run);

/* What leaf.c passes on. */
void lines_launched(struct leaf_run *run);
void lines_ended(struct leaf_run *run, const struct leaf_outcome *outcome);

/* feed_lines.c: the lines that the task waits for, or NULL. */
struct lines *lines_of(const struct task *t);
/* The turn of the handle that told that there is something. */
void lines_settle(struct task *t);

#endif
