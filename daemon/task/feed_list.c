/* `for` over a list or a range: never waits. */
#include "daemon/task/feed.h"
#include "daemon/task/object.h"

bool feed_list_begin(struct for_act *a, const struct task *t, const struct source *s,
                     struct value **error)
{
    a->feed = &feed_list;
    if (!s->list)
        return iterator_begin(&a->it, t, s, error);
    cleanup_value struct value *v = task_try_eval(t, s->list, error);
    if (!v)
        return false;
    struct object *o = object_of(v);
    if (o && object_is(o, IS_ANY_QUEUE)) {
        feed_queue_begin(a, o);
        return true;
    }
    return iterator_over(&a->it, v, error);
}

static enum feed_step next(struct task *t, struct for_act *a, struct value **v)
{
    (void)t;
    *v = iterator_next(&a->it);
    return *v ? FEED_ITEM : FEED_END;
}

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    iterator_save(&a->it, out);
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    (void)t;
    return iterator_load(&a->it, l, r);
}

static void release(struct task *t, struct for_act *a)
{
    (void)t;
    iterator_release(&a->it);
}

const struct feed feed_list = {
    .tag = 'L',
    .next = next,
    .save = save,
    .load = load,
    .release = release,
};
