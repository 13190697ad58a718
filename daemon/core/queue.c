/* Named objects, for clients. */
#include "daemon/core/state.h"
#include "proto/errors.h"

struct visitor *engine_visitor(struct engine *e)
{
    return visitor_new(e->runtime);
}

struct visit *engine_visit(struct engine *e, struct visitor *v, const struct visit_wish *wish,
                           void (*on_end)(void *arg, const struct visit_end *end,
                                          const struct err *err),
                           void *arg)
{
    if (wish->kind == VISIT_PUT && e->storage_trouble.code) {
        struct err err;
        err_set(&err, ERR_STORAGE, "nothing is put while the disk refuses: %.200s",
                e->storage_trouble.text);
        on_end(arg, NULL, &err);
        return NULL;
    }
    return visit_begin(v, wish, on_end, arg);
}

bool engine_queue_shutdown(struct engine *e, uint32_t uid, const char *name, bool immediate,
                           struct err *err)
{
    return named_queue_shutdown(e->runtime, uid, name, immediate, err);
}

bool engine_named_remove(struct engine *e, uint32_t uid, const char *name, bool force,
                         struct err *err)
{
    return named_object_remove(e->runtime, uid, name, force, err);
}

void engine_each_named(struct engine *e, int64_t uid,
                       void (*each)(void *arg, const struct named_view *v), void *arg)
{
    named_each(e->runtime, uid, each, arg);
}
