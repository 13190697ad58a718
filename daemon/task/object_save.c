/* Objects and their items as rows. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/task/items.h"
#include "daemon/task/object.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static void collect_items(struct object *o, const struct runtime_sink *sink, void *arg,
                          struct buf *data)
{
    struct queue_items *l = o->items;
    for (size_t i = 0; i < l->n_gone; i++)
        sink->items_gone(arg, o->job->id, o->id, l->gone[i].first, l->gone[i].last);
    for (const struct queue_item *it = l->fresh_first; it; it = it->next) {
        buf_clear(data);
        value_save(data, it->value);
        struct item_row row = {.job = o->job->id,
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
    struct object_row row = {.job = o->job->id,
                             .id = o->id,
                             .fresh = !o->collected,
                             .state = data->data,
                             .state_len = data->len};
    sink->object(arg, &row);
    o->collected = o->job->object_rows = true;
    if (o->items)
        collect_items(o, sink, arg, data);
}

void objects_collect(struct job *job, const struct runtime_sink *sink, void *arg)
{
    struct buf data = {0};
    if (job->phase == PHASE_OVER) {
        if (job->object_rows)
            sink->objects_gone(arg, job->id);
        return;
    }
    for (size_t i = 0; i < job->n_changed_objects; i++) {
        struct object *o = job->changed_objects[i];
        o->dirty = false;
        if (o->refs > 0) {
            collect_object(o, sink, arg, &data);
            continue;
        }
        if (o->collected)
            sink->object_gone(arg, job->id, o->id);
        object_free(o);
    }
    job->n_changed_objects = 0;
    buf_release(&data);
}

/* ---- back ---- */

static bool refuse(struct job_loader *l, struct err *err, const char *what)
{
    load_fail(l, what); /* whatever else is fed */
    return err_set(err, EBADMSG, "job %" PRIu64 ": %s", l->job->id, what);
}

static bool state_load(struct object *o, const struct object_row *row)
{
    struct reader r = READER(row->state, row->state_len);
    uint8_t version = get_u8(&r), type = get_u8(&r), flag = get_u8(&r);
    o->state = get_u8(&r);
    o->limit = get_svarint(&r);
    o->value = get_svarint(&r);
    uint64_t next_seq = get_varint(&r);
    if (!reader_done(&r) || version != ROW_VERSION || type != o->type || flag > 1 ||
        o->state > BARRIER_BROKEN || o->value < 0 || next_seq > INT64_MAX ||
        (type == OBJECT_BARRIER && (o->limit < 1 || o->value > o->limit)))
        return false;
    o->flag = flag;
    if (o->items)
        o->items->next_seq = next_seq;
    return true;
}

/* One with this number; job->next_object is read later. */
static struct object *make(struct job_loader *l, uint32_t id, enum object_type type)
{
    struct value *error = NULL;
    uint32_t next = l->job->next_object;
    l->job->next_object = id - 1;
    struct object *o = object_new(l->job, type, &error);
    l->job->next_object = next;
    value_unref(error);
    if (!o)
        return NULL;
    l->job->n_changed_objects--; /* it is as its row says */
    o->dirty = false;
    map_put(&l->objects, id, o);
    return o;
}

bool runtime_load_object(struct job_loader *l, const struct object_row *row, struct err *err)
{
    uint8_t type = row->state_len > 1 ? (uint8_t)row->state[1] : OBJECT_TYPES;
    struct object *o = NULL;
    if (row->id > 0 && !map_get(&l->objects, row->id) && type < OBJECT_TYPES)
        o = make(l, row->id, (enum object_type)type);
    if (!o || !state_load(o, row))
        return refuse(l, err, "an object's row is damaged");
    o->collected = l->job->object_rows = true;
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
        l->job->n_items++;
        l->job->item_bytes += value_bytes(v);
        items_load(it->object->items, it->seq, v);
    }
    return true;
}

bool load_objects(struct job_loader *l)
{
    for (const struct object *o = l->job->first_object; o; o = o->next)
        if (o->id > l->job->next_object)
            return load_fail(l, "an object's number");
    return true;
}

struct object *load_object(struct job_loader *l, uint64_t id, unsigned types)
{
    struct object *o = map_get(&l->objects, id);
    return o && object_is(o, types) ? object_ref(o) : NULL;
}

struct value *load_object_value(struct job_loader *l, const char *kind, uint64_t id)
{
    struct object *o = map_get(&l->objects, id);
    unsigned type = object_type_of(kind);
    if (type == OBJECT_TYPES || id == 0 || id > l->job->next_object)
        return NULL;
    /* Rows of ended tasks may still name one that went since: nobody reaches it. */
    if (!o)
        o = make(l, (uint32_t)id, (enum object_type)type);
    return o && o->type == type ? object_value(o) : NULL;
}
