#include "daemon/rpc/job_json.h"

#include <string.h>

#include "daemon/rpc/users.h"
#include "proto/exec.h"
#include "proto/mem.h"
#include "proto/state.h"

static void write_end(const struct rows *r, size_t row, enum job_state state,
                      const char *whole_error, struct json_out *o)
{
    const char *error = whole_error ? whole_error : cell_str(r, row, JOB_ERROR);
    if (!job_state_is_live(state)) {
        jout_key(o, "exit");
        jout_int(o, cell_int(r, row, JOB_EXIT));
    }
    jout_key(o, "error");
    if (error)
        jout_raw(o, error, strlen(error));
    else
        jout_null(o);
}

/* What keeps it from starting. */
static void write_gate(struct engine *e, const struct rows *r, size_t row, struct json_out *o)
{
    const char *after = cell_str(r, row, JOB_AFTER);
    int64_t delay_us = cell_int(r, row, JOB_DELAY_UNTIL), at_us = cell_int(r, row, JOB_AT);
    if (delay_us)
        delay_us = engine_wall_us(e, delay_us);
    if (cell_int(r, row, JOB_HELD)) {
        jout_key(o, "held");
        jout_bool(o, true);
    }
    if (delay_us || at_us) {
        jout_key(o, "at");
        jout_time(o, delay_us > at_us ? delay_us : at_us);
    }
    if (after) {
        jout_key(o, "after");
        jout_raw(o, after, strlen(after));
    }
}

bool job_row_is_live(const struct rows *r, size_t row)
{
    return job_state_is_live((enum job_state)cell_int(r, row, JOB_STATE));
}

void uuid_write(const void *bytes, size_t len, struct json_out *o)
{
    const unsigned char *u = bytes;
    char text[40];
    size_t n = 0;
    if (len != 16) {
        jout_null(o);
        return;
    }
    for (size_t i = 0; i < len; i++)
        n += (size_t)snprintf(text + n, sizeof text - n,
                              i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
    jout_text(o, text);
}

void job_write(struct engine *e, const struct rows *r, size_t row, const char *whole_error,
               struct json_out *o)
{
    const struct cell *uuid = cell_at(r, row, JOB_UUID);
    const char *labels = cell_str(r, row, JOB_LABELS), *pool = cell_str(r, row, JOB_POOL);
    enum job_state state = (enum job_state)cell_int(r, row, JOB_STATE);
    uint32_t uid = (uint32_t)cell_int(r, row, JOB_UID);
    jout_key(o, "id");
    jout_int(o, cell_int(r, row, JOB_ID));
    jout_key(o, "uuid");
    uuid_write(uuid->s.p, uuid->type == CELL_BLOB ? uuid->s.len : 0, o);
    jout_key(o, "name");
    jout_text(o, cell_str(r, row, JOB_NAME));
    jout_key(o, "summary");
    jout_text(o, cell_str(r, row, JOB_SUMMARY));
    jout_key(o, "owner");
    jout_text(o, user_name(uid));
    jout_key(o, "uid");
    jout_uint(o, uid);
    jout_key(o, "state");
    jout_text(o, job_state_name(state));
    if (job_state_is_live(state))
        write_gate(e, r, row, o);
    jout_key(o, "priority");
    jout_int(o, cell_int(r, row, JOB_PRIORITY));
    jout_key(o, "pool");
    jout_text(o, pool ? pool : "default");
    jout_key(o, "labels");
    if (labels)
        jout_raw(o, labels, strlen(labels));
    else
        jout_raw(o, "{}", 2);
    jout_key(o, "created");
    jout_time(o, cell_int(r, row, JOB_CREATED));
    jout_key(o, "started");
    jout_time(o, cell_int(r, row, JOB_STARTED));
    jout_key(o, "finished");
    jout_time(o, cell_int(r, row, JOB_FINISHED));
    write_end(r, row, state, whole_error, o);
}

void jobs_write(struct engine *e, const struct rows *sets, size_t n, struct json_out *o)
{
    jout_begin_array(o);
    for (size_t i = 0; i < n; i++) {
        if (!sets[i].n)
            continue;
        jout_begin_object(o);
        job_write(e, &sets[i], 0, NULL, o);
        jout_end_object(o);
    }
    jout_end_array(o);
}

enum attempt_column {
    ATTEMPT_NUMBER,
    ATTEMPT_TASK,
    ATTEMPT_LAUNCHED,
    ATTEMPT_STARTED,
    ATTEMPT_PID,
    ATTEMPT_ENDED,
    ATTEMPT_HOW,
    ATTEMPT_STATUS,
    ATTEMPT_REASON,
    ATTEMPT_CPU_US,
    ATTEMPT_MAX_RSS,
    ATTEMPT_DURATION_US,
    ATTEMPT_LOG_BYTES,
    ATTEMPT_LOG_IN_FILE,
    ATTEMPT_COMMAND
};

static void write_attempt_end(const struct rows *r, size_t row, struct json_out *o)
{
    int64_t how = cell_int(r, row, ATTEMPT_HOW), status = cell_int(r, row, ATTEMPT_STATUS);
    if (how == EXEC_EXITED || how == EXEC_NOT_STARTED) {
        jout_key(o, "exit");
        jout_int(o, status);
    } else if (how == HOW_ANSWERED) {
        jout_key(o, "status");
        jout_int(o, status);
    } else if (how == EXEC_SIGNALED) {
        jout_key(o, "signal");
        jout_int(o, status);
    } else if (how == EXEC_LOST) {
        jout_key(o, "lost");
        jout_bool(o, true);
    }
    if (cell_str(r, row, ATTEMPT_REASON)) {
        jout_key(o, "reason");
        jout_text(o, cell_str(r, row, ATTEMPT_REASON));
    }
    jout_key(o, "duration");
    jout_seconds(o, cell_int(r, row, ATTEMPT_DURATION_US));
    jout_key(o, "cpu");
    jout_seconds(o, cell_int(r, row, ATTEMPT_CPU_US));
    jout_key(o, "max_rss");
    jout_int(o, cell_int(r, row, ATTEMPT_MAX_RSS));
}

void attempt_write(const struct rows *r, size_t row, uint64_t job, struct json_out *o)
{
    int64_t started = cell_int(r, row, ATTEMPT_STARTED);
    jout_begin_object(o);
    jout_key(o, "number");
    jout_int(o, cell_int(r, row, ATTEMPT_NUMBER));
    if (job) {
        jout_key(o, "task");
        jout_printf(o, "%llu.%lld", (unsigned long long)job,
                    (long long)cell_int(r, row, ATTEMPT_TASK));
    }
    jout_key(o, "command");
    jout_text(o, cell_str(r, row, ATTEMPT_COMMAND));
    jout_key(o, "started");
    jout_time(o, started ? started : cell_int(r, row, ATTEMPT_LAUNCHED));
    jout_key(o, "finished");
    jout_time(o, cell_int(r, row, ATTEMPT_ENDED));
    if (cell_int(r, row, ATTEMPT_PID)) {
        jout_key(o, "pid");
        jout_int(o, cell_int(r, row, ATTEMPT_PID));
    }
    if (cell_int(r, row, ATTEMPT_ENDED))
        write_attempt_end(r, row, o);
    jout_end_object(o);
}

void mistakes_write(const struct mistakes *m, struct json_out *o)
{
    jout_begin_array(o);
    for (size_t i = 0; m && i < m->n; i++) {
        jout_begin_object(o);
        jout_key(o, "pointer");
        jout_text(o, m->all[i].pointer);
        jout_key(o, "message");
        jout_text(o, m->all[i].message);
        if (m->all[i].hint) {
            jout_key(o, "hint");
            jout_text(o, m->all[i].hint);
        }
        jout_end_object(o);
    }
    jout_end_array(o);
}
