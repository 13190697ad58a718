/* `for` over `{as_completed: [tasks]}`: the tasks in the order in which they end, as
 * asyncio.as_completed() of 3.13 as an asynchronous iterator. */
#include "daemon/task/feed.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static bool take(struct task *t, struct watch *w, const struct value *v, struct value **error)
{
    struct task *target = task_of(v);
    struct coro *c = coro_of(v);
    if (!target && !c) {
        *error =
            error_new("TypeError", "An asyncio.Future, a coroutine or an awaitable is required");
        return false;
    }
    if (c && c->mark == w->id) /* the same one twice is one task */
        return true;
    if (c) {
        if (!may_spawn(t->job, 1, error))
            return false;
        c->mark = w->id;
        target = spawn_coro(t, c, NULL, NULL);
    }
    watch_take(w, target);
    return true;
}

bool feed_completed_begin(struct for_act *a, struct task *t, const struct source *s,
                          struct value **error)
{
    cleanup_value struct value *list = task_try_eval(t, s->completed, error);
    if (!list)
        return false;
    if (value_type(list) != VALUE_LIST) {
        *error =
            error_new("TypeError", "expect an iterable of futures, not %s", value_type_name(list));
        return false;
    }
    a->feed = &feed_completed;
    a->watch = watch_new(t, WATCH_COMPLETED);
    for (size_t i = 0; i < value_count(list); i++)
        if (!take(t, a->watch, value_item(list, i), error))
            return false;
    watch_begin(a->watch, true);
    return true;
}

static enum feed_step next(struct task *t, struct for_act *a, struct value **v)
{
    (void)t;
    struct watch *w = a->watch;
    if (w->taken >= w->n)
        return FEED_END;
    struct task *ended = watch_next(w);
    if (!ended) {
        watch_suspend(w);
        return FEED_WAIT;
    }
    *v = task_value(ended);
    task_unref(ended);
    return FEED_ITEM;
}

static enum feed_step on_event(struct task *t, struct for_act *a, struct value *error,
                               struct value **v)
{
    a->watch->waiting = false;
    if (!error)
        return next(t, a, v);
    *v = error;
    return FEED_ERROR;
}

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    watch_save(a->watch, out);
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    a->watch = watch_load(t, WATCH_COMPLETED, l, r);
    if (!a->watch)
        return false;
    a->watch->waiting = a->act.phase > 0;
    return a->watch->taken <= a->watch->n || load_fail(l, "an as_completed");
}

static void release(struct task *t, struct for_act *a)
{
    (void)t;
    struct watch *w = steal(&a->watch);
    if (w)
        watch_abandon(w);
    watch_unref(w);
}

static void awaits(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    buf_printf(out, "as_completed of %zu, %u done", a->watch->n, watch_done(a->watch));
}

const struct feed feed_completed = {
    .tag = 'C',
    .next = next,
    .on_event = on_event,
    .save = save,
    .load = load,
    .release = release,
    .awaits = awaits,
};
