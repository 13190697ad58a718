/* What a live job looks like, for people. */
#include <inttypes.h>

#include "daemon/task/gather.h"
#include "daemon/task/job.h"
#include "daemon/task/save.h"
#include "daemon/task/watch.h"
#include "proto/mem.h"

void task_put_awaits(const struct task *t, struct buf *out)
{
    const struct act *a = task_top(t);
    if (t->wait == WAIT_TASK)
        buf_printf(out, "task %" PRIu64 ".%u", t->job->id, t->awaited->id);
    else if (t->wait == WAIT_GATHER)
        buf_printf(out, "gather of %u, %u done", t->gathered->futures, t->gathered->finished);
    else if (t->wait == WAIT_OWN && a && act_kind(a)->awaits)
        act_kind(a)->awaits(t, a, out);
    else if (t->wait != WAIT_NONE)
        buf_addstr(out, "its turn");
}

/* Cut at a character's beginning. */
static void copy(char *to, size_t size, struct buf *text)
{
    size_t n = text->len < size ? text->len : size - 1;
    while (n > 0 && n < text->len && ((unsigned char)text->data[n] & 0xc0) == 0x80)
        n--;
    if (n > 0)
        memcpy(to, text->data, n);
    to[n] = 0;
    buf_release(text);
}

bool runtime_view(struct runtime *rt, uint64_t id,
                  bool (*each)(void *arg, const struct task_view *v), void *arg)
{
    struct job *job = map_get(&rt->jobs, id);
    if (!job)
        return false;
    for (const struct task *t = job->first; t; t = t->next) {
        struct task_view v = {.id = t->id,
                              .parent = t->parent,
                              .state = task_state_of(t),
                              .created_us = t->created_us,
                              .finished_us = task_is_done(t) ? t->finished_us : 0};
        struct buf text = {0};
        task_put_title(t, &text);
        copy(v.name, sizeof v.name, &text);
        if (!task_is_done(t) && !t->ready && t != job->running)
            task_put_awaits(t, &text);
        copy(v.awaits, sizeof v.awaits, &text);
        const struct leaf_run *run = task_is_done(t) ? NULL : leaf_of(t);
        v.attempt = run ? run->leaf.attempt : 0;
        v.leaf = run ? &run->leaf : NULL;
        v.until_us = task_is_done(t) ? 0 : sleep_until(t);
        v.error = t->outcome == OUTCOME_ERROR ? t->value : NULL;
        if (!each(arg, &v))
            break;
    }
    return true;
}

size_t runtime_job_tasks(const struct runtime *rt, uint64_t id)
{
    const struct job *job = map_get(&rt->jobs, id);
    return job ? job->live : 0;
}

/* The task that goes on when this callback was called; NULL: none waits for it just now. */
static const struct task *waiter_of(struct callback c)
{
    if (c.type == CALLBACK_WAKE)
        return c.object;
    if (c.type == CALLBACK_GATHER) {
        const struct gather *g = c.object;
        const struct task *t = g ? g->awaiter : NULL;
        return t && t->wait == WAIT_GATHER && t->gathered == g ? t : NULL;
    }
    const struct watch *w = c.type == CALLBACK_WATCH ? c.object : NULL;
    return w && w->waiting ? w->owner : NULL;
}

bool runtime_waits(struct runtime *rt, uint64_t id,
                   bool (*each)(void *arg, uint32_t waiter, uint32_t awaited), void *arg)
{
    struct job *job = map_get(&rt->jobs, id);
    if (!job)
        return false;
    for (const struct task *t = job->first; t; t = t->next) {
        for (uint32_t i = 0; !task_is_done(t) && i < callbacks_n(&t->callbacks); i++) {
            const struct task *waiter = waiter_of(callbacks_get(&t->callbacks, i));
            if (waiter && !each(arg, waiter->id, t->id))
                return true;
        }
    }
    return true;
}

void runtime_pass_time(struct runtime *rt, uint64_t id, int64_t now_us)
{
    struct job *job = map_get(&rt->jobs, id);
    if (job && now_us > job->now_us)
        job->now_us = now_us;
}
