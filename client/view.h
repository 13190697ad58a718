#ifndef CORO_VIEW_H
#define CORO_VIEW_H
/* Jobs and tasks for people. */
#include <jansson.h>

#include "client/cli.h"

double view_now_s(void);

/* Job rows (as job.list has them), in the order given; with or without a heading. */
void view_jobs(struct cli *c, const json_t *jobs, bool heading);
/* The columns of a list of jobs. */
struct view_columns {
    const struct job_column *all[16];
    size_t n;
};
/* Those of a list like "id,name,time"; NULL: those that are shown unless told. False: *err. */
bool view_jobs_choose(struct view_columns *v, const char *list, struct err *err);
/* What the i-th column is called; NULL: there is none. */
const char *view_jobs_column(size_t i);
/* view_jobs() with these columns; those that are empty in every row are left out. */
void view_jobs_columns(struct cli *c, const json_t *jobs, bool heading,
                       const struct view_columns *v);
/* Sorts the list by a column. False: there is no such column, *err. */
bool view_jobs_sort(json_t *jobs, const char *by, bool reverse, struct err *err);
/* Everything of one job (job.get). */
void view_job(struct cli *c, const json_t *job);
/* The tasks of a job (job.tree) as a tree. all false: long rows of siblings that went well are
 * counted instead of shown. */
void view_tree(struct cli *c, const json_t *tree, bool all);

/* A timeline (timeline.h): tasks as bars over `duration` seconds; where commands are known, thick
 * while one runs, else thin. */
void view_gantt(struct cli *c, const json_t *timeline, double duration);

/* The rows of pool.list. */
void view_pools(struct cli *c, const json_t *pools, bool heading);

/* --json: one value and an end of line. */
void view_json(struct cli *c, const json_t *value);

#endif
