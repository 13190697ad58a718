/* `wait: [tasks]`, as asyncio.wait(), whose timeout does not raise; `wait: x` of an object. */
#include "daemon/task/object_act.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct wait_node {
    struct node node;
    struct expr *what, *timeout, *return_when;
};
struct wait_act {
    struct act act;
    struct watch *watch;
    struct timer timer;
};

static const char *const words[] = {"ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION", NULL};
static const uint8_t untils[] = {UNTIL_ALL, UNTIL_FIRST, UNTIL_ERROR};

static bool eval_until(struct task *t, const struct expr *e, uint8_t *until, struct value **error)
{
    *until = UNTIL_ALL;
    if (!e)
        return true;
    cleanup_value struct value *v = task_try_eval(t, e, error);
    if (!v)
        return false;
    for (size_t i = 0; words[i]; i++)
        if (strcmp(value_get_string(v, NULL), words[i]) == 0) {
            *until = untils[i];
            return true;
        }
    struct buf text = {0};
    value_write_text(&text, v);
    *error = error_new("ValueError", "Invalid return_when value: %.100s", buf_cstr(&text));
    buf_release(&text);
    return false;
}

static bool take(struct watch *w, const struct value *list, struct value **error)
{
    for (size_t i = 0; i < value_count(list); i++) {
        struct task *target = task_of(value_item(list, i));
        if (!target) {
            *error =
                error_new("TypeError", "Passing coroutines is forbidden, use tasks explicitly.");
            return false;
        }
        watch_take(w, target);
    }
    return true;
}

static bool begin(struct task *t, struct wait_act *a, const struct value *list,
                  const double *seconds, struct value **error)
{
    const struct wait_node *n = (const struct wait_node *)(const void *)a->act.node;
    if (value_count(list) == 0) {
        *error = error_new("ValueError", "Set of Tasks/Futures is empty.");
        return false;
    }
    a->watch = watch_new(t, WATCH_WAIT);
    if (!eval_until(t, n->return_when, &a->watch->until, error) || !take(a->watch, list, error))
        return false;
    watch_suspend(a->watch);
    if (seconds)
        timer_start(t->job, t, &a->timer, TIMER_SLEEP, timer_deadline(t->job->now_us, *seconds));
    watch_begin(a->watch, true);
    return true;
}

/* False: raised. *seconds is where the timeout is, or NULL. */
static bool eval_timeout(struct task *t, const struct expr *e, double *there,
                         const double **seconds)
{
    *seconds = NULL;
    if (!e)
        return true;
    cleanup_value struct value *v = task_eval(t, e);
    if (!v)
        return false;
    if (value_is_number(v)) {
        *there = value_get_number(v);
        *seconds = there;
    } else if (value_type(v) != VALUE_NULL) {
        task_raise(t,
                   error_new("TypeError", "timeout must be a number, not %s", value_type_name(v)));
        return false;
    }
    return true;
}

static void wait_start(struct task *t, struct act *act)
{
    const struct wait_node *n = (const struct wait_node *)(const void *)act->node;
    struct value *error = NULL;
    double there;
    const double *seconds;
    cleanup_value struct value *what = task_eval(t, n->what);
    if (!what || !eval_timeout(t, n->timeout, &there, &seconds))
        return;
    bool ok;
    if (value_type(what) == VALUE_LIST) {
        ok = begin(t, (struct wait_act *)act, what, seconds, &error);
    } else if (task_of(what) || coro_of(what)) {
        ok = false;
        error = error_new("TypeError", "expect a list of futures, not %s",
                          task_of(what) ? "Task" : "coroutine");
    } else {
        ok = object_wait(t, &n->node, what, seconds, &error);
    }
    if (!ok)
        task_raise(t, error);
}

static struct value *sort_out(const struct watch *w, bool done)
{
    cleanup_free struct value **items = xmalloc((w->n + 1) * sizeof(struct value *));
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (task_is_done(w->all[i].task) == done)
            items[n++] = task_value(w->all[i].task);
    return value_list(items, n);
}

static void wait_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct wait_act *a = (struct wait_act *)act;
    timer_cancel(t->job, &a->timer);
    if (how == DONE_RAISE) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    struct value_member m[] = {{value_text("done"), sort_out(a->watch, true)},
                               {value_text("pending"), sort_out(a->watch, false)}};
    task_done(t, DONE_NORMAL, value_object(m, ARRAY_LEN(m)));
}

static bool wait_cancel(struct task *t, struct act *act)
{
    timer_cancel(t->job, &((struct wait_act *)act)->timer);
    return true;
}

static bool wait_waiting(const struct act *a)
{
    (void)a;
    return true;
}

static void wait_release(struct task *t, struct act *act)
{
    struct wait_act *a = (struct wait_act *)act;
    struct watch *w = steal(&a->watch);
    timer_cancel(t->job, &a->timer);
    if (w)
        watch_abandon(w);
    watch_unref(w);
}

static void wait_save(const struct task *t, const struct act *act, struct buf *out)
{
    const struct wait_act *a = (const struct wait_act *)act;
    watch_save(a->watch, out);
    timer_save(t->job, &a->timer, out);
}

static bool wait_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct wait_act *a = (struct wait_act *)act;
    a->watch = watch_load(t, WATCH_WAIT, l, r);
    if (!a->watch || !timer_load(l, r, t, &a->timer, TIMER_SLEEP))
        return load_fail(l, "a wait");
    a->watch->waiting = true;
    return true;
}

static void wait_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct watch *w = ((const struct wait_act *)act)->watch;
    buf_printf(out, "wait for %zu tasks, %u done", w->n, watch_done(w));
}

static void wait_check(struct parser *p, struct node *n)
{
    const struct wait_node *w = (const struct wait_node *)(void *)n;
    const struct value *what = expr_literal(w->what), *when = expr_literal(w->return_when);
    if (what)
        parser_complain(p, NULL,
                        "\"wait\" takes a list of tasks, an event, a condition or a "
                        "barrier (\"${…}\")");
    for (size_t i = 0; when && words[i]; i++)
        if (strcmp(value_get_string(when, NULL), words[i]) == 0)
            return;
    if (when)
        parser_complain(p, NULL,
                        "return_when is \"ALL_COMPLETED\", \"FIRST_COMPLETED\" or "
                        "\"FIRST_EXCEPTION\"");
}

static const struct field wait_fields[] = {
    {"wait", &field_expr, offsetof(struct wait_node, what), true,
     "A list of tasks; or an event, a condition, a barrier."},
    {"return_when", &field_string, offsetof(struct wait_node, return_when), false,
     "ALL_COMPLETED, FIRST_COMPLETED or FIRST_EXCEPTION."},
    {"timeout", &field_number, offsetof(struct wait_node, timeout), false,
     "Seconds; of tasks it does not raise."},
    {NULL},
};

const struct node_kind node_wait = {
    .verb = {.name = "wait",
             .fields = wait_fields,
             .size = sizeof(struct wait_node),
             .check = wait_check},
    .act_size = sizeof(struct wait_act),
    .start = wait_start,
    .on_event = wait_on_event,
    .cancel = wait_cancel,
    .waiting = wait_waiting,
    .save = wait_save,
    .load = wait_load,
    .release = wait_release,
    .awaits = wait_awaits,
};
