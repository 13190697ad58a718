/* The modifier `timeout`, as asyncio.timeout() of 3.13, in the task that it bounds. */
#include "daemon/task/save.h"
#include "proto/mem.h"

enum { TIMEOUT_ENTERED, TIMEOUT_EXPIRING };

struct timeout_act {
    struct act act;     /* count: cancelling() at the entry */
    struct timer timer; /* none, or it has come */
    double seconds;     /* for the launch, when it counts from there; else < 0 */
};

static void begin(struct task *t, struct timeout_act *a, double seconds)
{
    if (seconds > 0)
        timer_start(t->job, t, &a->timer, TIMER_TIMEOUT, timer_deadline(t->job->now_us, seconds));
    else
        timer_soon(t->job, t, &a->timer, TIMER_TIMEOUT);
}

static void timeout_start(struct task *t, struct act *act)
{
    const struct timeout_node *n = (const struct timeout_node *)(const void *)act->node;
    struct timeout_act *a = (struct timeout_act *)act;
    cleanup_value struct value *v = task_eval(t, n->seconds);
    if (!v)
        return;
    bool none = value_type(v) == VALUE_NULL;
    if (!none && !value_is_number(v)) {
        task_raise(t,
                   error_new("TypeError", "timeout must be a number, not %s", value_type_name(v)));
        return;
    }
    act->count = task_extra(t)->cancels;
    a->seconds = -1;
    if (!none && n->from_start) {
        double seconds = value_get_number(v);
        a->seconds = seconds > 0 ? seconds : 0;
    } else if (!none) {
        begin(t, a, value_get_number(v));
    }
    task_child(t, n->child);
}

bool timeout_push(struct task *t, const struct node *n, double seconds)
{
    struct timeout_act *a = (struct timeout_act *)task_push(t, ACT_TIMEOUT, n);
    if (!a)
        return false;
    a->act.count = task_extra(t)->cancels;
    a->seconds = -1;
    begin(t, a, seconds);
    return true;
}

void timeout_launched(struct task *t, int64_t now_us)
{
    struct act *top = task_top(t), *below = top ? act_below(top) : NULL;
    if (!below || act_kind(below) != &node_timeout)
        return;
    struct timeout_act *a = (struct timeout_act *)below;
    if (a->timer.state != TIMER_NONE || below->phase == TIMEOUT_EXPIRING || a->seconds < 0)
        return;
    if (now_us > t->job->now_us)
        t->job->now_us = now_us;
    begin(t, a, a->seconds);
}

void timeout_expired(struct task *t, struct timer *x)
{
    container_of(x, struct timeout_act, timer)->act.phase = TIMEOUT_EXPIRING;
    task_cancel(t);
}

static void timeout_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    timer_cancel(t->job, &((struct timeout_act *)act)->timer);
    if (act->phase == TIMEOUT_EXPIRING && task_uncancel(t) <= act->count && how == DONE_RAISE &&
        strcmp(error_type(v), "CancelledError") == 0) {
        struct value *error = error_make("TimeoutError", "", NULL, v);
        value_unref(v);
        v = error;
    }
    task_done(t, how, v);
}

static void timeout_release(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct timeout_act *)act)->timer);
}

static void timeout_save(const struct task *t, const struct act *act, struct buf *out)
{
    const struct timeout_act *a = (const struct timeout_act *)act;
    put_f64(out, a->seconds);
    timer_save(t->job, &a->timer, out);
}

static bool timeout_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct timeout_act *a = (struct timeout_act *)act;
    a->seconds = get_f64(r);
    return act->phase <= TIMEOUT_EXPIRING ? timer_load(l, r, t, &a->timer, TIMER_TIMEOUT)
                                          : load_fail(l, "a timeout");
}

const struct node_kind node_timeout = {
    .verb = {.name = "<timeout>", .size = sizeof(struct timeout_node)},
    .act_size = sizeof(struct timeout_act),
    .start = timeout_start,
    .on_child = timeout_on_child,
    .save = timeout_save,
    .load = timeout_load,
    .release = timeout_release,
};
