#include "daemon/task/runtime.h"

#include "daemon/task/job.h"
#include "daemon/task/keep.h"
#include "proto/mem.h"

/* Steps of one job before the next one's turn. */
enum { SLICE = 1000 };

struct runtime *runtime_new(const struct runtime_effects *effects, void *arg)
{
    struct runtime *rt = xcalloc(1, sizeof *rt);
    rt->effects = effects;
    rt->arg = arg;
    rt->leaf_seq = 1;
    rt->max_live = SIZE_MAX / 2;
    rt->keep_from = KEEP_FROM_BYTES;
    TAILQ_INIT(&rt->named.woken);
    LIST_INIT(&rt->named.visitors);
    return rt;
}

void runtime_free(struct runtime *rt)
{
    if (!rt)
        return;
    size_t at = 0;
    rt->named.quiet = true;
    for (struct map_slot *s; (s = map_next(&rt->jobs, &at));)
        job_free(s->value);
    named_release(rt);
    map_release(&rt->jobs);
    map_release(&rt->attempts);
    timer_heap_release(&rt->timers);
    free(rt->dirty);
    free(rt);
}

void runtime_start(struct runtime *rt, uint64_t id, uint32_t owner, struct program *program,
                   int64_t now_us)
{
    struct job *job = job_new(rt, id, owner, program);
    job->now_us = now_us;
    map_put(&rt->jobs, id, job);
    const struct node *root = program_main(program);
    job->main = task_ref(task_new(job, NULL, root));
    task_enter(job->main, scope_new(job, NULL), root);
    callbacks_add(&job->main->callbacks, (struct callback){NULL, CALLBACK_STOP});
    double timeout = program_document(program)->timeout;
    if (timeout >= 0)
        timer_start(job, NULL, &job->deadline, TIMER_JOB, timer_deadline(now_us, timeout));
}

void runtime_start_given(struct runtime *rt, uint64_t id, uint32_t owner, struct program *program,
                         int64_t now_us, struct given *g)
{
    enum { STEPS = 1000000 }; /* far more than what comes before a gather takes */
    runtime_start(rt, id, owner, program, now_us);
    struct job *job = map_get(&rt->jobs, id);
    job->given = g;
    for (unsigned i = 0; i < STEPS && job->given && job_has_work(job); i++) {
        unsigned one = 1;
        job_run(job, &one);
    }
    given_free(steal(&job->given));
}

void runtime_set_priority(struct runtime *rt, uint64_t id, int priority)
{
    struct job *job = map_get(&rt->jobs, id);
    if (job)
        job->priority = priority;
}

bool runtime_tick(struct runtime *rt, int64_t now_us, unsigned budget)
{
    timer_take_due(&rt->timers, now_us);
    visits_run(rt);
    while (rt->work_first && budget > 0) {
        struct job *job = rt->work_first;
        rt->work_first = job->next_work;
        if (!rt->work_first)
            rt->work_last = NULL;
        job->queued = false;
        if (now_us > job->now_us)
            job->now_us = now_us;
        unsigned slice = budget < SLICE ? budget : SLICE, left = slice;
        job_run(job, &left);
        budget -= slice - left;
        rt->steps += slice - left;
        if (job_has_work(job))
            job_wake(job);
    }
    return rt->work_first != NULL || !TAILQ_EMPTY(&rt->named.woken);
}

void runtime_forget(struct runtime *rt, struct job *job)
{
    struct job **link = &rt->work_first, *last = NULL;
    while (*link) {
        if (*link == job) {
            *link = job->next_work;
            continue;
        }
        last = *link;
        link = &last->next_work;
    }
    rt->work_last = last;
    map_remove(&rt->jobs, job->id);
    job_free(job);
}

uint64_t runtime_steps(const struct runtime *rt)
{
    return rt->steps;
}

int64_t runtime_next_us(const struct runtime *rt)
{
    return timer_heap_next_us(&rt->timers);
}

struct leaf *runtime_leaf_find(struct runtime *rt, uint64_t attempt)
{
    return map_get(&rt->attempts, attempt);
}

bool runtime_cancel(struct runtime *rt, uint64_t id)
{
    struct job *job = map_get(&rt->jobs, id);
    if (!job || job->phase == PHASE_OVER)
        return false;
    task_cancel(job->main);
    job->interrupt = true;
    return true;
}

bool runtime_kill(struct runtime *rt, uint64_t id)
{
    struct job *job = map_get(&rt->jobs, id);
    if (!job || job->phase == PHASE_OVER)
        return false;
    job_kill(job);
    return true;
}

void runtime_keep_from(struct runtime *rt, size_t bytes)
{
    rt->keep_from = bytes;
}

void runtime_limit_tasks(struct runtime *rt, size_t max)
{
    rt->max_live = max;
}

size_t runtime_live_tasks(const struct runtime *rt)
{
    return rt->live;
}
