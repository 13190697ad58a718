/* runtime_collect(): what has changed, as rows. */
#include <malloc.h>

#include "daemon/task/keep.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static void collect_task(struct job *job, struct task *t, const struct runtime_sink *sink,
                         void *arg, struct buf *frame)
{
    bool done = task_is_done(t);
    task_sweep_kept(t);
    bool fresh = !t->collected;
    t->collected = true;
    if (done && !fresh && !task_extra(t)->kept && !t->flags_changed) {
        keeps_forget(job, t->id);
        return;
    }
    t->flags_changed = false;
    buf_clear(frame);
    /* The end row of a task says all of it, unless its variables are still read. */
    if (!done)
        keeps_begin(job);
    if (!done || !fresh || task_extra(t)->kept)
        task_save(t, frame);
    if (done)
        keeps_forget(job, t->id);
    else
        keeps_end(job, t->id);
    struct buf name = {0};
    task_put_title(t, &name);
    struct task_row row = {.job = job->id,
                           .id = t->id,
                           .parent = t->parent,
                           .fresh = fresh,
                           .name = buf_cstr(&name),
                           .created_us = t->created_us,
                           .frame = frame->data,
                           .frame_len = frame->len};
    if (sink->task)
        sink->task(arg, &row);
    buf_release(&name);
}

static void collect_end(struct job *job, struct task *t, const struct runtime_sink *sink, void *arg,
                        struct buf *result)
{
    struct buf error = {0};
    if (t->outcome == OUTCOME_ERROR || t->outcome == OUTCOME_CANCELLED)
        value_write(&error, t->value, JSON_STYLE_COMPACT);
    buf_clear(result);
    task_end_save(t, result);
    struct task_end_row row = {.job = job->id,
                               .seq = ++job->ends,
                               .task = t->id,
                               .state = task_state_of(t),
                               .finished_us = t->finished_us,
                               .result = result->data,
                               .result_len = result->len,
                               .error = error.len ? buf_cstr(&error) : NULL};
    if (sink->task_end)
        sink->task_end(arg, &row);
    buf_release(&error);
    callbacks_release(&t->callbacks);
}

static void collect_job(struct job *job, const struct runtime_sink *sink, void *arg)
{
    struct buf data = {0};
    for (size_t i = 0; i < job->n_changed; i++)
        collect_task(job, job->changed[i], sink, arg, &data);
    for (size_t i = 0; i < job->n_ended; i++)
        collect_end(job, job->ended[i], sink, arg, &data);
    coro_list_sweep(&job->left);
    buf_clear(&data);
    job_save(job, &data);
    if (sink->job)
        sink->job(arg, job->id, data.data, data.len);
    buf_release(&data);
    for (size_t i = 0; i < job->n_ended; i++)
        job->ended[i]->ending = false;
    /* A task that ended is in both. What is freed may free others: their bit keeps them until it is
     * their turn. */
    for (size_t i = 0; i < job->n_changed; i++) {
        struct task *t = job->changed[i];
        t->dirty = false;
        task_release(t);
    }
    job->n_changed = job->n_ended = 0;
    job->changed = xspare(job->changed, &job->cap_changed, sizeof(struct task *));
    job->ended = xspare(job->ended, &job->cap_ended, sizeof(struct task *));
    objects_collect(&job->objects, sink, arg);
}

/* What many tasks took goes back to the system. free() alone keeps what lies below anything that
 * stays. */
static void give_back(struct runtime *rt)
{
    enum { MANY = 50000 };
    if (rt->gone < MANY || rt->gone < rt->live)
        return;
    rt->gone = 0;
    malloc_trim(0);
}

void runtime_collect(struct runtime *rt, const struct runtime_sink *sink, void *arg)
{
    size_t n = rt->n_dirty;
    rt->n_dirty = 0;
    for (size_t i = 0; i < n; i++) {
        struct job *job = rt->dirty[i];
        collect_job(job, sink, arg);
        if (job->phase == PHASE_OVER) /* dirty to its end: what goes with it touches it */
            runtime_forget(rt, job);
        else
            job->dirty = false;
    }
    named_collect(rt, sink, arg);
    give_back(rt);
}
