#include "daemon/sched/pool.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

struct pool {
    char *name;
    uint32_t slots, taken;
    struct place **heap; /* who waits, the first in line at 0 */
    size_t n, cap;
    struct pool *next;
};

/* A leaf's place: in the line (index ≥ 0) or among those that hold slots. */
struct place {
    struct pool *pool;
    struct leaf *leaf;
    size_t index;
    uint32_t slots;
    bool waiting;
};

struct pools {
    struct pool *first; /* "default" stays the first */
};

static struct pool *find(const struct pools *p, const char *name)
{
    for (struct pool *pool = p->first; pool; pool = pool->next) {
        if (strcmp(pool->name, name) == 0)
            return pool;
    }
    return NULL;
}

static struct pool *add(struct pools *p, const char *name, uint32_t slots)
{
    struct pool *pool = xcalloc(1, sizeof *pool);
    pool->name = xstrdup(name);
    pool->slots = slots;
    struct pool **at = &p->first;
    while (*at)
        at = &(*at)->next;
    *at = pool;
    return pool;
}

struct pools *pools_new(uint32_t default_slots)
{
    struct pools *p = xcalloc(1, sizeof *p);
    add(p, "default", default_slots);
    return p;
}

void pools_free(struct pools *p)
{
    if (!p)
        return;
    struct pool *pool;
    while ((pool = p->first)) {
        p->first = pool->next;
        for (size_t i = 0; i < pool->n; i++) {
            pool->heap[i]->leaf->user = NULL;
            free(pool->heap[i]);
        }
        free(pool->heap);
        free(pool->name);
        free(pool);
    }
    free(p);
}

static bool name_is_good(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > 64)
        return false;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
            return false;
    }
    return true;
}

bool pools_set(struct pools *p, const char *name, uint32_t slots, struct err *err)
{
    if (!name_is_good(name))
        return err_set(err, EINVAL, "a pool's name is 1 to 64 letters, digits, - _ or .");
    if (slots < 1 || slots > POOL_MAX_SLOTS)
        return err_set(err, EINVAL, "a pool has 1 to %d slots", POOL_MAX_SLOTS);
    struct pool *pool = find(p, name);
    if (!pool)
        pool = add(p, name, slots);
    pool->slots = slots;
    return true;
}

static bool before(const struct place *a, const struct place *b)
{
    if (a->leaf->spec.priority != b->leaf->spec.priority)
        return a->leaf->spec.priority > b->leaf->spec.priority;
    return a->leaf->seq < b->leaf->seq;
}

static void put(struct pool *pool, size_t i, struct place *x)
{
    pool->heap[i] = x;
    x->index = i;
}

static void sift(struct pool *pool, size_t i, struct place *x)
{
    while (i > 0 && before(x, pool->heap[(i - 1) / 2])) {
        put(pool, i, pool->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < pool->n && before(pool->heap[child + 1], pool->heap[child]))
            child++;
        if (child >= pool->n || !before(pool->heap[child], x))
            break;
        put(pool, i, pool->heap[child]);
        i = child;
    }
    put(pool, i, x);
}

static void heap_remove(struct pool *pool, size_t i)
{
    struct place *last = pool->heap[--pool->n];
    if (i < pool->n)
        sift(pool, i, last);
}

static struct place *place_new(struct pool *pool, struct leaf *leaf)
{
    struct place *x = xcalloc(1, sizeof *x);
    x->pool = pool;
    x->leaf = leaf;
    x->slots = leaf->spec.slots ? leaf->spec.slots : 1;
    leaf->user = x;
    return x;
}

bool pools_enter(struct pools *p, struct leaf *leaf, const char *name, bool waited_before,
                 struct err *err)
{
    struct pool *pool = find(p, name);
    if (!pool)
        return err_set(err, ENOENT, "there is no pool \"%s\" (coro pool set %s SLOTS creates it)",
                       name, name);
    uint32_t slots = leaf->spec.slots ? leaf->spec.slots : 1;
    if (slots > pool->slots && !waited_before)
        return err_set(err, EINVAL, "needs %u slots, pool \"%s\" has %u", slots, name, pool->slots);
    struct place *x = place_new(pool, leaf);
    x->waiting = true;
    pool->heap = xgrow(pool->heap, &pool->cap, pool->n + 1, sizeof(struct place *));
    sift(pool, pool->n++, x);
    return true;
}

void pools_enter_running(struct pools *p, struct leaf *leaf, const char *name)
{
    struct pool *pool = find(p, name);
    if (!pool)
        pool = add(p, name, 1);
    pool->taken += place_new(pool, leaf)->slots;
}

struct leaf *pools_next(struct pools *p)
{
    for (struct pool *pool = p->first; pool; pool = pool->next) {
        if (!pool->n)
            continue;
        struct place *x = pool->heap[0];
        /* A pool that was made smaller than a leaf's wish serves it alone. */
        if (pool->taken && (pool->taken >= pool->slots || x->slots > pool->slots - pool->taken))
            continue;
        heap_remove(pool, 0);
        x->waiting = false;
        pool->taken += x->slots;
        return x->leaf;
    }
    return NULL;
}

void pools_leave(struct leaf *leaf)
{
    struct place *x = leaf->user;
    if (!x)
        return;
    if (x->waiting)
        heap_remove(x->pool, x->index);
    else
        x->pool->taken -= x->slots;
    leaf->user = NULL;
    free(x);
}

void pools_each(const struct pools *p, void (*each)(void *arg, const struct pool_stats *s),
                void *arg)
{
    for (const struct pool *pool = p->first; pool; pool = pool->next) {
        struct pool_stats s = {pool->name, pool->slots, pool->taken, pool->n};
        each(arg, &s);
    }
}

bool pools_is_waiting(const struct leaf *leaf)
{
    const struct place *x = leaf->user;
    return x && x->waiting;
}
