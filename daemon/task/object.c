#include "daemon/task/object.h"

#include "daemon/task/items.h"
#include "daemon/task/job.h"
#include "daemon/task/keep.h"
#include "proto/mem.h"

struct object *object_stray(enum object_type type, uint32_t id)
{
    struct object *o = xcalloc(1, sizeof *o);
    o->refs = 1;
    o->id = id;
    o->type = (uint8_t)type;
    if (object_is(o, IS_ANY_QUEUE))
        o->items = items_new(type == OBJECT_QUEUE        ? ITEMS_FIFO
                             : type == OBJECT_LIFO_QUEUE ? ITEMS_LIFO
                                                         : ITEMS_PRIORITY);
    return o;
}

struct object *object_new(struct object_home *home, struct object_use *use, enum object_type type,
                          struct value **error)
{
    size_t max = home->job ? JOB_MAX_OBJECTS : NAMED_MAX_OBJECTS;
    if (use->objects >= max) {
        *error = error_new("RuntimeError", "too many objects: %s may have %zu%s at the same time",
                           home->job ? "a job" : "an owner", max, home->job ? "" : " with names");
        return NULL;
    }
    struct object *o = object_stray(type, ++home->last_id);
    o->home = home;
    o->use = use;
    o->prev = home->last;
    *(o->prev ? &o->prev->next : &home->first) = o;
    home->last = o;
    use->objects++;
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
    struct object_home *home = o->home;
    keep_drop(o);
    if (home) {
        *(o->prev ? &o->prev->next : &home->first) = o->next;
        *(o->next ? &o->next->prev : &home->last) = o->prev;
        o->use->objects--;
    }
    named_free(o->named);
    items_free(o->items);
    free(o);
}

void object_unref(struct object *o)
{
    if (!o || --o->refs > 0)
        return;
    if (!o->home) {
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
    struct object_home *home = o->home;
    if (!home || o->dirty)
        return;
    o->dirty = true;
    if (home->n_changed == home->cap_changed)
        home->changed =
            xgrow(home->changed, &home->cap_changed, home->n_changed + 1, sizeof(struct object *));
    home->changed[home->n_changed++] = o;
    if (home->job)
        job_touch(home->job);
}

void objects_release(struct object_home *home)
{
    for (struct object *o = home->first; o; o = o->next) {
        object_ref(o);
        o->dirty = false;
    }
    home->n_changed = 0;
    for (struct object *o = home->first; o; o = o->next) {
        keep_drop(o);
        object_drop_items(o);
    }
    while (home->first) {
        struct object *o = home->first;
        home->first = o->next;
        o->home = NULL;
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
    return value_handle(&classes[o->type], object_ref(o), object_number(o));
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

const char *object_article(const struct object *o)
{
    return strchr("aeiou", object_verb(o)[0]) ? "an" : "a";
}

uint64_t object_number(const struct object *o)
{
    return o->named ? ((uint64_t)o->type + 1) << 32 | o->id : o->id;
}

void object_put_name(const struct object *o, struct buf *out)
{
    if (o->named && o->named->name)
        buf_printf(out, "%s \"%s\"", object_verb(o), o->named->name);
    else
        buf_printf(out, "%s %u", object_verb(o), o->id);
}

struct object *object_needed(const struct value *v, unsigned types, const char *verb,
                             const char *what, struct value **error)
{
    struct object *o = object_of(v);
    if (o && object_is(o, types) && !named_is_removed(o))
        return o;
    if (o && object_is(o, types))
        *error = named_removed_error(o);
    else
        *error = error_new("TypeError", "%s takes %s, not %s%s%s", verb, what,
                           o ? object_article(o) : "", o ? " " : "", value_type_name(v));
    return NULL;
}
