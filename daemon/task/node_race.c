/* `race: [nodes]`: the first that ends counts; the others are cancelled and awaited. In asyncio's
 * words: wait() for the first, cancel(), wait() for the rest. */
#include "daemon/task/given.h"
#include "daemon/task/parts.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct race_node {
    struct node node;
    struct items items;
};

enum { RACE_RUNNING, RACE_CLOSING };

struct race_act {
    struct act act;
    struct watch *watch; /* of all; CLOSING: of the losers */
    struct task *winner; /* CLOSING; counted; NULL: none yet when it was cancelled */
    struct value *error; /* CLOSING: it was cancelled */
};

static struct task *contender(struct task *t, struct part *p)
{
    struct coro *c = p->given ? coro_of(p->given) : NULL;
    if (c)
        return spawn_coro(t, c, NULL, NULL);
    return p->given ? task_of(p->given) : part_spawn(t, p, NULL);
}

static bool begin(struct task *t, struct race_act *a, struct value **error)
{
    struct parts parts = {0};
    bool ok = parts_collect(t, &((const struct race_node *)(const void *)a->act.node)->items,
                            &parts, error);
    if (ok && parts.n == 0) {
        *error = error_new("ValueError", "Set of Tasks/Futures is empty.");
        ok = false;
    }
    ok = ok && may_spawn(t->job, parts.n, error);
    if (ok)
        a->watch = watch_new(t, WATCH_RACE);
    for (size_t i = 0; ok && i < parts.n; i++) {
        struct task *one = contender(t, &parts.all[i]);
        if (one) {
            watch_take(a->watch, one);
        } else {
            *error = error_new("TypeError",
                               "An asyncio.Future, a coroutine or an awaitable is required");
            ok = false;
        }
    }
    parts_release(&parts);
    return ok;
}

static void race_start(struct task *t, struct act *act)
{
    struct race_act *a = (struct race_act *)act;
    struct value *error = NULL;
    if (!begin(t, a, &error)) {
        task_raise(t, error);
        return;
    }
    watch_suspend(a->watch);
    watch_begin(a->watch, false);
}

static void finish(struct task *t, struct race_act *a)
{
    struct value *error = steal(&a->error);
    struct value *v = error ? NULL : task_result(a->winner, &error);
    if (v)
        task_done(t, DONE_NORMAL, v);
    else
        task_raise(t, error);
}

/* The race is over; error: it was cancelled (taken over). */
static void close_race(struct task *t, struct race_act *a, struct value *error)
{
    struct watch *all = a->watch, *losers = watch_new(t, WATCH_WAIT);
    a->winner = watch_next(all);
    a->error = error;
    a->watch = losers;
    for (size_t i = 0; i < all->n; i++)
        if (all->all[i].task != a->winner)
            watch_take(losers, all->all[i].task);
    watch_abandon(all);
    watch_unref(all);
    for (size_t i = 0; i < losers->n; i++)
        task_cancel(losers->all[i].task);
    if (losers->n == 0) {
        finish(t, a);
        return;
    }
    a->act.phase = RACE_CLOSING;
    watch_suspend(losers);
    watch_begin(losers, true);
}

static void race_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct race_act *a = (struct race_act *)act;
    struct value *error = how == DONE_RAISE ? v : NULL;
    if (!error)
        value_unref(v);
    a->watch->waiting = false;
    if (act->phase == RACE_RUNNING) {
        close_race(t, a, error);
        return;
    }
    if (error) { /* cancelled again: the losers are left to themselves */
        task_done(t, DONE_RAISE, error);
        return;
    }
    for (size_t i = 0; i < a->watch->n; i++)
        task_retrieved(a->watch->all[i].task);
    finish(t, a);
}

static bool race_cancel(struct task *t, struct act *act)
{
    (void)t;
    (void)act;
    return true;
}

static bool race_waiting(const struct act *a)
{
    (void)a;
    return true;
}

static void race_release(struct task *t, struct act *act)
{
    (void)t;
    struct race_act *a = (struct race_act *)act;
    struct watch *w = steal(&a->watch);
    if (w)
        watch_abandon(w);
    watch_unref(w);
    task_unref(steal(&a->winner));
    value_unref(steal(&a->error));
}

static void race_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct race_act *a = (const struct race_act *)act;
    watch_save(a->watch, out);
    tasks_save(&a->winner, a->winner ? 1 : 0, out);
    value_save_opt(a->error, out);
}

static bool race_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct race_act *a = (struct race_act *)act;
    struct task **winner = NULL;
    size_t n = 0;
    a->watch = watch_load(t, act->phase == RACE_RUNNING ? WATCH_RACE : WATCH_WAIT, l, r);
    bool ok = a->watch && tasks_load(l, r, &winner, &n);
    for (size_t i = 1; i < n; i++)
        task_unref(winner[i]);
    a->winner = n > 0 ? winner[0] : NULL;
    free(winner);
    if (!ok || n > 1 || act->phase > RACE_CLOSING || !value_load_opt(l, r, &a->error) ||
        (a->winner && !task_is_done(a->winner)) ||
        (act->phase == RACE_CLOSING && !a->winner && !a->error))
        return load_fail(l, "a race");
    a->watch->waiting = true;
    return true;
}

static void race_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct race_act *a = (const struct race_act *)act;
    if (act->phase == RACE_RUNNING)
        buf_printf(out, "race of %zu", a->watch->n);
    else
        buf_printf(out, "race is over, %u that lost left", a->watch->left);
}

const struct node *race_first(const struct node *n)
{
    const struct items *items = &((const struct race_node *)(const void *)n)->items;
    return items->n ? items->all[0].node : NULL;
}

static const struct field race_fields[] = {
    {"race", &field_items, offsetof(struct race_node, items), true,
     "A list of nodes and handles, or {for, in, do}."},
    {NULL},
};

const struct node_kind node_race = {
    .verb = {.name = "race", .fields = race_fields, .size = sizeof(struct race_node)},
    .act_size = sizeof(struct race_act),
    .start = race_start,
    .on_event = race_on_event,
    .cancel = race_cancel,
    .waiting = race_waiting,
    .save = race_save,
    .load = race_load,
    .release = race_release,
    .awaits = race_awaits,
};
