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
    const struct object_use *use = q->use;
    if (q->flag) {
        *error = error_new("QueueShutDown", "%s", "");
    } else if (queue_is_full(q)) {
        *error = error_new("QueueFull", "%s", "");
    } else if (use->items >= JOB_MAX_ITEMS ||
               use->item_bytes + value_bytes(item) > JOB_MAX_ITEM_BYTES) {
        *error =
            error_new("RuntimeError", "too many items: %s queues may hold %d, of %d MiB together",
                      q->named ? "an owner's named" : "a job's", (int)JOB_MAX_ITEMS,
                      (int)(JOB_MAX_ITEM_BYTES >> 20));
    } else if (q->named && value_has_handles(item)) {
        *error = error_new("TypeError",
                           "a queue with a name takes values, not tasks, queues or their like");
    } else {
        return true;
    }
    return false;
}

/* So many more items of so many bytes; modular, for fewer. */
static void counted(struct object *q, size_t n, size_t bytes)
{
    if (!q->home)
        return;
    q->use->items += n;
    q->use->item_bytes += bytes;
}

/* What is in a queue with a name is no job's: a value of its own, counted nowhere else. */
static struct value *for_all(const struct value *item)
{
    struct value_account *job = value_account_use(NULL);
    struct value *copy = value_copy(item);
    value_account_use(job);
    return copy;
}

bool queue_put_nowait(struct object *q, struct value *item, struct value **error)
{
    if (!may_put(q, item, error))
        return false;
    cleanup_value struct value *v = q->named ? for_all(item) : value_ref(item);
    if (!items_put(q->items, v, error))
        return false;
    counted(q, 1, value_bytes(v));
    q->value++;
    object_touch(q);
    waiters_wake(&q->waiters[LIST_GETTERS], false);
    return true;
}

struct queue_item *queue_borrow(struct object *q, struct value **error)
{
    if (queue_is_empty(q)) {
        *error = error_new(q->flag ? "QueueShutDown" : "QueueEmpty", "%s", "");
        return NULL;
    }
    struct queue_item *it = items_borrow(q->items, error);
    if (it)
        waiters_wake(&q->waiters[LIST_PUTTERS], false);
    return it;
}

void queue_give_back(struct object *q, struct queue_item *it)
{
    items_give_back(q->items, it);
    waiters_wake(&q->waiters[LIST_GETTERS], false);
}

struct value *queue_end(struct object *q, struct queue_item *it)
{
    struct value *item = items_end(q->items, it);
    counted(q, (size_t)-1, 0 - value_bytes(item));
    object_touch(q);
    return item;
}

struct value *queue_get_nowait(struct object *q, struct value **error)
{
    struct queue_item *it = queue_borrow(q, error);
    struct value *item = it ? queue_end(q, it) : NULL;
    if (!item || !q->named)
        return item;
    struct value *own = value_copy(item); /* the job's that got it */
    value_unref(item);
    return own;
}

bool queue_task_done(struct object *q, struct value **error)
{
    if (q->named && q->named->removed)
        return true; /* nobody asks any more */
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

void queue_pass_on(struct object *q, size_t getters, size_t putters)
{
    size_t n = queue_size(q);
    if (q->flag)
        getters = putters = SIZE_MAX;
    for (; getters > 0 && (n > 0 || q->flag); getters--)
        if (!waiters_wake(&q->waiters[LIST_GETTERS], false))
            break;
    for (; putters > 0 && (!queue_is_full(q) || q->flag); putters--)
        if (!waiters_wake(&q->waiters[LIST_PUTTERS], false))
            break;
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
