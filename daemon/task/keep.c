#include "daemon/task/keep.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

enum { KEPT = 0xfe }; /* stands where value_save() has a value's kind */

/* What the row of one task names. */
struct keeps {
    struct object **all; /* counted */
    size_t n, cap;
};

static void release(struct keeps *k)
{
    for (size_t i = 0; k && i < k->n; i++)
        object_unref(k->all[i]);
    if (k)
        free(k->all);
    free(k);
}

void keeps_begin(struct job *job)
{
    job->keeping = xcalloc(1, sizeof *job->keeping);
}

void keeps_end(struct job *job, uint32_t task)
{
    struct keeps *k = steal(&job->keeping);
    if (k->n == 0)
        release(steal(&k));
    release(k ? map_put(&job->keeps, task, k) : map_remove(&job->keeps, task));
}

void keeps_forget(struct job *job, uint32_t task)
{
    release(map_remove(&job->keeps, task));
}

void keeps_release(struct job *job)
{
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&job->keeps, &at));)
        release(s->value);
    map_release(&job->keeps);
    map_release(&job->kept);
}

static uint64_t key_of(const struct value *v)
{
    return (uint64_t)(uintptr_t)v;
}

static void name(struct keeps *k, struct object *o)
{
    if (k->n == k->cap)
        k->all = xgrow(k->all, &k->cap, k->n + 1, sizeof(struct object *));
    k->all[k->n++] = object_ref(o);
}

/* A new reference; NULL: there are too many objects. */
static struct object *object_for(struct job *job, const struct value *v)
{
    struct value *error = NULL;
    struct object *o = map_get(&job->kept, key_of(v));
    if (o)
        return object_ref(o);
    if (job->last_keep >= UINT32_MAX - KEEP_IDS)
        return NULL;
    uint32_t last = job->objects.last_id;
    job->objects.last_id = KEEP_IDS + job->last_keep;
    o = object_new(&job->objects, &job->use, OBJECT_VALUE, &error);
    job->objects.last_id = last;
    value_unref(error);
    if (!o)
        return NULL;
    job->last_keep++;
    o->kept = value_ref((struct value *)(uintptr_t)v);
    map_put(&job->kept, key_of(v), o);
    return o;
}

void keep_save(const struct job *job, const struct value *v, struct buf *out)
{
    struct object *o = job->keeping && value_bytes(v) >= job->rt->keep_from
                           ? object_for(job->objects.job, v)
                           : NULL;
    if (!o) {
        value_save(out, v);
        return;
    }
    put_u8(out, KEPT);
    put_varint(out, o->id);
    name(job->keeping, o);
    object_unref(o);
}

/* Its value, which may name tasks and so is read when they are there; borrowed. */
static struct value *value_of(struct job_loader *l, struct object *o)
{
    if (o->kept)
        return o->kept;
    struct reader r = READER(l->item_data.data + o->limit, (size_t)o->value);
    o->limit = o->value = 0;
    o->kept = value_load(&r, load_resolve, l);
    if (o->kept && !reader_done(&r))
        value_unref(steal(&o->kept));
    if (o->kept)
        map_put(&l->job->kept, key_of(o->kept), o);
    return o->kept;
}

struct value *keep_load(struct job_loader *l, struct reader *r)
{
    if (!l->job->keeping || r->p == r->end || (uint8_t)*r->p != KEPT)
        return value_load(r, load_resolve, l);
    get_u8(r);
    uint64_t id = get_varint(r);
    struct object *o = map_get(&l->objects, id);
    struct value *v = !r->failed && o && o->type == OBJECT_VALUE ? value_of(l, o) : NULL;
    if (v)
        name(l->job->keeping, o);
    return v ? value_ref(v) : NULL;
}

void keep_row(const struct object *o, struct buf *out)
{
    if (o->kept)
        value_save(out, o->kept);
}

bool keep_row_load(struct job_loader *l, struct object *o, struct reader *r)
{
    size_t len = (size_t)(r->end - r->p);
    if (o->type != OBJECT_VALUE)
        return true;
    o->limit = (int64_t)l->item_data.len; /* until it is read */
    o->value = (int64_t)len;
    buf_add(&l->item_data, r->p, len);
    r->p = r->end;
    return len > 0;
}

void keep_drop(struct object *o)
{
    struct value *v = steal(&o->kept);
    if (v && o->home && map_get(&o->home->job->kept, key_of(v)) == o)
        map_remove(&o->home->job->kept, key_of(v));
    value_unref(v);
}
