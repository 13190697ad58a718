/* How a job ends: what asyncio.run() does once main is over, and what it has no word for. */
#include "daemon/task/job.h"
#include "proto/mem.h"

/* Cancelled, stuck, cancelled again: after so often it is put to an end. */
enum { STUCK_MAX = 3 };

static struct task **live_tasks(struct job *job, size_t *n)
{
    struct task **all = xmalloc((job->live + 1) * sizeof(struct task *));
    *n = 0;
    for (struct task *t = job->first; t; t = t->next)
        if (!task_is_done(t) && *n < job->live)
            all[(*n)++] = task_ref(t);
    return all;
}

static enum job_end end_of(const struct task *main_task)
{
    switch (task_state_of(main_task)) {
    case TASK_SUCCEEDED:
        return JOB_SUCCEEDED;
    case TASK_CANCELLED:
        return JOB_CANCELLED;
    case TASK_LOST:
        return JOB_LOST;
    default:
        return JOB_FAILED;
    }
}

static void finish(struct job *job)
{
    if (!job->killed)
        coro_list_warn(&job->left, job);
    for (struct task *t = job->first; t; t = t->next) {
        if (t->unretrieved && !job->killed)
            job_report(job, t, "Task exception was never retrieved");
        t->unretrieved = false;
    }
    timer_cancel(job, &job->deadline);
    named_leave(job->rt, job->id);
    job->phase = PHASE_OVER;
    job_touch(job);
    if (!job->rt->effects->job_ended)
        return;
    struct task *m = job->main;
    if (job->killed) {
        cleanup_value struct value *error = error_new("CancelledError", "the job was killed");
        job->rt->effects->job_ended(job->rt->arg, job->id, JOB_CANCELLED, NULL, error);
    } else if (job->failure) {
        job->rt->effects->job_ended(job->rt->arg, job->id, JOB_FAILED, NULL, job->failure);
    } else if (m->outcome == OUTCOME_VALUE) {
        job->rt->effects->job_ended(job->rt->arg, job->id, JOB_SUCCEEDED, m->value, NULL);
    } else {
        job->rt->effects->job_ended(job->rt->arg, job->id, end_of(m), NULL, m->value);
    }
}

/* asyncio's _cancel_all_tasks(). */
static void close_round(struct job *job)
{
    size_t n;
    cleanup_free struct task **all = live_tasks(job, &n);
    if (n == 0) {
        finish(job);
        return;
    }
    for (size_t i = 0; i < n; i++)
        task_cancel(all[i]);
    job->closing = gather_new(job, true);
    job->closing->shutdown = true;
    for (size_t i = 0; i < n; i++) {
        gather_add(job->closing, all[i]);
        task_unref(all[i]);
    }
}

void job_stopped(struct job *job)
{
    struct gather *g = steal(&job->closing);
    for (uint32_t i = 0; g && i < g->n; i++) {
        struct task *t = g->children[i];
        if (t->outcome == OUTCOME_ERROR)
            job_report(job, t, "unhandled exception during shutdown");
        t->unretrieved = false;
    }
    if (g)
        gather_clear(g);
    gather_unref(g);
    job->phase = PHASE_SHUTDOWN;
    job_touch(job);
    close_round(job);
}

static void put_awaited(const struct task *t, struct buf *out)
{
    if (out->len > 300) /* long enough for a person */
        return;
    struct buf name = {0};
    task_put_title(t, &name);
    buf_printf(out, "%stask %u (%s) awaits ", out->len ? "; " : "", t->id, buf_cstr(&name));
    buf_release(&name);
    task_put_awaits(t, out);
}

static struct value *deadlock(struct job *job)
{
    struct buf text = {0};
    size_t more = 0;
    for (struct task *t = job->first; t; t = t->next)
        if (!task_is_done(t)) {
            more += text.len > 300;
            put_awaited(t, &text);
        }
    if (more)
        buf_printf(&text, "; and %zu more", more);
    struct value *error =
        error_new("DeadlockError", "nothing is left that could run: %s", buf_cstr(&text));
    buf_release(&text);
    return error;
}

/* The tasks that are left end without running any more. */
static void end_all(struct job *job)
{
    size_t n;
    cleanup_free struct task **all = live_tasks(job, &n);
    for (size_t i = 0; i < n; i++)
        task_detach(all[i]); /* first all: no end may wake another */
    for (size_t i = 0; i < n; i++) {
        if (!task_is_done(all[i]))
            task_end(all[i], DONE_RAISE, error_new("CancelledError", "%s", ""));
        task_unref(all[i]);
    }
}

static void give_up(struct job *job)
{
    job_diagnostic(job, "%zu tasks still wait after they were cancelled: they are ended",
                   job->live);
    for (struct task *t = job->first; t; t = t->next)
        if (!task_is_done(t))
            frames_settle(t);
    end_all(job);
}

void job_kill(struct job *job)
{
    job->killed = true;
    job->running = NULL;
    for (struct task *t = job->first; t; t = t->next)
        t->unretrieved = false;
    end_all(job);
    finish(job);
}

void job_stuck(struct job *job)
{
    if (job->phase == PHASE_MAIN && !job->failure)
        job->failure = deadlock(job);
    job_touch(job);
    if (++job->stuck > STUCK_MAX) {
        give_up(job);
        return;
    }
    size_t n;
    cleanup_free struct task **all = live_tasks(job, &n);
    for (size_t i = 0; i < n; i++) {
        task_cancel(all[i]);
        task_unref(all[i]);
    }
}

void job_overdue(struct job *job)
{
    if (job->phase != PHASE_MAIN || job->failure)
        return;
    job->failure = error_new("TimeoutError", "the job took longer than its timeout of %g s",
                             program_document(job->program)->timeout);
    task_cancel(job->main);
    job->interrupt = true;
}
