/* `for` over a list or a range: never waits. */
#include "daemon/task/feed.h"
#include "daemon/task/job.h"
#include "daemon/task/keep.h"
#include "daemon/task/save.h"

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

/* Where the list is written: a row of each turn would make a long one quadratic, and most stand in
 * the document. */
enum list_place { LIST_NONE, LIST_HERE, LIST_LITERAL, LIST_INPUT };

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    const struct value *list = a->it.list, *input = program_document(t->job->program)->input;
    const struct expr *e = for_source(a)->list;
    if (list && e && list == expr_literal(e)) {
        put_u8(out, LIST_LITERAL);
    } else {
        size_t i = 0, n = list ? value_count(input) : 0;
        while (i < n && value_member(input, i)->value != list)
            i++;
        if (i < n) {
            size_t len;
            const char *name = value_get_string(value_member(input, i)->key, &len);
            put_u8(out, LIST_INPUT);
            put_bytes(out, name, len);
        } else {
            put_u8(out, list ? LIST_HERE : LIST_NONE);
            if (list)
                keep_save(t->job, list, out);
        }
    }
    iterator_save(&a->it, out);
}

/* A new reference; NULL: there is none. */
static struct value *load_list(const struct for_act *a, struct job_loader *l, struct reader *r,
                               enum list_place place)
{
    const struct expr *e = for_source(a)->list;
    struct value *list = NULL;
    size_t len;
    if (place == LIST_HERE)
        return keep_load(l, r);
    if (place == LIST_LITERAL) {
        list = e ? expr_literal(e) : NULL;
    } else if (place == LIST_INPUT) {
        const char *name = get_bytes(r, &len);
        const struct value *input = program_document(l->job->program)->input;
        list = r->failed ? NULL : value_find_bytes(input, name, len);
    }
    return list && value_type(list) == VALUE_LIST ? value_ref(list) : NULL;
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    (void)t;
    enum list_place place = (enum list_place)get_u8(r);
    if (place != LIST_NONE && !(a->it.list = load_list(a, l, r, place)))
        return load_fail(l, "the list of a loop");
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
