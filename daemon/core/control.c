/* Steering of jobs that live: pause, resume, kill. */
#include <stdlib.h>

#include "daemon/core/state.h"
#include "proto/errors.h"

static void store_pause(struct engine *e, const struct live *job)
{
    batch_add(&e->open, ST_JOB_PAUSE);
    batch_int(&e->open, (int64_t)job->id);
    batch_int(&e->open, (int)job->pause);
}

/* Its commands are told again what job->pause says. */
static void steer_attempts(struct engine *e, const struct live *job)
{
    for (const struct attempt *a = e->first_attempt; a; a = a->next) {
        if (a->job == job->id)
            effects_number(&e->effects, EFFECT_PAUSE, a->number);
    }
}

static void set_pause(struct engine *e, struct live *job, enum pause pause)
{
    bool was_frozen = job->pause == PAUSE_FROZEN;
    job->pause = pause;
    store_pause(e, job);
    if (was_frozen || pause == PAUSE_FROZEN)
        steer_attempts(e, job);
}

static bool has_ended(uint64_t id, struct err *err)
{
    return err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
}

bool engine_pause(struct engine *e, uint64_t id, bool freeze, struct err *err)
{
    struct live *job = engine_job(e, id);
    if (!job || job->ended)
        return has_ended(id, err);
    if (job->gate)
        return err_set(err, ERR_STATE, "job %llu has not started: hold it instead",
                       (unsigned long long)id);
    enum pause pause = freeze ? PAUSE_FROZEN : PAUSE_STARTS;
    if (job->pause >= pause) /* a frozen job is paused */
        return true;
    set_pause(e, job, pause);
    pools_pause_job(e->pools, id);
    if (job->state != JOB_STATE_PAUSED)
        job_set_state(e, job, JOB_STATE_PAUSED);
    return true;
}

static void resume(struct engine *e, struct live *job)
{
    set_pause(e, job, PAUSE_NONE);
    pools_resume_job(e->pools, job->id);
    job_set_state(e, job, job->started_us ? JOB_STATE_RUNNING : JOB_STATE_QUEUED);
    job_refresh_state(e, job);
}

bool engine_resume(struct engine *e, uint64_t id, struct err *err)
{
    struct live *job = engine_job(e, id);
    if (!job || job->ended)
        return has_ended(id, err);
    if (!job->pause)
        return err_set(err, ERR_STATE, "job %llu is not paused", (unsigned long long)id);
    resume(e, job);
    return true;
}

bool engine_cancel(struct engine *e, uint64_t id)
{
    struct live *job = engine_job(e, id);
    if (job && job->gate) {
        gate_cancel(e, job);
        return true;
    }
    if (!runtime_cancel(e->runtime, id))
        return false;
    /* Its clean-up needs slots, and its commands must hear of SIGTERM. */
    if (job && job->pause)
        resume(e, job);
    return true;
}

bool engine_kill(struct engine *e, uint64_t id)
{
    struct live *job = engine_job(e, id);
    if (job && job->gate) {
        gate_cancel(e, job);
        return true;
    }
    return runtime_kill(e->runtime, id);
}

bool engine_pool_pause(struct engine *e, const char *name, bool paused, struct err *err)
{
    if (!pools_pause(e->pools, name, paused, err))
        return false;
    batch_add(&e->open, ST_POOL_PAUSE);
    batch_str(&e->open, name);
    batch_int(&e->open, paused);
    return true;
}
