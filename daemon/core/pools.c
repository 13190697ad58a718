/* The pools, as others see and change them. */
#include <string.h>

#include "daemon/core/state.h"

struct pool_pass {
    void (*each)(void *arg, const struct pool_view *p);
    void *arg;
};

static void pass_pool(void *arg, const struct pool_stats *s)
{
    struct pool_pass *pass = arg;
    struct pool_view v = {s->name, s->slots, s->taken, s->waiting, s->paused};
    pass->each(pass->arg, &v);
}

void engine_each_pool(struct engine *e, void (*each)(void *arg, const struct pool_view *p),
                      void *arg)
{
    struct pool_pass pass = {each, arg};
    pools_each(e->pools, pass_pool, &pass);
}

struct pool_search {
    const char *name;
    bool found;
};

static void match_pool(void *arg, const struct pool_stats *p)
{
    struct pool_search *search = arg;
    search->found |= strcmp(p->name, search->name) == 0;
}

bool engine_has_pool(struct engine *e, const char *name)
{
    struct pool_search search = {name, false};
    pools_each(e->pools, match_pool, &search);
    return search.found;
}

bool engine_pool_set(struct engine *e, const char *name, uint32_t slots, struct err *err)
{
    if (!pools_set(e->pools, name, slots, err))
        return false;
    batch_add(&e->open, ST_POOL_PUT);
    batch_str(&e->open, name);
    batch_int(&e->open, slots);
    return true;
}
