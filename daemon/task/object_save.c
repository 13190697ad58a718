/* Objects and their items as rows. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/task/items.h"
#include "daemon/task/keep.h"
#include "daemon/task/object.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static uint64_t job_of(const struct object *o)
{
    return o->home->job ? o->home->job->id : 0;
}

static void collect_items(struct object *o, const struct runtime_sink *sink, void *arg,
                          struct buf *data)
{
    struct queue_items *l = o->items;
    for (size_t i = 0; sink->items_gone && i < l->n_gone; i++)
        sink->items_gone(arg, job_of(o), o->id, l->gone[i].first, l->gone[i].last);
    for (const struct queue_item *it = l->fresh_first; sink->item && it; it = it->next) {
        buf_clear(data);
        value_save(data, it->value);
        struct item_row row = {.job = job_of(o),
                               .object = o->id,
                               .seq = it->seq,
                               .value = data->data,
                               .value_len = data->len};
        sink->item(arg, &row);
    }
    items_collected(l);
}

static void collect_object(struct object *o, const struct runtime_sink *sink, void *arg,
                           struct buf *data)
{
    buf_clear(data);
    put_u8(data, ROW_VERSION);
    put_u8(data, o->type);
    put_u8(data, o->flag);
    put_u8(data, o->state);
    put_svarint(data, o->limit);
    put_svarint(data, o->value);
    put_varint(data, o->items ? o->items->next_seq : 0);
    if (o->named)
        named_save(o->named, data);
    keep_row(o, data);
    struct object_row row = {.job = job_of(o),
                             .id = o->id,
                             .fresh = !o->collected,
                             .state = data->data,
                             .state_len = data->len};
    if (sink->object)
        sink->object(arg, &row);
    o->collected = o->home->rows = true;
    if (o->items)
        collect_items(o, sink, arg, data);
}

void objects_collect(struct object_home *home, const struct runtime_sink *sink, void *arg)
{
    struct buf data = {0};
    if (home->job && home->job->phase == PHASE_OVER) {
        if (home->rows && sink->objects_gone)
            sink->objects_gone(arg, home->job->id);
        return;
    }
    for (size_t i = 0; i < home->n_changed; i++) {
        struct object *o = home->changed[i];
        o->dirty = false;
        if (o->refs > 0) {
            collect_object(o, sink, arg, &data);
            continue;
        }
        if (o->collected && sink->object_gone)
            sink->object_gone(arg, job_of(o), o->id);
        object_free(o);
    }
    home->n_changed = 0;
    buf_release(&data);
}

/* ---- back ---- */

static bool refuse(struct job_loader *l, struct err *err, const char *what)
{
    load_fail(l, what); /* whatever else is fed */
    return err_set(err, EBADMSG, "job %" PRIu64 ": %s", l->job->id, what);
}

bool object_state_load(struct object *o, struct reader *r)
{
    uint8_t version = get_u8(r), type = get_u8(r), flag = get_u8(r);
    o->state = get_u8(r);
    o->limit = get_svarint(r);
    o->value = get_svarint(r);
    uint64_t next_seq = get_varint(r);
    if (r->failed || version != ROW_VERSION || type != o->type || flag > 1 ||
        o->state > BARRIER_BROKEN || o->value < 0 || next_seq > INT64_MAX ||
        (type == OBJECT_BARRIER && (o->limit < 1 || o->value > o->limit)))
        return false;
    o->flag = flag;
    if (o->items)
        o->items->next_seq = next_seq;
    return true;
}

/* One with this number; the last one's is read later. */
static struct object *make(struct job_loader *l, uint32_t id, enum object_type type)
{
    struct value *error = NULL;
    struct object_home *home = &l->job->objects;
    uint32_t last = home->last_id;
    home->last_id = id - 1;
    struct object *o = object_new(home, &l->job->use, type, &error);
    home->last_id = last;
    value_unref(error);
    if (!o)
        return NULL;
    home->n_changed--; /* it is as its row says */
    o->dirty = false;
    map_put(&l->objects, id, o);
    return o;
}

bool runtime_load_object(struct job_loader *l, const struct object_row *row, struct err *err)
{
    uint8_t type = row->state_len > 1 ? (uint8_t)row->state[1] : OBJECT_TYPES;
    struct object *o = NULL;
    struct reader r = READER(row->state, row->state_len);
    if (row->id > 0 && !map_get(&l->objects, row->id) && type < OBJECT_TYPES)
        o = make(l, row->id, (enum object_type)type);
    if (!o || !object_state_load(o, &r) || !keep_row_load(l, o, &r) || !reader_done(&r))
        return refuse(l, err, "an object's row is damaged");
    o->collected = l->job->objects.rows = true;
    return true;
}

bool runtime_load_item(struct job_loader *l, const struct item_row *row, struct err *err)
{
    const struct loaded_item *last = l->n_items ? &l->items[l->n_items - 1] : NULL;
    struct object *o = map_get(&l->objects, row->object);
    if (!o || !o->items || row->value_len == 0 || row->seq >= o->items->next_seq ||
        (last && last->object == o && last->seq >= row->seq))
        return refuse(l, err, "an item's row is damaged");
    if (l->n_items == l->cap_items)
        l->items = xgrow(l->items, &l->cap_items, l->n_items + 1, sizeof *l->items);
    l->items[l->n_items++] = (struct loaded_item){o, row->seq, l->item_data.len, row->value_len};
    buf_add(&l->item_data, row->value, row->value_len);
    return true;
}

/* Their values name tasks and other objects, so they are read when those are there. */
bool load_items(struct job_loader *l)
{
    for (size_t i = 0; i < l->n_items; i++) {
        const struct loaded_item *it = &l->items[i];
        struct reader r = READER(l->item_data.data + it->at, it->len);
        struct value *v = value_load(&r, load_resolve, l);
        if (!v || !reader_done(&r)) {
            value_unref(v);
            return load_fail(l, "an item");
        }
        l->job->use.items++;
        l->job->use.item_bytes += value_bytes(v);
        items_load(it->object->items, it->seq, v);
    }
    return true;
}

bool load_objects(struct job_loader *l)
{
    for (const struct object *o = l->job->objects.first; o; o = o->next)
        if (o->id >
            (o->type == OBJECT_VALUE ? KEEP_IDS + l->job->last_keep : l->job->objects.last_id))
            return load_fail(l, "an object's number");
    return true;
}

/* By the number of one with a name; borrowed. Of one that was removed a stray is left. */
static struct object *load_named(struct job_loader *l, uint64_t number)
{
    uint64_t type = (number >> 32) - 1;
    struct object *o = map_get(&l->rt->named.by_id, (uint32_t)number);
    if (type >= OBJECT_VALUE || (uint32_t)number == 0)
        return NULL;
    if (o && o->type == type)
        return o;
    o = map_get(&l->objects, number);
    if (!o) {
        o = named_stray(l->rt, (enum object_type)type, (uint32_t)number);
        map_put(&l->objects, number, o);
    }
    return o;
}

struct object *load_object(struct job_loader *l, uint64_t id, unsigned types)
{
    struct object *o = id > UINT32_MAX ? load_named(l, id) : map_get(&l->objects, id);
    return o && object_is(o, types) ? object_ref(o) : NULL;
}

struct value *load_object_value(struct job_loader *l, const char *kind, uint64_t id)
{
    bool named = id > UINT32_MAX;
    unsigned type = object_type_of(kind);
    if (type == OBJECT_TYPES || type == OBJECT_VALUE || id == 0 ||
        (!named && id > l->job->objects.last_id))
        return NULL;
    struct object *o = named ? load_named(l, id) : map_get(&l->objects, id);
    /* Rows of ended tasks may still name one that went since: nobody reaches it. */
    if (!o && !named)
        o = make(l, (uint32_t)id, (enum object_type)type);
    return o && o->type == type ? object_value(o) : NULL;
}
