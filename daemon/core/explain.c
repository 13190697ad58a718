/* What is known of why something waits: for rpc/explain.c. */
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/mem.h"

bool engine_waits(struct engine *e, uint64_t id,
                  bool (*each)(void *arg, uint32_t waiter, uint32_t awaited), void *arg)
{
    return runtime_waits(e->runtime, id, each, arg);
}

int64_t engine_wall_us(const struct engine *e, int64_t until_us)
{
    enum { ROUND_US = 10000 }; /* the same each time it is asked, unless the clock was set */
    int64_t shift_us = clock_real_us() - engine_now_us(e);
    return until_us + (shift_us + (shift_us < 0 ? -1 : 1) * ROUND_US / 2) / ROUND_US * ROUND_US;
}

bool engine_gate(struct engine *e, uint64_t id, struct gate_view *ret)
{
    const struct live *job = engine_job(e, id);
    const struct gate *g = job ? job->gate : NULL;
    if (!g)
        return false;
    struct after *after = xcalloc(g->n + 1, sizeof *after);
    *ret = (struct gate_view){.held = g->held, .after = after};
    for (size_t i = 0; i < g->n; i++) {
        if (!g->after[i].settled)
            after[ret->n_after++] = g->after[i].after;
    }
    if (g->delay.place)
        ret->until_us = engine_wall_us(e, g->delay.at_us);
    if (g->at.place && g->at.at_us > ret->until_us)
        ret->until_us = g->at.at_us;
    return true;
}

void engine_leaf(struct engine *e, const struct leaf *leaf, struct leaf_view *ret)
{
    struct pool_place place = {.pool = {.name = ""}};
    const struct attempt *a = leaf->attempt ? map_get(&e->attempts, leaf->attempt) : NULL;
    pools_place(leaf, &place);
    *ret = (struct leaf_view){.pool = place.pool.name,
                              .slots = place.slots,
                              .pool_slots = place.pool.slots,
                              .pool_taken = place.pool.taken,
                              .pool_paused = place.pool.paused,

                              .http = a && a->http,
                              .waiting = place.waiting,
                              .attempt = leaf->attempt,
                              .stopping = leaf->cancelled || (a && a->stop),
                              .launched_us = a ? a->launched_us : 0,
                              .pid = a ? a->pid : 0};
}

size_t engine_leaf_ahead(const struct leaf *leaf)
{
    return pools_ahead(leaf);
}

/* The pool whose slots it has; NULL: none. */
static const char *holds(const struct attempt *a)
{
    struct pool_place place;
    if (a->slots)
        return pools_kept_in(a->slots);
    return a->leaf && pools_place(a->leaf, &place) && !place.waiting ? place.pool.name : NULL;
}

void engine_each_holder(struct engine *e, const char *pool,
                        bool (*each)(void *arg, uint64_t job, uint32_t task), void *arg)
{
    for (const struct attempt *a = e->first_attempt; a; a = a->next) {
        const char *held = holds(a);
        if (held && strcmp(held, pool) == 0 && !each(arg, a->job, a->task))
            return;
    }
}
