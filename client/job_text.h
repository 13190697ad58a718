#ifndef CORO_JOB_TEXT_H
#define CORO_JOB_TEXT_H
/* Members of a job row (job.list, job.get) as people read them. */
#include <stdbool.h>

#include <jansson.h>

#include "client/screen.h"
#include "proto/buf.h"

bool job_is_live(const json_t *job);
/* Its name, else what it runs; "" when it does nothing. */
const char *job_title(const json_t *job);
/* Seconds that it ran, or runs already; -1 before its start. */
double job_seconds(const json_t *job);

/* Each appends nothing when there is nothing to say. */
void job_put_labels(struct buf *out, const json_t *job); /* "k=v k" */
void job_put_time(struct buf *out, const json_t *job);
void job_put_moment(struct buf *out, const json_t *object, const char *key);
/* What keeps it from starting: "after 3, 5; until 22:30". */
void job_put_why(struct buf *out, const json_t *job);
/* At most max columns (0: whole). */
void job_put_error(const struct screen *s, struct buf *out, const json_t *job, size_t max);

#endif
