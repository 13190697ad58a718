/* The modifier `retry`: again after an error, with a sleep between. */
#include <math.h>

#include "daemon/task/save.h"
#include "proto/mem.h"

enum { RETRY_RUNNING, RETRY_SLEEPING };

struct retry_act {
    struct act act;     /* count: attempts that failed */
    struct timer timer; /* between attempts */
    uint32_t attempts;
    double delay, backoff, max_delay, jitter; /* seconds, factor, seconds, seconds */
};

static bool evaluate(struct task *t, const struct retry_node *n, struct retry_act *a)
{
    double attempts;
    if (!task_eval_number(t, n->attempts, "the attempts of retry", 3, &attempts) ||
        !task_eval_number(t, n->delay, "the delay of retry", 0, &a->delay) ||
        !task_eval_number(t, n->backoff, "the backoff of retry", 1, &a->backoff) ||
        !task_eval_number(t, n->max_delay, "the max_delay of retry", -1, &a->max_delay) ||
        !task_eval_number(t, n->jitter, "the jitter of retry", 0, &a->jitter))
        return false;
    if (!(attempts >= 1)) {
        task_raise(t, error_new("ValueError", "retry needs at least 1 attempt"));
        return false;
    }
    a->attempts = attempts < UINT32_MAX ? (uint32_t)attempts : UINT32_MAX;
    return true;
}

static void retry_start(struct task *t, struct act *act)
{
    const struct retry_node *n = (const struct retry_node *)(const void *)act->node;
    if (evaluate(t, n, (struct retry_act *)act))
        task_child(t, n->child);
}

static bool wanted(const struct retry_node *n, const struct value *error)
{
    if (strcmp(error_type(error), "CancelledError") == 0)
        return false;
    if (!n->on)
        return error_matches(error, "Exception");
    for (char **type = n->on; *type; type++)
        if (error_matches(error, *type))
            return true;
    return false;
}

/* From 0 to 1, the same for the same attempt whenever it is asked: a job that is run again from
 * the same rows does the same. */
static double chance(const struct task *t, uint32_t attempt)
{
    uint64_t x = t->job->id * 0x9e3779b97f4a7c15u ^ ((uint64_t)t->id << 32 | attempt);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (double)((x ^ x >> 31) >> 11) / 9007199254740992.0;
}

static void retry_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    const struct retry_node *n = (const struct retry_node *)(const void *)act->node;
    struct retry_act *a = (struct retry_act *)act;
    if (how != DONE_RAISE || !wanted(n, v) || act->count + 1 >= a->attempts) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    double delay = a->delay * pow(a->backoff, act->count);
    if (a->max_delay >= 0 && !(delay <= a->max_delay))
        delay = a->max_delay;
    act->count++;
    if (a->jitter > 0)
        delay += a->jitter * chance(t, act->count);
    act->phase = RETRY_SLEEPING;
    task_sleep(t, &a->timer, delay);
}

static void retry_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    act->phase = RETRY_RUNNING;
    timer_cancel(t->job, &((struct retry_act *)act)->timer);
    if (how == DONE_RAISE) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    task_child(t, ((const struct retry_node *)(const void *)act->node)->child);
}

static bool retry_cancel(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct retry_act *)act)->timer);
    return true;
}

static bool retry_waiting(const struct act *a)
{
    return a->phase == RETRY_SLEEPING;
}

static void retry_release(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct retry_act *)act)->timer);
}

static void retry_save(const struct task *t, const struct act *act, struct buf *out)
{
    const struct retry_act *a = (const struct retry_act *)act;
    put_varint(out, a->attempts);
    put_f64(out, a->delay);
    put_f64(out, a->backoff);
    put_f64(out, a->max_delay);
    put_f64(out, a->jitter);
    timer_save(t->job, &a->timer, out);
}

static bool retry_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct retry_act *a = (struct retry_act *)act;
    a->attempts = (uint32_t)get_varint(r);
    a->delay = get_f64(r);
    a->backoff = get_f64(r);
    a->max_delay = get_f64(r);
    a->jitter = get_f64(r);
    return act->phase <= RETRY_SLEEPING ? timer_load(l, r, t, &a->timer, TIMER_SLEEP)
                                        : load_fail(l, "a retry");
}

static void retry_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    buf_printf(out, "attempt %u of %u", act->count + 1, ((const struct retry_act *)act)->attempts);
}

const struct node_kind node_retry = {
    .verb = {.name = "<retry>", .size = sizeof(struct retry_node)},
    .act_size = sizeof(struct retry_act),
    .start = retry_start,
    .on_child = retry_on_child,
    .on_event = retry_on_event,
    .cancel = retry_cancel,
    .waiting = retry_waiting,
    .save = retry_save,
    .load = retry_load,
    .release = retry_release,
    .awaits = retry_awaits,
};
