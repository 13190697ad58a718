#include "daemon/task/object.h"

#include "daemon/task/items.h"
#include "daemon/task/job.h"
#include "proto/mem.h"

struct object *object_new(struct job *job, enum object_type type, struct value **error)
{
    if (job->n_objects >= JOB_MAX_OBJECTS) {
        *error = error_new("RuntimeError", "too many objects: a job may have %d at the same time",
                           (int)JOB_MAX_OBJECTS);
        return NULL;
    }
    struct object *o = xcalloc(1, sizeof *o);
    o->refs = 1;
    o->id = ++job->next_object;
    o->job = job;
    o->type = (uint8_t)type;
    if (object_is(o, IS_ANY_QUEUE))
        o->items = items_new(type == OBJECT_QUEUE        ? ITEMS_FIFO
                             : type == OBJECT_LIFO_QUEUE ? ITEMS_LIFO
                                                         : ITEMS_PRIORITY);
    o->prev = job->last_object;
    *(o->prev ? &o->prev->next : &job->first_object) = o;
    job->last_object = o;
    job->n_objects++;
    object_touch(o);
    return o;
}

struct object *object_ref(struct object *o)
{
    o->refs++;
    return o;
}

void object_free(struct object *o)
{
    struct job *job = o->job;
    if (job) {
        *(o->prev ? &o->prev->next : &job->first_object) = o->next;
        *(o->next ? &o->next->prev : &job->last_object) = o->prev;
        job->n_objects--;
    }
    items_free(o->items);
    free(o);
}

void object_unref(struct object *o)
{
    if (!o || --o->refs > 0)
        return;
    if (!o->job) {
        object_free(o);
        return;
    }
    o->refs++; /* what its items hold may hold it */
    object_drop_items(o);
    if (--o->refs == 0)
        object_touch(o); /* its row goes at the next collection, and it too */
}

void object_touch(struct object *o)
{
    struct job *job = o->job;
    if (!job || o->dirty)
        return;
    o->dirty = true;
    if (job->n_changed_objects == job->cap_changed_objects)
        job->changed_objects = xgrow(job->changed_objects, &job->cap_changed_objects,
                                     job->n_changed_objects + 1, sizeof(struct object *));
    job->changed_objects[job->n_changed_objects++] = o;
    job_touch(job);
}

void objects_release(struct job *job)
{
    for (struct object *o = job->first_object; o; o = o->next) {
        object_ref(o);
        o->dirty = false;
    }
    job->n_changed_objects = 0;
    free(steal(&job->changed_objects));
    for (struct object *o = job->first_object; o; o = o->next)
        object_drop_items(o);
    while (job->first_object) {
        struct object *o = job->first_object;
        job->first_object = o->next;
        o->job = NULL;
        object_unref(o);
    }
}

/* ---- handles ---- */

static void handle_text(void *object, struct buf *out)
{
    buf_printf(out, "<%s>", object_verb(object));
}

static void handle_release(void *object)
{
    object_unref(object);
}

static const struct handle_class classes[OBJECT_TYPES] = {
#define OBJECT(name, verb) {#verb, object_attribute, handle_text, handle_release},
#include "daemon/task/object.def"
#undef OBJECT
};

struct value *object_value(struct object *o)
{
    return value_handle(&classes[o->type], object_ref(o), o->id);
}

struct object *object_of(const struct value *v)
{
    const struct handle_class *c = value_handle_class(v);
    return c >= classes && c < classes + OBJECT_TYPES ? value_handle_object(v) : NULL;
}

const char *object_verb(const struct object *o)
{
    return classes[o->type].kind;
}

enum object_type object_type_of(const char *verb)
{
    unsigned i = 0;
    while (i < OBJECT_TYPES && strcmp(classes[i].kind, verb) != 0)
        i++;
    return (enum object_type)i;
}

void object_put_name(const struct object *o, struct buf *out)
{
    buf_printf(out, "%s %u", object_verb(o), o->id);
}

struct object *object_needed(const struct value *v, unsigned types, const char *verb,
                             const char *what, struct value **error)
{
    struct object *o = object_of(v);
    if (o && object_is(o, types))
        return o;
    const char *article = o ? strchr("aeiou", object_verb(o)[0]) ? "an " : "a " : "";
    *error =
        error_new("TypeError", "%s takes %s, not %s%s", verb, what, article, value_type_name(v));
    return NULL;
}
