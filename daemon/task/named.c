#include "daemon/task/named.h"

#include <string.h>

#include "daemon/task/items.h"
#include "daemon/task/job.h"
#include "proto/mem.h"

/* ---- finding ---- */

static uint64_t key_of(uint32_t owner, const char *name)
{
    char text[sizeof owner + NAME_MAX_BYTES];
    size_t len = strnlen(name, NAME_MAX_BYTES);
    memcpy(text, &owner, sizeof owner);
    memcpy(text + sizeof owner, name, len);
    return map_key(text, sizeof owner + len);
}

struct object *named_find(struct runtime *rt, uint32_t owner, const char *name)
{
    struct object *o = map_get(&rt->named.by_name, key_of(owner, name));
    while (o && (o->named->owner != owner || strcmp(o->named->name, name) != 0))
        o = o->named->same_hash;
    return o;
}

static struct object_use *use_of(struct runtime *rt, uint32_t owner)
{
    struct object_use *use = map_get(&rt->named.owners, (uint64_t)owner + 1);
    if (!use) {
        use = xcalloc(1, sizeof *use);
        map_put(&rt->named.owners, (uint64_t)owner + 1, use);
    }
    return use;
}

struct object *named_new(struct runtime *rt, uint32_t owner, const char *name,
                         enum object_type type, struct value **error)
{
    struct named_objects *all = &rt->named;
    uint64_t key = key_of(owner, name);
    struct object *o = object_new(&all->home, use_of(rt, owner), type, error);
    if (!o)
        return NULL;
    o->named = xcalloc(1, sizeof *o->named);
    *o->named = (struct named){
        .rt = rt, .owner = owner, .name = xstrdup(name), .same_hash = map_get(&all->by_name, key)};
    map_put(&all->by_name, key, o);
    map_put(&all->by_id, o->id, o);
    for (size_t i = 0; i < OBJECT_LISTS; i++)
        o->waiters[i].outside = all->outside;
    return o;
}

static const char *number_name(const struct object *o)
{
    return object_is(o, IS_ANY_QUEUE) ? "maxsize" : object_is(o, IS_BARRIER) ? "parties" : "value";
}

/* What a maxsize of 0 or less means is the same. */
static int64_t number_of(const struct object *o, int64_t n)
{
    return object_is(o, IS_ANY_QUEUE) && n < 0 ? 0 : n;
}

static bool is_wished(const struct object *o, const struct named_wish *wish, struct value **error)
{
    int64_t has = number_of(o, o->limit), wants = number_of(o, wish->number);
    if (o->type != wish->type) {
        const struct object other = {.type = (uint8_t)wish->type};
        *error =
            error_new("TypeError", "\"%s\" is %s %s, not %s %s", o->named->name, object_article(o),
                      object_verb(o), object_article(&other), object_verb(&other));
    } else if (wish->has_number && has != wants) {
        *error = error_new("ValueError", "%s \"%s\" has %s %lld, not %lld", object_verb(o),
                           o->named->name, number_name(o), (long long)has, (long long)wants);
    } else {
        return true;
    }
    return false;
}

struct object *named_use(struct runtime *rt, uint32_t owner, const char *name,
                         const struct named_wish *wish, struct value **error)
{
    struct object *o = named_find(rt, owner, name);
    if (o)
        return is_wished(o, wish, error) ? object_ref(o) : NULL;
    o = named_new(rt, owner, name, wish->type, error);
    if (!o)
        return NULL;
    o->limit = wish->number;
    o->value = object_is(o, IS_ANY_SEMAPHORE) ? wish->number : 0;
    return object_ref(o);
}

/* ---- going ---- */

struct value *named_removed_error(const struct object *o)
{
    return error_new("RuntimeError", "the %s%s%s%s was removed", object_verb(o),
                     o->named->name ? " \"" : "", o->named->name ? o->named->name : "",
                     o->named->name ? "\"" : "");
}

static void forget_name(struct object *o)
{
    struct named_objects *all = &o->named->rt->named;
    uint64_t key = key_of(o->named->owner, o->named->name);
    struct object *first = map_get(&all->by_name, key), **link = &first;
    while (*link != o)
        link = &(*link)->named->same_hash;
    *link = o->named->same_hash;
    if (first)
        map_put(&all->by_name, key, first);
    else
        map_remove(&all->by_name, key);
    map_remove(&all->by_id, o->id);
}

static void leave_home(struct object *o)
{
    struct named_objects *all = &o->named->rt->named;
    struct object_home *home = o->home;
    for (size_t i = 0; o->dirty && i < home->n_changed; i++)
        if (home->changed[i] == o) {
            home->changed[i] = home->changed[--home->n_changed];
            o->dirty = false;
        }
    if (o->collected) {
        all->gone = xgrow(all->gone, &all->cap_gone, all->n_gone + 1, sizeof *all->gone);
        all->gone[all->n_gone++] = o->id;
    }
    *(o->prev ? &o->prev->next : &home->first) = o->next;
    *(o->next ? &o->next->prev : &home->last) = o->prev;
    o->use->objects--;
    o->home = NULL;
}

void named_remove(struct object *o)
{
    forget_name(o);
    while (o->named->first)
        hold_free(o->named->first);
    if (object_is(o, IS_ANY_QUEUE)) {
        loans_drop(o);
        o->value = 0; /* what is not dealt with yet is nobody's matter: joins end */
        queue_shutdown(o, true);
    }
    leave_home(o);
    o->named->removed = true;
    if (!object_is(o, IS_ANY_QUEUE)) {
        o->flag = false; /* who has to clean up is not held up */
        o->value = object_is(o, IS_ANY_SEMAPHORE) ? INT32_MAX : 0;
        for (size_t i = 0; i < OBJECT_LISTS; i++)
            waiters_wake_all(&o->waiters[i], false);
    }
    object_unref(o);
}

struct object *named_stray(struct runtime *rt, enum object_type type, uint32_t id)
{
    struct object *o = object_stray(type, id);
    o->named = xcalloc(1, sizeof *o->named);
    *o->named = (struct named){.rt = rt, .removed = true};
    o->flag = object_is(o, IS_ANY_QUEUE);
    o->value = object_is(o, IS_ANY_SEMAPHORE) ? INT32_MAX : 0;
    return o;
}

void named_free(struct named *n)
{
    if (!n)
        return;
    while (n->first)
        hold_free(n->first);
    map_release(&n->lent);
    free(n->name);
    free(n);
}

void named_release(struct runtime *rt)
{
    struct named_objects *all = &rt->named;
    visitors_leave(rt);
    while (all->home.first) {
        struct object *o = all->home.first;
        all->home.first = o->next;
        o->home = NULL;
        object_unref(o);
    }
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&all->owners, &at));)
        free(s->value);
    map_release(&all->by_name);
    map_release(&all->by_id);
    map_release(&all->owners);
    map_release(&all->holders);
    free(all->home.changed);
    free(all->gone);
}

size_t named_bytes(const struct runtime *rt)
{
    size_t at = 0, bytes = 0;
    for (struct map_slot *s; (s = map_next(&rt->named.owners, &at));)
        bytes += ((const struct object_use *)s->value)->item_bytes;
    return bytes;
}

/* ---- jobs that go ---- */

void named_forgo(struct object *o, enum object_list list, const struct job *job, bool woken)
{
    if (!o->named || o->named->removed || o->named->rt->named.quiet)
        return;
    if (object_is(o, IS_ANY_QUEUE)) {
        if (woken)
            queue_pass_on(o, list == LIST_GETTERS, list == LIST_PUTTERS);
    } else if (list == LIST_NOTIFY) {
        if (woken)
            condition_wake(o, 1);
    } else if (!object_is(o, IS_EVENT)) {
        if (woken && object_is(o, IS_ANY_SEMAPHORE)) {
            o->value++;
            hold_remove(o, job);
        }
        lock_pass_on(o);
    }
}

void named_leave(struct runtime *rt, uint64_t job)
{
    for (struct holding *h; (h = map_get(&rt->named.holders, job));) {
        struct object *o = h->object;
        uint64_t n = h->n;
        hold_free(h);
        lock_forfeit(o, n);
    }
}

void runtime_expect_others(struct runtime *rt)
{
    rt->named.outside = true;
}
