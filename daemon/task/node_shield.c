/* `shield: x`, as `await asyncio.shield(x)`: cancelling who waits does not cancel x. */
#include <inttypes.h>

#include "daemon/task/parts.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct shield_node {
    struct node node;
    struct item what;
};
struct shield_act {
    struct act act;
    struct watch *watch; /* of one task */
};

/* What is shielded as a task; counted. NULL: *error. */
static struct task *shielded(struct task *t, const struct shield_node *n, struct value **error)
{
    struct parts parts = {0};
    struct task *inner = NULL;
    struct item what = n->what;
    what.splice = false;
    if (parts_add_item(t, &what, &parts, error)) {
        struct part *p = &parts.all[0];
        struct coro *c = p->given ? coro_of(p->given) : NULL;
        inner = p->given ? task_of(p->given) : NULL;
        if (!inner && p->given && !c)
            *error = error_new("TypeError",
                               "An asyncio.Future, a coroutine or an awaitable is required");
        else if (!inner && may_spawn(t->job, 1, error))
            inner = c ? spawn_coro(t, c, NULL, NULL) : part_spawn(t, p, NULL);
        if (inner)
            task_ref(inner);
    }
    parts_release(&parts);
    return inner;
}

static void take_outcome(struct task *t, struct task *inner)
{
    struct value *error = NULL, *v = task_result(inner, &error);
    if (v)
        task_done(t, DONE_NORMAL, v);
    else if (inner->outcome == OUTCOME_CANCELLED) {
        value_unref(error);
        task_raise(t, error_new("CancelledError", "%s", ""));
    } else
        task_raise(t, error);
}

static void shield_start(struct task *t, struct act *act)
{
    struct value *error = NULL;
    struct task *inner = shielded(t, (const struct shield_node *)(const void *)act->node, &error);
    if (!inner) {
        task_raise(t, error);
        return;
    }
    if (task_is_done(inner)) {
        take_outcome(t, inner);
    } else {
        struct watch *w = ((struct shield_act *)act)->watch = watch_new(t, WATCH_SHIELD);
        watch_take(w, inner);
        watch_suspend(w);
        watch_begin(w, false);
    }
    task_unref(inner);
}

static void shield_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct task *inner = task_ref(((const struct shield_act *)act)->watch->all[0].task);
    if (how == DONE_RAISE) {
        if (task_is_done(inner)) /* its callback is on the way */
            task_retrieved(inner);
        task_done(t, how, v);
    } else {
        value_unref(v);
        take_outcome(t, inner);
    }
    task_unref(inner);
}

static bool shield_cancel(struct task *t, struct act *act)
{
    (void)t;
    (void)act;
    return true;
}

static bool shield_waiting(const struct act *a)
{
    (void)a;
    return true;
}

static void shield_release(struct task *t, struct act *act)
{
    (void)t;
    struct watch *w = steal(&((struct shield_act *)act)->watch);
    if (w)
        watch_abandon(w);
    watch_unref(w);
}

static void shield_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    watch_save(((const struct shield_act *)act)->watch, out);
}

static bool shield_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct watch *w = ((struct shield_act *)act)->watch = watch_load(t, WATCH_SHIELD, l, r);
    if (!w || w->n != 1)
        return load_fail(l, "a shield");
    w->waiting = true;
    return true;
}

static void shield_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    buf_printf(out, "shield of task %" PRIu64 ".%u", t->job->id,
               ((const struct shield_act *)act)->watch->all[0].task->id);
}

static const struct field shield_fields[] = {
    {"shield", &field_item, offsetof(struct shield_node, what), true,
     "A task, a coroutine, or a node."},
    {NULL},
};

const struct node_kind node_shield = {
    .verb = {.name = "shield", .fields = shield_fields, .size = sizeof(struct shield_node)},
    .act_size = sizeof(struct shield_act),
    .start = shield_start,
    .on_event = shield_on_event,
    .cancel = shield_cancel,
    .waiting = shield_waiting,
    .save = shield_save,
    .load = shield_load,
    .release = shield_release,
    .awaits = shield_awaits,
};
