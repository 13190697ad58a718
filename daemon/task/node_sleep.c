/* `sleep: seconds`, as asyncio.sleep(). */
#include "daemon/task/save.h"

struct sleep_node {
    struct node node;
    struct expr *seconds;
};
struct sleep_act {
    struct act act;
    struct timer timer;
};

static void sleep_start(struct task *t, struct act *act)
{
    const struct sleep_node *n = (const struct sleep_node *)(const void *)act->node;
    double seconds;
    if (task_eval_number(t, n->seconds, "the time to sleep", 0, &seconds))
        task_sleep(t, &((struct sleep_act *)act)->timer, seconds);
}

static bool sleep_cancel(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct sleep_act *)act)->timer);
    return true;
}

static bool sleep_waiting(const struct act *a)
{
    (void)a;
    return true;
}

static void sleep_release(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct sleep_act *)act)->timer);
}

static void sleep_save(const struct task *t, const struct act *act, struct buf *out)
{
    timer_save(t->job, &((const struct sleep_act *)act)->timer, out);
}

static bool sleep_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    return timer_load(l, r, t, &((struct sleep_act *)act)->timer, TIMER_SLEEP);
}

static void sleep_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    const struct timer *x = &((const struct sleep_act *)act)->timer;
    if (x->state != TIMER_NONE)
        buf_printf(out, "sleep, %.6g s left",
                   (double)(timer_due_us(t->job, x) - t->job->now_us) / 1e6);
}

static const struct field sleep_fields[] = {
    {"sleep", &field_number, offsetof(struct sleep_node, seconds), true,
     "Seconds; 0 gives the turn away for one tick."},
    {NULL},
};

const struct node_kind node_sleep = {
    .verb = {.name = "sleep", .fields = sleep_fields, .size = sizeof(struct sleep_node)},
    .act_size = sizeof(struct sleep_act),
    .start = sleep_start,
    .cancel = sleep_cancel,
    .waiting = sleep_waiting,
    .save = sleep_save,
    .load = sleep_load,
    .release = sleep_release,
    .awaits = sleep_awaits,
};

int64_t sleep_until(const struct task *t)
{
    const struct act *a = task_top(t);
    if (!a || act_kind(a) != &node_sleep)
        return 0;
    const struct timer *x = &((const struct sleep_act *)a)->timer;
    return x->state == TIMER_NONE ? 0 : timer_due_us(t->job, x);
}
