#include "daemon/task/job.h"
#include "proto/mem.h"

/*
 * asyncio's Task.cancel() passes the cancellation on to what the task awaits, down to a plain
 * future. Chains are as long as a job makes them, so here that is a list of what is left to do
 * instead of recursion: depth first, as asyncio.
 */
struct todo {
    struct task *task;
    bool leave; /* all below it is done */
};
struct work {
    struct todo *all;
    size_t n, cap;
    size_t steps;
};

static void work_add(struct work *w, struct task *t, bool leave)
{
    if (w->n == w->cap)
        w->all = xgrow(w->all, &w->cap, w->n + 1, sizeof *w->all);
    w->all[w->n++] = (struct todo){t, leave};
}

/* A circle of tasks that await each other has no future at its end: here it is cut, and the task
 * wakes as if the awaited one had been cancelled. */
static void cut_circle(struct task *t)
{
    t->must_cancel = true;
    job_soon_task(t->job, HANDLE_STEP, t);
}

/* What the task awaits takes the cancellation? Tasks to cancel go to the list. */
static bool cancel_waiter(struct task *t, struct work *w)
{
    if (t->wait == WAIT_TASK) {
        if (task_is_done(t->awaited))
            return false;
        if (t->awaited->on_path) {
            if (!t->ready)
                cut_circle(t);
            return true;
        }
        work_add(w, t->awaited, false);
        return true;
    }
    if (t->wait == WAIT_GATHER && t->gathered->state == GATHER_PENDING) {
        struct gather *g = t->gathered;
        bool some = false, circle = false;
        for (uint32_t i = g->n; i-- > 0;) {
            struct task *child = g->children[i];
            if (task_is_done(child))
                continue;
            some = true;
            if (child->on_path)
                circle = true;
            else
                work_add(w, child, false);
        }
        if (some)
            g->cancel_requested = true;
        if (circle && !t->ready)
            cut_circle(t);
        return some;
    }
    if (t->wait == WAIT_OWN && t->future == FUTURE_PENDING) {
        struct act *a = task_top(t);
        if (a && act_kind(a)->cancel && act_kind(a)->cancel(t, a))
            wait_settle(t, FUTURE_CANCELLED);
        return true;
    }
    return false;
}

static void work_run(struct work *w)
{
    while (w->n > 0) {
        struct todo todo = w->all[--w->n];
        struct task *t = todo.task;
        if (todo.leave) {
            t->on_path = false;
            continue;
        }
        if (task_is_done(t))
            continue;
        task_touch(t);
        t->unretrieved = false;
        if (task_extra(t)->cancels < UINT32_MAX)
            task_make_extra(t)->cancels++;
        t->on_path = true;
        work_add(w, t, true);
        /* Tasks that are gathered twice, twice over: asyncio would go on for ever. */
        if (++w->steps > (size_t)16 * JOB_MAX_TASKS || !cancel_waiter(t, w))
            t->must_cancel = true;
    }
    free(w->all);
}

bool task_cancel(struct task *t)
{
    if (task_is_done(t))
        return false;
    struct work w = {0};
    work_add(&w, t, false);
    work_run(&w);
    return true;
}

uint32_t task_uncancel(struct task *t)
{
    if (t->extra && t->extra->cancels > 0 && --t->extra->cancels == 0)
        t->must_cancel = false;
    return task_extra(t)->cancels;
}

void task_check_cancel(struct task *t)
{
    if (!t->must_cancel || t->wait == WAIT_YIELD || t->wait == WAIT_NONE)
        return;
    struct work w = {0};
    t->on_path = true;
    bool taken = cancel_waiter(t, &w);
    work_run(&w);
    t->on_path = false;
    if (taken)
        t->must_cancel = t->ready == HANDLE_STEP;
}
