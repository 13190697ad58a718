/* What is left of removed jobs: rows in slices, log files through the executor. */
#include "daemon/core/removals.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/log.h"

enum {
    SLICE_ROWS = 1000, /* removed with one batch */
    SLICE_JOBS = 100,
    SLICE_LOGS = 500,
};

/* Numbers are never given again, also when the highest is removed. */
static void note_highest(struct removals *m)
{
    struct engine *e = m->engine;
    struct batch *b = &e->open;
    if (m->noted_job == e->next_job && m->noted_attempt == e->next_attempt)
        return;
    m->noted_job = e->next_job;
    m->noted_attempt = e->next_attempt;
    batch_add(b, ST_META_PUT);
    batch_str(b, "highest_job");
    batch_int(b, (int64_t)e->next_job - 1);
    batch_add(b, ST_META_PUT);
    batch_str(b, "highest_attempt");
    batch_int(b, (int64_t)e->next_attempt - 1);
}

static void add_id(struct batch *b, enum statement s, int64_t id)
{
    batch_add(b, s);
    batch_int(b, id);
}

static void add_slice(struct batch *b, enum statement s, int64_t job, int64_t rows)
{
    add_id(b, s, job);
    batch_int(b, rows);
}

void removals_add(struct removals *m, uint64_t id, uint32_t uid)
{
    struct engine *e = m->engine;
    struct event event = {
        .seq = e->next_event++,
        .at_us = clock_real_us(),
        .type = EVENT_JOB_REMOVED,
        .job = id,
        .uid = uid,
    };
    note_highest(m);
    gates_settle_before_removal(e, id);
    add_id(&e->open, ST_JOB_REMOVE_NOTE, (int64_t)id);
    add_id(&e->open, ST_JOB_REMOVE, (int64_t)id);
    effects_event(&e->effects, &event);
}

/* Whether a job that is being submitted may refer to this content without storing it again. */
static bool is_held(struct map *m, const struct cell *sha)
{
    struct shared *s = sha->type == CELL_BLOB && sha->s.len == SHA_BYTES
                           ? shared_find(m, (const unsigned char *)sha->s.p)
                           : NULL;
    shared_unref(s);
    return s != NULL;
}

/* Columns of ST_REMOVALS. */
enum {
    COL_JOB,
    COL_TASKS,
    COL_ENDS,
    COL_OUTPUT,
    COL_ATTEMPTS,
    COL_OPEN,
    COL_PROGRAM,
    COL_PROGRAM_SHA,
    COL_PROGRAM_USED,
    COL_ENVIRONMENT,
    COL_ENVIRONMENT_SHA,
    COL_ENVIRONMENT_USED
};

/* False: some are left. */
static bool remove_rows(struct removals *m, const struct rows *rows, size_t row, int64_t *room)
{
    static const enum statement statements[] = {[COL_TASKS] = ST_REMOVE_TASKS,
                                                [COL_ENDS] = ST_REMOVE_ENDS,
                                                [COL_OUTPUT] = ST_REMOVE_OUTPUT,
                                                [COL_ATTEMPTS] = ST_REMOVE_ATTEMPTS};
    struct batch *b = &m->engine->open;
    int64_t job = cell_int(rows, row, COL_JOB);
    for (size_t i = COL_TASKS; i <= COL_ATTEMPTS; i++) {
        int64_t n = cell_int(rows, row, i), now = n < *room ? n : *room;
        if (now > 0 && i == COL_ATTEMPTS) {
            add_slice(b, ST_REMOVE_LOGS, job, now);
            m->logs_after = 0; /* numbers go in any order; twice does no harm */
        }
        if (now > 0)
            add_slice(b, statements[i], job, now);
        *room -= now;
        if (now < n)
            return false;
    }
    return true;
}

/* The last of a removal; false: not yet. */
static bool remove_rest(struct removals *m, const struct rows *rows, size_t row)
{
    struct engine *e = m->engine;
    bool program_used = cell_int(rows, row, COL_PROGRAM_USED) != 0;
    bool environment_used = cell_int(rows, row, COL_ENVIRONMENT_USED) != 0;
    if (cell_int(rows, row, COL_OPEN) ||
        (!program_used && is_held(&e->programs, cell_at(rows, row, COL_PROGRAM_SHA))) ||
        (!environment_used && is_held(&e->environments, cell_at(rows, row, COL_ENVIRONMENT_SHA))))
        return false;
    if (!program_used)
        add_id(&e->open, ST_REMOVE_PROGRAM, cell_int(rows, row, COL_PROGRAM));
    if (!environment_used && cell_at(rows, row, COL_ENVIRONMENT)->type == CELL_INT)
        add_id(&e->open, ST_REMOVE_ENVIRONMENT, cell_int(rows, row, COL_ENVIRONMENT));
    add_id(&e->open, ST_REMOVAL_DONE, cell_int(rows, row, COL_JOB));
    return true;
}

bool removals_slice(struct removals *m, const struct rows *rows)
{
    int64_t room = SLICE_ROWS;
    if (!rows->n)
        return false;
    note_highest(m);
    for (size_t i = 0; i < rows->n; i++) {
        if (!remove_rows(m, rows, i, &room))
            return true;
        if (!remove_rest(m, rows, i))
            m->after = (uint64_t)cell_int(rows, i, COL_JOB);
    }
    return true;
}

bool removals_logs(struct removals *m, const struct rows *rows)
{
    struct engine *e = m->engine;
    if (!exec_client_up(e->exec))
        return false;
    for (size_t i = 0; i < rows->n; i++) {
        m->logs_after = (uint64_t)cell_int(rows, i, 0);
        exec_remove_log(e->exec, m->logs_after);
    }
    return rows->n > 0;
}

void removals_query(const struct removals *m, struct batch *q)
{
    add_slice(q, ST_REMOVALS, (int64_t)m->after, SLICE_JOBS);
    batch_int(q, SLICE_ROWS + 1);
    add_slice(q, ST_GONE_LOGS, (int64_t)m->logs_after, SLICE_LOGS);
}

void removals_add_logs(struct removals *m, uint64_t first, uint64_t last)
{
    struct engine *e = m->engine;
    DIR *dir = opendir(e->config->exec_log_dir);
    if (!dir) {
        log_warning("%s: %s", e->config->exec_log_dir, strerror(errno));
        return;
    }
    for (struct dirent *d; (d = readdir(dir));) {
        uint64_t number = strtoull(d->d_name, NULL, 10);
        if (number >= first && number <= last)
            add_id(&e->open, ST_GONE_LOG_ADD, (int64_t)number);
    }
    closedir(dir);
}
