/* job.set: what can be changed of a job until its first command starts. */
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/errors.h"
#include "proto/mem.h"

static bool may_set(struct engine *e, uint64_t id, const struct job_setting *s, struct err *err)
{
    const struct live *job = engine_job(e, id);
    if (!job || job->ended)
        return err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
    if (!job->gate && !job_is_queued(job))
        return err_set(err, ERR_STATE,
                       "job %llu is %s: only one that has not started can be changed",
                       (unsigned long long)id, job_state_name(job->state));
    if (!job->gate && s->has_time)
        return err_set(err, ERR_STATE, "job %llu is queued: its time has come",
                       (unsigned long long)id);
    if (s->pool && !engine_has_pool(e, s->pool))
        return err_set(err, ERR_PARAMS,
                       "there is no pool \"%.64s\" (coro pool set NAME SLOTS creates one)",
                       s->pool);
    return true;
}

static void replace(char **text, const char *with)
{
    free(*text);
    *text = *with ? xstrdup(with) : NULL;
}

/* Of its commands that wait already those, too, that say nothing else themselves. */
static void set_place(struct engine *e, struct live *job, const struct job_setting *s)
{
    int priority = s->has_priority ? s->priority : job->priority;
    struct leaf **waiting;
    size_t n = pools_take(&job->waiting, &waiting);
    if (s->pool)
        replace(&job->pool, s->pool);
    for (size_t i = 0; i < n; i++) {
        struct err err;
        if (waiting[i]->spec.priority == job->priority)
            runtime_leaf_prefer(waiting[i], priority);
        /* There is such a pool, and one that is too small serves it alone: this cannot fail. */
        pools_enter(e->pools, waiting[i], leaf_pool(job, waiting[i]), true, &job->waiting, &err);
    }
    free(waiting);
    job->priority = priority;
    runtime_set_priority(e->runtime, job->id, priority);
}

static void write_setting(struct engine *e, const struct live *job)
{
    batch_add(&e->open, ST_JOB_SET);
    batch_int(&e->open, (int64_t)job->id);
    batch_str(&e->open, job->name);
    batch_str(&e->open, job->pool);
    batch_int(&e->open, job->priority);
    batch_json_or_null(&e->open, job->labels);
}

bool engine_set_job(struct engine *e, uint64_t id, const struct job_setting *s, struct err *err)
{
    struct live *job = engine_job(e, id);
    if (!may_set(e, id, s, err))
        return false;
    if (s->name)
        replace(&job->name, s->name);
    if (s->labels) {
        value_unref(job->labels);
        job->labels = value_ref(s->labels);
    }
    if (s->pool || s->has_priority)
        set_place(e, job, s);
    write_setting(e, job);
    if (s->has_time)
        gate_set_time(e, job, s->delay_us, s->at_us);
    return true;
}
