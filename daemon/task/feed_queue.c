/* `for` over a queue: an item after the other, until it is shut down and empty. */
#include "daemon/task/feed.h"
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"

void feed_queue_begin(struct for_act *a, struct object *queue)
{
    a->feed = &feed_queue;
    a->queue = object_ref(queue);
}

static enum feed_step step(enum progress p, struct value *item, struct value *error,
                           struct value **v)
{
    switch (p) {
    case PROGRESS_WAITS:
        return FEED_WAIT;
    case PROGRESS_DONE:
        *v = item;
        return FEED_ITEM;
    case PROGRESS_FAILED:
        break;
    }
    if (strcmp(error_type(error), "QueueShutDown") == 0) {
        value_unref(error);
        return FEED_END;
    }
    *v = error;
    return FEED_ERROR;
}

static enum feed_step next(struct task *t, struct for_act *a, struct value **v)
{
    struct value *item = NULL, *error = NULL;
    enum progress p = get_begin(t, a->queue, &a->waiter, &item, &error);
    return step(p, item, error, v);
}

static enum feed_step on_event(struct task *t, struct for_act *a, struct value *error,
                               struct value **v)
{
    struct value *item = NULL, *new_error = NULL;
    enum progress p =
        get_go_on(t, a->queue, &a->waiter, error ? DONE_RAISE : DONE_NORMAL, &item, &new_error);
    return step(p, item, error ? error : new_error, v);
}

static void cancel(struct task *t, struct for_act *a)
{
    (void)t;
    waiters_cancel(&a->queue->waiters[LIST_GETTERS], &a->waiter);
}

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    put_varint(out, object_number(a->queue));
    put_varint(out, a->waiter.seq);
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    (void)t;
    a->queue = load_object(l, get_varint(r), IS_ANY_QUEUE);
    a->waiter.seq = get_varint(r);
    return (a->queue && !r->failed) || load_fail(l, "a loop over a queue");
}

static void loaded(struct task *t, struct for_act *a)
{
    waiters_load(&a->queue->waiters[LIST_GETTERS], &a->waiter, t, false);
}

static void release(struct task *t, struct for_act *a)
{
    if (a->queue) {
        waiters_remove(&a->queue->waiters[LIST_GETTERS], &a->waiter);
        if (a->act.phase == FOR_WAITING && t->future != FUTURE_PENDING)
            named_forgo(a->queue, LIST_GETTERS, t->job, t->future == FUTURE_DONE);
    }
    object_unref(a->queue);
    a->queue = NULL;
}

static void awaits(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    buf_addstr(out, "an item of ");
    object_put_name(a->queue, out);
}

const struct feed feed_queue = {
    .tag = 'Q',
    .next = next,
    .on_event = on_event,
    .cancel = cancel,
    .save = save,
    .load = load,
    .loaded = loaded,
    .release = release,
    .awaits = awaits,
};
