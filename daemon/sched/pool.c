#include "daemon/sched/pool.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/map.h"
#include "proto/mem.h"

struct pool {
    char *name;
    uint32_t slots, taken;
    struct place **heap; /* who waits, the first in line at 0 */
    size_t n, cap;
    size_t waiting; /* those in the heap, and who was put aside */
    bool paused;
    struct pool *next;
};

/* A leaf's place: in the line, put aside, or among those that hold slots. */
struct place {
    struct pool *pool;
    struct leaf *leaf;
    struct aside *aside; /* NULL: in the heap, if it waits */
    size_t index;        /* in the heap, or in aside->all */
    uint32_t slots;
    bool waiting, is_listed;
    LIST_ENTRY(place) link; /* of its siblings that wait */
};

/* Of a paused job: its leaves that have been first in line since. */
struct aside {
    struct place **all;
    size_t n, cap;
};

struct pools {
    struct pool *first;     /* "default" stays the first */
    struct map paused_jobs; /* id → struct aside */
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
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&p->paused_jobs, &at));) {
        struct aside *aside = s->value;
        for (size_t i = 0; i < aside->n; i++) {
            aside->all[i]->leaf->user = NULL;
            free(aside->all[i]);
        }
        free(aside->all);
        free(aside);
    }
    map_release(&p->paused_jobs);
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

bool pools_pause(struct pools *p, const char *name, bool paused, struct err *err)
{
    struct pool *pool = find(p, name);
    if (!pool)
        return err_set(err, ENOENT, "there is no pool \"%.64s\"", name);
    pool->paused = paused;
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

static void heap_add(struct pool *pool, struct place *x)
{
    pool->heap = xgrow(pool->heap, &pool->cap, pool->n + 1, sizeof(struct place *));
    sift(pool, pool->n++, x);
}

/* Jobs that are paused. Their leaves are put aside when they are first in line: so pausing costs
 * nothing, however many wait. */

static void put_aside(struct aside *aside, struct place *x)
{
    heap_remove(x->pool, 0);
    aside->all = xgrow(aside->all, &aside->cap, aside->n + 1, sizeof(struct place *));
    x->aside = aside;
    x->index = aside->n;
    aside->all[aside->n++] = x;
}

static void aside_remove(struct place *x)
{
    struct place *last = x->aside->all[--x->aside->n];
    last->index = x->index;
    x->aside->all[x->index] = last;
    x->aside = NULL;
}

void pools_pause_job(struct pools *p, uint64_t job)
{
    if (!map_get(&p->paused_jobs, job))
        map_put(&p->paused_jobs, job, xcalloc(1, sizeof(struct aside)));
}

void pools_resume_job(struct pools *p, uint64_t job)
{
    struct aside *aside = map_remove(&p->paused_jobs, job);
    for (size_t i = 0; aside && i < aside->n; i++) {
        struct place *x = aside->all[i];
        x->aside = NULL;
        heap_add(x->pool, x);
    }
    if (aside)
        free(aside->all);
    free(aside);
}

static struct place *first_in_line(const struct pools *p, struct pool *pool)
{
    struct aside *aside;
    while (pool->n && p->paused_jobs.n &&
           (aside = map_get(&p->paused_jobs, pool->heap[0]->leaf->job)))
        put_aside(aside, pool->heap[0]);
    return pool->n ? pool->heap[0] : NULL;
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
                 struct place_list *siblings, struct err *err)
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
    pool->waiting++;
    heap_add(pool, x);
    x->is_listed = siblings != NULL;
    if (siblings)
        LIST_INSERT_HEAD(siblings, x, link);
    return true;
}

static void end_waiting(struct place *x)
{
    x->pool->waiting -= x->waiting;
    x->waiting = false;
    if (x->is_listed)
        LIST_REMOVE(x, link);
    x->is_listed = false;
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
        struct place *x = pool->paused ? NULL : first_in_line(p, pool);
        if (!x)
            continue;
        /* A pool that was made smaller than a leaf's wish serves it alone. */
        if (pool->taken && (pool->taken >= pool->slots || x->slots > pool->slots - pool->taken))
            continue;
        heap_remove(pool, 0);
        end_waiting(x);
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
    if (x->aside)
        aside_remove(x);
    else if (x->waiting)
        heap_remove(x->pool, x->index);
    else
        x->pool->taken -= x->slots;
    end_waiting(x);
    leaf->user = NULL;
    free(x);
}

size_t pools_take(struct place_list *siblings, struct leaf ***ret)
{
    size_t n = 0, cap = 0;
    struct place *x;
    *ret = NULL;
    while ((x = LIST_FIRST(siblings))) {
        *ret = xgrow(*ret, &cap, n + 1, sizeof **ret);
        (*ret)[n++] = x->leaf;
        pools_leave(x->leaf);
    }
    return n;
}

struct place *pools_keep(struct leaf *leaf)
{
    struct place *x = leaf->user;
    if (!x || x->waiting)
        return NULL;
    leaf->user = NULL;
    x->leaf = NULL;
    return x;
}

void pools_give_back(struct place *x)
{
    if (x)
        x->pool->taken -= x->slots;
    free(x);
}

const char *pools_kept_in(const struct place *x)
{
    return x->pool->name;
}

static struct pool_stats stats_of(const struct pool *pool)
{
    return (struct pool_stats){pool->name, pool->slots, pool->taken, pool->waiting, pool->paused};
}

bool pools_place(const struct leaf *leaf, struct pool_place *ret)
{
    const struct place *x = leaf->user;
    if (!x)
        return false;
    *ret = (struct pool_place){.pool = stats_of(x->pool), .slots = x->slots, .waiting = x->waiting};
    return true;
}

size_t pools_ahead(const struct leaf *leaf)
{
    const struct place *x = leaf->user;
    size_t ahead = 0;
    for (size_t i = 0; x && x->waiting && i < x->pool->n; i++)
        ahead += before(x->pool->heap[i], x);
    return ahead;
}

void pools_each(const struct pools *p, void (*each)(void *arg, const struct pool_stats *s),
                void *arg)
{
    for (const struct pool *pool = p->first; pool; pool = pool->next) {
        struct pool_stats s = stats_of(pool);
        each(arg, &s);
    }
}

bool pools_is_waiting(const struct leaf *leaf)
{
    const struct place *x = leaf->user;
    return x && x->waiting;
}
