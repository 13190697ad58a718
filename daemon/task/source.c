#include "daemon/task/source.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

static bool bound(const struct task *t, const struct expr *e, int64_t absent, int64_t *ret,
                  struct value **error)
{
    *ret = absent;
    if (!e)
        return true;
    cleanup_value struct value *v = task_try_eval(t, e, error);
    if (!v)
        return false;
    *ret = value_get_int(v);
    if (value_type(v) == VALUE_INT)
        return true;
    *error = error_new("TypeError", "range takes whole numbers, not %s", value_type_name(v));
    return false;
}

bool iterator_over(struct iterator *it, struct value *v, struct value **error)
{
    if (value_type(v) != VALUE_LIST) {
        *error = error_new("TypeError", "in takes a list, not %s", value_type_name(v));
        return false;
    }
    *it = (struct iterator){.list = value_ref(v), .n = value_count(v)};
    return true;
}

bool iterator_begin(struct iterator *it, const struct task *t, const struct source *s,
                    struct value **error)
{
    if (s->list) {
        cleanup_value struct value *v = task_try_eval(t, s->list, error);
        return v && iterator_over(it, v, error);
    }
    int64_t start, stop, step;
    if (!bound(t, s->start, 0, &start, error) || !bound(t, s->stop, 0, &stop, error) ||
        !bound(t, s->step, 1, &step, error))
        return false;
    if (step == 0) {
        *error = error_new("ValueError", "range() arg 3 must not be zero");
        return false;
    }
    uint64_t n = 0;
    if (step > 0 && start < stop)
        n = ((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1;
    else if (step < 0 && start > stop)
        n = ((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1;
    *it = (struct iterator){.start = start, .step = step, .n = n};
    return true;
}

struct value *iterator_next(struct iterator *it)
{
    if (it->next >= it->n)
        return NULL;
    uint64_t i = it->next++;
    if (it->list)
        return value_ref(value_item(it->list, i));
    return value_int((int64_t)((uint64_t)it->start + i * (uint64_t)it->step));
}

void iterator_release(struct iterator *it)
{
    value_unref(steal(&it->list));
}

void iterator_save(const struct iterator *it, struct buf *out)
{
    put_varint(out, it->n);
    put_varint(out, it->next);
    put_svarint(out, it->start);
    put_svarint(out, it->step);
}

bool iterator_load(struct iterator *it, struct job_loader *l, struct reader *r)
{
    it->n = get_varint(r);
    it->next = get_varint(r);
    it->start = get_svarint(r);
    it->step = get_svarint(r);
    if (r->failed || (it->list && it->n > value_count(it->list)))
        return load_fail(l, "a loop");
    return true;
}
