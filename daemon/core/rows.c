/* Jobs, tasks and their ends as rows: what has changed since the last batch. */
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/mem.h"

enum { ROW_MAX_BYTES = 256 * 1024 * 1024 }; /* of a task's frame, or of a job's own state */

void job_mark_dirty(struct engine *e, struct live *job)
{
    job->dirty = true;
    if (job->on_dirty_list)
        return;
    job->on_dirty_list = true;
    job->next_dirty = e->dirty_jobs;
    e->dirty_jobs = job;
}

void job_set_state(struct engine *e, struct live *job, enum job_state state)
{
    job->state = state;
    if (state == JOB_STATE_RUNNING && !job->started_us)
        job->started_us = clock_real_us();
    job_mark_dirty(e, job);
    engine_emit(e, EVENT_JOB_STATE, job, 0, (int)state, 0, NULL, 0);
}

void job_refresh_state(struct engine *e, struct live *job)
{
    if (job->state == JOB_STATE_QUEUED && !job->ended && !job->gate &&
        (job->launched || LIST_EMPTY(&job->waiting)))
        job_set_state(e, job, JOB_STATE_RUNNING);
}

void live_free(struct live *job)
{
    if (!job)
        return;
    shared_unref(job->program);
    shared_unref(job->environment);
    free(job->key);
    free(job->cwd);
    free(job->pool);
    free(job->name);
    value_unref(job->labels);
    buf_release(&job->runtime);
    buf_release(&job->value);
    buf_release(&job->error);
    free(job);
}

static void buf_or_null(struct batch *b, const struct buf *v)
{
    if (v->len)
        batch_blob(b, v->data, v->len);
    else
        batch_null(b);
}

void batch_json_or_null(struct batch *b, struct value *v)
{
    if (!v) {
        batch_null(b);
        return;
    }
    struct buf json = {0};
    value_write(&json, v, JSON_STYLE_COMPACT);
    batch_text(b, json.data, json.len);
    buf_release(&json);
}

static void add_job(struct batch *b, const struct live *job)
{
    batch_add(b, ST_JOB_ADD);
    batch_int(b, (int64_t)job->id);
    batch_blob(b, job->uuid, sizeof job->uuid);
    batch_int(b, job->uid);
    batch_int(b, job->gid);
    batch_str(b, job->name);
    batch_str(b, job->pool);
    batch_int(b, job->priority);
    batch_json_or_null(b, job->labels);
    batch_str(b, job->key);
    batch_blob(b, job->program->sha, SHA_BYTES);
    if (job->environment)
        batch_blob(b, job->environment->sha, SHA_BYTES);
    else
        batch_null(b);
    batch_str(b, job->cwd);
    batch_int(b, job->umask);
    batch_int(b, job->created_us);
    batch_int(b, (int)job->state);
    batch_int_or_null(b, job->started_us);
    buf_or_null(b, &job->runtime);
    batch_str(b, program_document(job->program->program)->summary);
    gate_write(job->gate, b);
    batch_int_or_null(b, (int64_t)job->retry_of);
}

static void change_gate(struct batch *b, const struct live *job)
{
    batch_add(b, ST_JOB_GATE);
    batch_int(b, (int64_t)job->id);
    gate_write(job->gate, b);
}

static void change_job(struct batch *b, const struct live *job)
{
    batch_add(b, ST_JOB_CHANGE);
    batch_int(b, (int64_t)job->id);
    batch_int(b, (int)job->state);
    batch_int_or_null(b, job->started_us);
    buf_or_null(b, &job->runtime);
}

static void end_job(struct batch *b, const struct live *job)
{
    batch_add(b, ST_JOB_END);
    batch_int(b, (int64_t)job->id);
    batch_int(b, (int)job->state);
    batch_int_or_null(b, job->started_us);
    batch_int(b, job->finished_us);
    batch_text(b, job->error.len ? job->error.data : NULL, job->error.len);
    batch_text(b, job->value.len ? job->value.data : NULL, job->value.len);
    batch_int(b, job->exit);
}

/* Whether so many bytes can be kept. A job that has more is cancelled, and would be lost if the
 * daemon ended before that is done. */
static bool fits(struct engine *e, uint64_t id, size_t bytes)
{
    struct live *job = engine_job(e, id);
    if (bytes <= ROW_MAX_BYTES)
        return true;
    if (job && !job->oversize_bytes) {
        job->oversize_bytes = bytes;
        job_mark_dirty(e, job);
    }
    return false;
}

static void cancel_oversize(struct engine *e, struct live *job)
{
    char text[200];
    snprintf(
        text, sizeof text,
        "cancelled: the variables of a task, or what queues hold, take %zu bytes; %d can be kept",
        job->oversize_bytes, ROW_MAX_BYTES);
    if (!job->ended && engine_cancel(e, job->id))
        engine_diagnose(e, job, text);
    job->oversize_bytes = SIZE_MAX;
}

static void on_task(void *arg, const struct task_row *row)
{
    struct engine *e = arg;
    struct batch *b = &e->open;
    batch_add(b, row->fresh ? ST_TASK_ADD : ST_TASK_FRAME);
    batch_int(b, (int64_t)row->job);
    batch_int(b, row->id);
    if (row->fresh) {
        batch_int(b, row->parent);
        batch_str(b, row->name);
        batch_int(b, row->created_us);
    }
    bool keeps = row->frame_len && fits(e, row->job, row->frame_len);
    batch_blob(b, keeps ? row->frame : NULL, row->frame_len);
}

static void on_task_end(void *arg, const struct task_end_row *row)
{
    struct batch *b = &((struct engine *)arg)->open;
    batch_add(b, ST_TASK_END);
    batch_int(b, (int64_t)row->job);
    batch_int(b, (int64_t)row->seq);
    batch_int(b, row->task);
    batch_int(b, (int)row->state);
    batch_int(b, row->finished_us);
    batch_blob(b, row->result_len ? row->result : NULL, row->result_len);
    batch_str(b, row->error);
}

static void on_job(void *arg, uint64_t id, const char *state, size_t len)
{
    struct engine *e = arg;
    struct live *job = engine_job(e, id);
    if (!job || job->ended)
        return;
    buf_clear(&job->runtime);
    if (fits(e, id, len))
        buf_add(&job->runtime, state, len);
    else
        buf_addstr(&job->runtime, "?"); /* no state to go on from */
    job_mark_dirty(e, job);
}

static void on_object(void *arg, const struct object_row *row)
{
    struct batch *b = &((struct engine *)arg)->open;
    batch_add(b, row->fresh ? ST_OBJECT_ADD : ST_OBJECT_CHANGE);
    batch_int(b, (int64_t)row->job);
    batch_int(b, row->id);
    batch_blob(b, row->state, row->state_len);
}

static void on_item(void *arg, const struct item_row *row)
{
    struct batch *b = &((struct engine *)arg)->open;
    batch_add(b, ST_ITEM_ADD);
    batch_int(b, (int64_t)row->job);
    batch_int(b, row->object);
    batch_int(b, (int64_t)row->seq);
    batch_blob(b, row->value, row->value_len);
}

static void on_items_gone(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last)
{
    struct batch *b = &((struct engine *)arg)->open;
    batch_add(b, ST_ITEMS_REMOVE);
    batch_int(b, (int64_t)job);
    batch_int(b, object);
    batch_int(b, (int64_t)first);
    batch_int(b, (int64_t)last);
}

static void on_object_gone(void *arg, uint64_t job, uint32_t object)
{
    struct batch *b = &((struct engine *)arg)->open;
    batch_add(b, ST_OBJECT_REMOVE);
    batch_int(b, (int64_t)job);
    batch_int(b, object);
    on_items_gone(arg, job, object, 0, INT64_MAX);
}

void rows_remove_objects(struct engine *e, uint64_t job)
{
    batch_add(&e->open, ST_JOB_OBJECTS_REMOVE);
    batch_int(&e->open, (int64_t)job);
    batch_add(&e->open, ST_JOB_ITEMS_REMOVE);
    batch_int(&e->open, (int64_t)job);
}

static void on_objects_gone(void *arg, uint64_t job)
{
    rows_remove_objects(arg, job);
}

static const struct runtime_sink sink = {
    .task = on_task,
    .task_end = on_task_end,
    .job = on_job,
    .object = on_object,
    .object_gone = on_object_gone,
    .item = on_item,
    .items_gone = on_items_gone,
    .objects_gone = on_objects_gone,
};

/* The job's end is on disk. */
static void forget_job(void *arg)
{
    live_free(arg);
}

void rows_collect(struct engine *e)
{
    runtime_collect(e->runtime, &sink, e);
    while (e->dirty_jobs) {
        struct live *job = e->dirty_jobs;
        e->dirty_jobs = job->next_dirty;
        job_refresh_state(e, job);
        if (job->oversize_bytes && job->oversize_bytes != SIZE_MAX)
            cancel_oversize(e, job);
        job->on_dirty_list = job->dirty = false;
        if (job->fresh)
            add_job(&e->open, job);
        else if (!job->ended)
            change_job(&e->open, job);
        if (job->gate_changed && !job->fresh && !job->ended)
            change_gate(&e->open, job);
        job->fresh = job->gate_changed = false;
        buf_clear(&job->runtime);
        if (job->ended) {
            end_job(&e->open, job);
            map_remove(&e->jobs, job->id);
            retain_job_ended(e->retain);
            effects_call(&e->effects, forget_job, job);
        }
    }
}
