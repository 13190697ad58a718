/* What `${x.name}` gives of an object. */
#include "daemon/task/job.h"
#include "daemon/task/object.h"
#include "proto/mem.h"

static struct value *get_qsize(const struct object *o)
{
    return value_int((int64_t)queue_size(o));
}

static struct value *get_empty(const struct object *o)
{
    return value_bool(queue_is_empty(o));
}

static struct value *get_full(const struct object *o)
{
    return value_bool(queue_is_full(o));
}

static struct value *get_limit(const struct object *o)
{
    return value_int(o->limit);
}

static struct value *get_unfinished(const struct object *o)
{
    return value_int(o->value);
}

static struct value *get_locked(const struct object *o)
{
    return value_bool(lock_is_locked(o));
}

static struct value *get_is_set(const struct object *o)
{
    return value_bool(o->flag);
}

static struct value *get_n_waiting(const struct object *o)
{
    return value_int(o->state == BARRIER_FILLING ? o->value : 0);
}

static struct value *get_broken(const struct object *o)
{
    return value_bool(o->state == BARRIER_BROKEN);
}

static const struct {
    const char *name;
    unsigned types;
    struct value *(*get)(const struct object *o);
} attributes[] = {
    {"qsize", IS_ANY_QUEUE, get_qsize},       {"empty", IS_ANY_QUEUE, get_empty},
    {"full", IS_ANY_QUEUE, get_full},         {"maxsize", IS_ANY_QUEUE, get_limit},
    {"locked", IS_LOCKABLE, get_locked},      {"unfinished", IS_ANY_QUEUE, get_unfinished},
    {"is_set", IS_EVENT, get_is_set},         {"parties", IS_BARRIER, get_limit},
    {"n_waiting", IS_BARRIER, get_n_waiting}, {"broken", IS_BARRIER, get_broken},
};

struct value *object_attribute(void *object, const char *name, struct value **error)
{
    const struct object *o = object;
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (object_is(o, attributes[i].types) && strcmp(attributes[i].name, name) == 0)
            return attributes[i].get(o);
    *error = error_new("TypeError", "%s %s has no attribute '%s'", object_article(o),
                       object_verb(o), name);
    return NULL;
}
