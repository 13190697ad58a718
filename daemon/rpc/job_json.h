#ifndef COROD_RPC_JOB_JSON_H
#define COROD_RPC_JOB_JSON_H
/* Rows of jobs and attempts as JSON. Inside daemon/rpc only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/engine.h"
#include "daemon/lang/program.h"
#include "daemon/store/store.h"
#include "proto/json_out.h"

/* Columns of ST_JOB_LIST and ST_JOB_BRIEF. */
enum job_column {
    JOB_ID,
    JOB_UUID,
    JOB_UID,
    JOB_NAME,
    JOB_POOL,
    JOB_PRIORITY,
    JOB_LABELS,
    JOB_STATE,
    JOB_CREATED,
    JOB_STARTED,
    JOB_FINISHED,
    JOB_EXIT,
    JOB_ERROR,
    JOB_SUMMARY,
    JOB_HELD,
    JOB_DELAY_UNTIL, /* the runtime's time */
    JOB_AT,
    JOB_AFTER
};

/* The members of a job that every reply shows, without braces; with the error as this JSON text, or
 * (NULL) as its type and message. */
void job_write(struct engine *e, const struct rows *r, size_t row, const char *whole_error,
               struct json_out *o);
/* A list of jobs, one from the first row of each set; an empty set is left out. */
void jobs_write(struct engine *e, const struct rows *sets, size_t n, struct json_out *o);
bool job_row_is_live(const struct rows *r, size_t row);

/* A row of ST_JOB_ATTEMPTS as an object; with the task's id if job is not 0. */
void attempt_write(const struct rows *r, size_t row, uint64_t job, struct json_out *o);

void uuid_write(const void *bytes, size_t len, struct json_out *o);
/* [{pointer, message, hint}]; NULL: []. */
void mistakes_write(const struct mistakes *m, struct json_out *o);

#endif
