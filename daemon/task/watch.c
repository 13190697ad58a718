#include "daemon/task/watch.h"

#include "daemon/task/job.h"
#include "proto/mem.h"

struct watch *watch_new(struct task *owner, enum watch_kind kind)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->refs = 1;
    w->id = ++owner->job->next_gather;
    w->job = owner->job;
    w->owner = owner;
    w->kind = (uint8_t)kind;
    return w;
}

struct watch *watch_ref(struct watch *w)
{
    w->refs++;
    return w;
}

void watch_abandon(struct watch *w)
{
    struct watched *all = steal(&w->all);
    struct task **ended = steal(&w->ended);
    struct value **errors = steal(&w->errors);
    size_t n = w->n, first = w->first_ended, n_ended = w->n_ended, n_errors = w->n_errors;
    w->kind = WATCH_ORPHAN;
    w->owner = NULL;
    w->waiting = false;
    w->n = w->cap = w->first_ended = w->n_ended = w->cap_ended = w->n_errors = w->cap_errors = 0;
    w->refs++;
    for (size_t i = 0; i < n; i++) {
        struct task *t = all[i].task;
        uint32_t had = callbacks_n(&t->callbacks);
        if (!task_is_done(t))
            callbacks_remove(&t->callbacks, w);
        for (; had > callbacks_n(&t->callbacks); had--)
            watch_unref(w);
        task_unref(t);
    }
    for (size_t i = first; i < n_ended; i++)
        task_unref(ended[i]);
    for (size_t i = 0; i < n_errors; i++)
        value_unref(errors[i]);
    free(all);
    free(ended);
    free(errors);
    watch_unref(w);
}

void watch_unref(struct watch *w)
{
    if (!w || --w->refs > 0)
        return;
    if (w->kind != WATCH_ORPHAN) {
        w->refs++;
        watch_abandon(w);
        w->refs--;
    }
    free(w);
}

void watch_append(struct watch *w, struct task *t)
{
    if (w->n == w->cap)
        w->all = xgrow(w->all, &w->cap, w->n + 1, sizeof *w->all);
    w->all[w->n++] = (struct watched){task_ref(t), false};
}

void watch_take(struct watch *w, struct task *t)
{
    if (t->mark == w->id)
        return;
    t->mark = w->id;
    watch_append(w, t);
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct watched *)a)->task->id, y = ((const struct watched *)b)->task->id;
    return x < y ? -1 : x > y;
}

void watch_add_callback(struct watch *w, struct task *t)
{
    callbacks_add(&t->callbacks, (struct callback){watch_ref(w), CALLBACK_WATCH});
}

void watch_begin(struct watch *w, bool sort)
{
    if (sort && w->n > 1)
        qsort(w->all, w->n, sizeof *w->all, by_id);
    for (size_t i = 0; i < w->n; i++) {
        struct watched *one = &w->all[i];
        w->left++;
        one->soon = task_is_done(one->task);
        if (!one->soon) {
            watch_add_callback(w, one->task);
            continue;
        }
        uint64_t seq = job_soon(w->job, HANDLE_WATCH, watch_ref(w), task_ref(one->task));
        if (w->soon_seq == 0)
            w->soon_seq = seq;
    }
}

/* Those that are done need not be kept: what a group must know of them it has. */
static void sweep(struct watch *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (task_is_done(w->all[i].task))
            task_unref(w->all[i].task);
        else
            w->all[n++] = w->all[i];
    }
    w->n = n;
}

void watch_add_child(struct watch *w, struct task *child)
{
    if (w->n == w->cap)
        sweep(w);
    if (2 * w->n >= w->cap)
        w->all = xgrow(w->all, &w->cap, 2 * w->n + 4, sizeof *w->all);
    watch_append(w, child);
    w->left++;
    watch_add_callback(w, child);
    task_touch(child);
}

void watch_suspend(struct watch *w)
{
    w->waiting = true;
    task_suspend(w->owner, WAIT_OWN, NULL);
}

static void settle(struct watch *w)
{
    if (w->waiting)
        wait_settle(w->owner, FUTURE_DONE);
}

void watch_add_ended(struct watch *w, struct task *t)
{
    if (w->n_ended == w->cap_ended)
        w->ended = xgrow(w->ended, &w->cap_ended, w->n_ended + 1, sizeof(struct task *));
    w->ended[w->n_ended++] = task_ref(t);
}

struct task *watch_next(struct watch *w)
{
    if (w->first_ended == w->n_ended)
        return NULL;
    w->taken++;
    return w->ended[w->first_ended++];
}

uint32_t watch_done(const struct watch *w)
{
    return (uint32_t)w->n - w->left;
}

/* asyncio's _wait(): whether the waiter is to go on. */
static bool enough(const struct watch *w, struct task *child)
{
    if (w->left == 0 || w->until == UNTIL_FIRST)
        return true;
    if (w->until == UNTIL_ALL || child->outcome == OUTCOME_CANCELLED)
        return false;
    task_retrieved(child);
    return child->outcome == OUTCOME_ERROR;
}

void watch_child_done(struct watch *w, struct task *child)
{
    if (w->kind == WATCH_ORPHAN)
        return;
    if (w->left > 0)
        w->left--;
    switch ((enum watch_kind)w->kind) {
    case WATCH_GROUP:
        if (w->left == 0)
            settle(w);
        group_child_done(w, child);
        break;
    case WATCH_WAIT:
        if (enough(w, child))
            settle(w);
        break;
    case WATCH_RACE:
        if (w->n_ended > 0)
            break;
        watch_add_ended(w, child);
        settle(w);
        break;
    case WATCH_COMPLETED:
        watch_add_ended(w, child);
        settle(w);
        break;
    case WATCH_SHIELD:
        task_retrieved(child);
        settle(w);
        break;
    case WATCH_ORPHAN:
        break;
    }
}
