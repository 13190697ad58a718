#include "daemon/rpc/snapshot.h"

#include <stdlib.h>

#include "proto/mem.h"

enum { TASKS_MAX_LOOKED_AT = 10000 };

void snapshot_release(struct snapshot *s)
{
    free(s->views);
    free(s->leaves);
    free(s->seen);
    free(s->edges);
}

static bool on_view(void *arg, const struct task_view *v)
{
    struct snapshot *s = arg;
    if (!task_state_is_live(v->state))
        return true;
    s->views = xgrow(s->views, &s->cap, s->n + 1, sizeof *s->views);
    s->leaves = xgrow(s->leaves, &s->cap_leaves, s->n + 1, sizeof *s->leaves);
    s->views[s->n] = *v;
    s->leaves[s->n] = (struct leaf_view){0};
    if (v->leaf)
        engine_leaf(s->engine, v->leaf, &s->leaves[s->n]);
    return ++s->n < TASKS_MAX_LOOKED_AT;
}

static bool on_edge(void *arg, uint32_t waiter, uint32_t awaited)
{
    struct snapshot *s = arg;
    s->edges = xgrow(s->edges, &s->cap_edges, s->n_edges + 1, sizeof *s->edges);
    s->edges[s->n_edges++] = (struct edge){waiter, awaited};
    return s->n_edges < TASKS_MAX_LOOKED_AT;
}

static int by_waiter(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->waiter != y->waiter)
        return x->waiter < y->waiter ? -1 : 1;
    return x->awaited < y->awaited ? -1 : x->awaited > y->awaited;
}

void snapshot_take(struct snapshot *s, struct engine *e, uint64_t job)
{
    *s = (struct snapshot){.job = job, .engine = e};
    engine_view(e, job, on_view, s);
    engine_waits(e, job, on_edge, s);
    struct live_job live;
    if (engine_live_job(e, job, &live) && live.tasks > s->n)
        s->more = live.tasks - s->n;
    if (s->n_edges)
        qsort(s->edges, s->n_edges, sizeof *s->edges, by_waiter);
    s->seen = xcalloc(s->n + 1, sizeof *s->seen);
}

size_t snapshot_find(const struct snapshot *s, uint32_t id)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->views[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n && s->views[low].id == id ? low : s->n;
}

const struct edge *snapshot_edges(const struct snapshot *s, uint32_t waiter, size_t *n)
{
    size_t low = 0, high = s->n_edges;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->edges[middle].waiter < waiter)
            low = middle + 1;
        else
            high = middle;
    }
    *n = 0;
    while (low + *n < s->n_edges && s->edges[low + *n].waiter == waiter)
        ++*n;
    return s->edges + low;
}
