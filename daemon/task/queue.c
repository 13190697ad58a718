/* asyncio.Queue & co. as of CPython 3.13. A getter or putter that is woken has nothing reserved. */
#include "daemon/task/items.h"
#include "daemon/task/job.h"
#include "daemon/task/object.h"

bool queue_is_empty(const struct object *q)
{
    return q->items->n == 0;
}

bool queue_is_full(const struct object *q)
{
    return q->limit > 0 && q->items->n >= (uint64_t)q->limit;
}

size_t queue_size(const struct object *q)
{
    return q->items->n;
}

static bool may_put(const struct object *q, const struct value *item, struct value **error)
{
    const struct job *job = q->job;
    if (q->flag) {
        *error = error_new("QueueShutDown", "%s", "");
    } else if (queue_is_full(q)) {
        *error = error_new("QueueFull", "%s", "");
    } else if (job->n_items >= JOB_MAX_ITEMS ||
               job->item_bytes + value_bytes(item) > JOB_MAX_ITEM_BYTES) {
        *error = error_new("RuntimeError",
                           "too many items: a job's queues may hold %d, of %d MiB together",
                           (int)JOB_MAX_ITEMS, (int)(JOB_MAX_ITEM_BYTES >> 20));
    } else {
        return true;
    }
    return false;
}

/* So many more items of so many bytes; modular, for fewer. */
static void counted(struct object *q, size_t n, size_t bytes)
{
    if (!q->job)
        return;
    q->job->n_items += n;
    q->job->item_bytes += bytes;
}

bool queue_put_nowait(struct object *q, struct value *item, struct value **error)
{
    if (!may_put(q, item, error) || !items_put(q->items, item, error))
        return false;
    counted(q, 1, value_bytes(item));
    q->value++;
    object_touch(q);
    waiters_wake(&q->waiters[LIST_GETTERS], false);
    return true;
}

struct value *queue_get_nowait(struct object *q, struct value **error)
{
    if (queue_is_empty(q)) {
        *error = error_new(q->flag ? "QueueShutDown" : "QueueEmpty", "%s", "");
        return NULL;
    }
    struct value *item = items_take(q->items, error);
    if (!item)
        return NULL;
    counted(q, (size_t)-1, 0 - value_bytes(item));
    object_touch(q);
    waiters_wake(&q->waiters[LIST_PUTTERS], false);
    return item;
}

bool queue_task_done(struct object *q, struct value **error)
{
    if (q->value <= 0) {
        *error = error_new("ValueError", "task_done() called too many times");
        return false;
    }
    if (--q->value == 0)
        waiters_wake_all(&q->waiters[LIST_JOINERS], false);
    object_touch(q);
    return true;
}

void object_drop_items(struct object *q)
{
    if (!q->items || q->items->n == 0)
        return;
    counted(q, 0 - q->items->n, 0 - q->items->bytes);
    items_clear(q->items);
}

void queue_shutdown(struct object *q, bool immediate)
{
    q->flag = true;
    if (immediate) {
        int64_t n = (int64_t)queue_size(q);
        q->value -= n < q->value ? n : q->value;
        object_drop_items(q);
        if (q->value == 0)
            waiters_wake_all(&q->waiters[LIST_JOINERS], false);
    }
    waiters_wake_all(&q->waiters[LIST_GETTERS], false);
    waiters_wake_all(&q->waiters[LIST_PUTTERS], false);
    object_touch(q);
}
