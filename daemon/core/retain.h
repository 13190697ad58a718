#ifndef COROD_CORE_RETAIN_H
#define COROD_CORE_RETAIN_H
/*
 * What is kept of jobs that have ended, and the removal of the rest: by age and number
 * (corod.conf(5)), or because somebody asked. How it is removed: removals.h.
 */
#include "daemon/core/engine.h"

struct retain;

/* Begins with a sweep after a moment: what the last daemon left is taken up then. The next one is
 * when it is known that there may be something to remove. */
struct retain *retain_new(struct engine *e);
/* After the store is closed. */
void retain_free(struct retain *r);

/* As engine_remove(). */
void retain_remove(struct retain *r, uint64_t id, uint32_t uid);
void retain_sweep_soon(struct retain *r);
void retain_job_ended(struct retain *r);
void retain_attempt_ended(struct retain *r);
/* The executor is there: what is left to remove is told to it. */
void retain_executor_up(struct retain *r);
/* It has started commands that the store does not know, of an earlier time than it: the log files
 * of these numbers are nobody's. */
void retain_unknown_logs(struct retain *r, uint64_t first, uint64_t last);
/* It says that an attempt has no log files any more. */
void retain_log_removed(struct retain *r, uint64_t number);

void retain_get_stats(const struct retain *r, struct retain_stats *ret);

#endif
