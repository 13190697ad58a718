#ifndef COROD_CORE_REMOVALS_H
#define COROD_CORE_REMOVALS_H
/*
 * Removed jobs. Their own row goes in one step, so that a job is there wholly or not at all; what
 * belonged to it follows in slices, each a part of an ordinary batch, also after a crash: the table
 * `removal` says whose rows are left, `gone_log` whose log files.
 */
#include "daemon/core/engine.h"

/* `struct removals m = {.engine = e};` */
struct removals {
    struct engine *engine;
    uint64_t after, logs_after; /* removals and logs up to these are waited for; 0: look anew */
    uint64_t noted_job, noted_attempt; /* the highest numbers, as they were written last */
};

/* Adds the removal of a job that has ended to the open batch. */
void removals_add(struct removals *m, uint64_t id, uint32_t uid);
/* Adds the log files of attempts that there never were here. Lists their directory: for once, after
 * a restore. */
void removals_add_logs(struct removals *m, uint64_t first, uint64_t last);
/* Appends the query for what is left: two sets, for the two functions below. */
enum { REMOVALS_SETS = 2 };
void removals_query(const struct removals *m, struct batch *q);
/* Adds the next slice to the open batch; tells the executor of logs. True: there was something. */
bool removals_slice(struct removals *m, const struct rows *rows);
bool removals_logs(struct removals *m, const struct rows *logs);

#endif
