/* Objects with names as rows. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/task/items.h"
#include "daemon/task/named.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

void named_save(const struct named *n, struct buf *out)
{
    uint64_t holders = 0;
    put_varint(out, n->owner);
    put_string(out, n->name);
    for (const struct holding *h = n->first; h; h = h->next)
        holders++;
    put_varint(out, holders);
    for (const struct holding *h = n->first; h; h = h->next) {
        put_varint(out, h->job);
        put_varint(out, h->n);
    }
}

/* Numbers are never given twice, also when the highest was removed: rows may know it. */
static void collect_last_id(struct named_objects *all, const struct runtime_sink *sink, void *arg)
{
    struct buf data = {0};
    if (all->stored_id == all->home.last_id)
        return;
    put_u8(&data, ROW_VERSION);
    put_varint(&data, all->home.last_id);
    struct object_row row = {
        .fresh = all->stored_id == 0, .state = data.data, .state_len = data.len};
    if (sink->object)
        sink->object(arg, &row);
    all->stored_id = all->home.last_id;
    buf_release(&data);
}

void named_collect(struct runtime *rt, const struct runtime_sink *sink, void *arg)
{
    struct named_objects *all = &rt->named;
    for (size_t i = 0; sink->object_gone && i < all->n_gone; i++)
        sink->object_gone(arg, 0, all->gone[i]);
    all->n_gone = 0;
    objects_collect(&all->home, sink, arg);
    collect_last_id(all, sink, arg);
}

/* ---- back ---- */

static bool load_last_id(struct named_objects *all, const struct object_row *row, struct err *err)
{
    struct reader r = READER(row->state, row->state_len);
    uint8_t version = get_u8(&r);
    uint64_t last = get_varint(&r);
    all->stored_id = UINT32_MAX; /* there is a row, to be changed */
    if (!reader_done(&r) || version != ROW_VERSION || last == 0 || last >= UINT32_MAX)
        return err_set(err, EBADMSG, "the number of the last named object is damaged");
    if (last > all->home.last_id)
        all->home.last_id = (uint32_t)last;
    all->stored_id = (uint32_t)last;
    return true;
}

static bool load_holders(struct object *o, struct reader *r)
{
    for (uint64_t n = get_varint(r); n > 0; n--) {
        uint64_t job = get_varint(r), times = get_varint(r);
        if (r->failed || job == 0 || times == 0 || times > INT32_MAX)
            return false;
        hold_load(o, job, times);
    }
    return reader_done(r);
}

/* Behind the state, where its name is. */
static bool load_name(struct reader *r, struct object *scratch, uint32_t *owner, char **name)
{
    bool good = object_state_load(scratch, r);
    uint64_t who = get_varint(r);
    *name = get_string(r);
    *owner = (uint32_t)who;
    return good && !r->failed && who <= UINT32_MAX && *name && **name &&
           strlen(*name) <= NAME_MAX_BYTES;
}

static bool refuse(const struct object_row *row, struct err *err)
{
    return err_set(err, EBADMSG, "the row of the named object %" PRIu32 " is damaged", row->id);
}

bool runtime_load_named(struct runtime *rt, const struct object_row *row, struct err *err)
{
    struct named_objects *all = &rt->named;
    uint8_t type = row->state_len > 1 ? (uint8_t)row->state[1] : OBJECT_TYPES;
    struct reader r = READER(row->state, row->state_len);
    cleanup_free char *name = NULL;
    uint32_t owner, last = all->home.last_id;
    all->quiet = true;
    if (row->id == 0)
        return load_last_id(all, row, err);
    if (row->id == UINT32_MAX) /* there would be no number after it */
        return refuse(row, err);
    struct object *scratch = object_stray(type < OBJECT_TYPES ? (enum object_type)type : 0, 0);
    struct value *error = NULL;
    struct object *o = NULL;
    if (type < OBJECT_VALUE && load_name(&r, scratch, &owner, &name) &&
        !named_find(rt, owner, name) && !map_get(&all->by_id, row->id)) {
        all->home.last_id = row->id - 1;
        o = named_new(rt, owner, name, (enum object_type)type, &error);
    }
    all->home.last_id = last > row->id ? last : row->id;
    object_unref(scratch);
    value_unref(error);
    if (!o)
        return refuse(row, err);
    struct reader state = READER(row->state, row->state_len);
    object_state_load(o, &state);
    all->home.n_changed--; /* it is as its row says */
    o->dirty = false;
    o->collected = all->home.rows = true;
    if (load_holders(o, &r))
        return true;
    named_remove(o);
    all->n_gone--; /* for somebody to look at */
    return refuse(row, err);
}

bool runtime_load_named_item(struct runtime *rt, const struct item_row *row, struct err *err)
{
    struct object *o = map_get(&rt->named.by_id, row->object);
    struct reader r = READER(row->value, row->value_len);
    struct value *v = o && o->items && row->seq < o->items->next_seq && row->value_len
                          ? value_load(&r, NULL, NULL)
                          : NULL;
    if (!v || !reader_done(&r)) {
        value_unref(v);
        return err_set(err, EBADMSG, "item %" PRIu64 " of the named object %" PRIu32 " is damaged",
                       row->seq, row->object);
    }
    o->use->items++;
    o->use->item_bytes += value_bytes(v);
    items_load(o->items, row->seq, v);
    return true;
}

static void wake_again(struct object *o)
{
    if (!object_is(o, IS_ANY_QUEUE)) {
        if (waiters_any(&o->waiters[LIST_LOCK]) && !object_is(o, IS_EVENT))
            lock_pass_on(o);
        return;
    }
    /* A client that had been woken is not there any more. */
    size_t n = queue_size(o),
           room = o->limit > 0 && n < (size_t)o->limit ? (size_t)o->limit - n : 0;
    size_t getters = o->waiters[LIST_GETTERS].on_way, putters = o->waiters[LIST_PUTTERS].on_way;
    queue_pass_on(o, n > getters ? n - getters : 0, room > putters ? room - putters : 0);
}

void runtime_load_named_done(struct runtime *rt)
{
    struct named_objects *all = &rt->named;
    size_t at = 0, n = 0;
    cleanup_free uint64_t *gone = xmalloc((all->holders.n + 1) * sizeof *gone);
    for (struct map_slot *s; (s = map_next(&all->holders, &at));)
        if (!map_get(&rt->jobs, s->key))
            gone[n++] = s->key;
    all->quiet = false;
    for (size_t i = 0; i < n; i++)
        named_leave(rt, gone[i]);
    for (struct object *o = all->home.first; o; o = o->next)
        wake_again(o);
}
