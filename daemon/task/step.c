#include <string.h>

#include "daemon/task/job.h"
#include "proto/log.h"
#include "proto/mem.h"

/* Most stacks stay as small as what is inside, and there are many: grow by half. */
static void grow(struct task *t, size_t words)
{
    size_t cap = t->cap + t->cap / 2;
    if (cap < words)
        cap = words;
    uint64_t *stack = xrealloc(t->stack == t->inside ? NULL : t->stack, cap * sizeof *stack);
    if (t->stack == t->inside)
        memcpy(stack, t->inside, t->used * sizeof *stack);
    t->stack = stack;
    t->cap = (uint16_t)cap;
}

struct act *task_push(struct task *t, enum act_role role, const struct node *node)
{
    const struct node_kind *kind = role == ACT_NODE ? node_kind(node) : act_roles[role];
    size_t words = (kind->act_size + sizeof *t->stack - 1) / sizeof *t->stack;
    if (t->used + words > TASK_MAX_STACK_BYTES / sizeof *t->stack)
        return NULL;
    if (t->used + words > t->cap)
        grow(t, t->used + words);
    const struct act *top = task_top(t);
    uint8_t below = top ? top->words : 0;
    t->top = t->used;
    t->used = (uint16_t)(t->used + words);
    struct act *a = (struct act *)(void *)(t->stack + t->top);
    memset(a, 0, words * sizeof *t->stack);
    a->node = node;
    a->role = (uint8_t)role;
    a->words = (uint8_t)words;
    a->below = below;
    return a;
}

void task_drop_stack(struct task *t)
{
    if (t->stack != t->inside)
        free(t->stack);
    t->stack = t->inside;
    t->used = t->top = 0;
    t->cap = ARRAY_LEN(t->inside);
}

void task_pop(struct task *t)
{
    struct act *a = (struct act *)(void *)(t->stack + t->top);
    if (act_kind(a)->release)
        act_kind(a)->release(t, a);
    t->used = t->top;
    t->top = (uint16_t)(t->top - a->below);
}

void task_child(struct task *t, const struct node *child)
{
    t->op = OP_START;
    t->op_node = child;
}

void task_done(struct task *t, enum completion how, struct value *v)
{
    task_pop(t);
    t->op = OP_DELIVER;
    t->how = (uint8_t)how;
    t->value = v;
}

struct value *task_handled(const struct task *t)
{
    for (struct act *a = task_top(t); a; a = act_below(a)) {
        struct value *error = try_handled(a);
        if (error)
            return error;
    }
    return NULL;
}

struct value *task_in_context(const struct task *t, struct value *error)
{
    struct value *handled = task_handled(t);
    /* An error that is raised again is not its own cause; one that grows without end is cut. */
    if (!handled || value_depth(handled) > VALUE_MAX_DEPTH / 2 || value_equal(handled, error))
        return error;
    struct value *with = error_with_cause(error, handled);
    if (!with)
        return error;
    value_unref(error);
    return with;
}

enum completion task_refuse(struct task *t, enum completion how, struct value **v)
{
    if (how == DONE_RAISE && strcmp(error_type(*v), "CancelledError") == 0)
        return how;
    return job_refuse(t->job, v) ? DONE_RAISE : how;
}

void task_raise(struct task *t, struct value *error)
{
    error = task_in_context(t, error);
    if (job_is_large(t->job))
        task_refuse(t, DONE_RAISE, &error);
    task_done(t, DONE_RAISE, error);
}

void task_suspend(struct task *t, enum wait_kind wait, void *x)
{
    t->op = OP_NONE;
    t->wait = (uint8_t)wait;
    t->future = FUTURE_PENDING;
    if (wait == WAIT_TASK) {
        t->awaited = task_ref(x);
        callbacks_add(&t->awaited->callbacks, (struct callback){t, CALLBACK_WAKE});
        task_touch(t->awaited);
    } else if (wait == WAIT_GATHER) {
        t->gathered = x;
        t->gathered->refs++;
        t->gathered->awaiter = t;
    }
}

void task_yield(struct task *t)
{
    task_suspend(t, WAIT_YIELD, NULL);
    job_soon_task(t->job, HANDLE_STEP, t);
}

void task_sleep(struct task *t, struct timer *x, double seconds)
{
    if (!(seconds > 0)) {
        task_yield(t);
        return;
    }
    task_suspend(t, WAIT_OWN, NULL);
    timer_start(t->job, t, x, TIMER_SLEEP, timer_deadline(t->job->now_us, seconds));
}

void wait_settle(struct task *t, enum future_state state)
{
    if (t->wait != WAIT_OWN || t->future != FUTURE_PENDING)
        return;
    t->future = (uint8_t)state;
    job_soon_task(t->job, HANDLE_WAKE, t);
}

void task_enter(struct task *t, struct scope *s, const struct node *body)
{
    if (!frame_push(t, s)) {
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value =
            task_in_context(t, error_new("RuntimeError", "maximum recursion depth exceeded"));
        return;
    }
    task_child(t, body);
}

static void start(struct task *t)
{
    const struct node *n = t->op_node;
    t->op = OP_NONE;
    if (!n) { /* the inside of a call's timeout or retry */
        coro_enter_body(t);
        return;
    }
    struct act *a = task_push(t, ACT_NODE, n);
    if (!a) {
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value =
            task_in_context(t, error_new("RuntimeError", "maximum recursion depth exceeded"));
        return;
    }
    node_kind(n)->start(t, a);
}

static void deliver(struct task *t)
{
    enum completion how = (enum completion)t->how;
    struct value *v = steal(&t->value);
    struct act *a = task_top(t);
    t->op = OP_NONE;
    if (!a)
        task_end(t, how, v);
    else if (act_kind(a)->on_child)
        act_kind(a)->on_child(t, a, how, v);
    else
        task_done(t, how, v);
}

bool task_go(struct task *t, unsigned *budget)
{
    if (job_is_large(t->job) && t->op == OP_DELIVER)
        t->how = (uint8_t)task_refuse(t, (enum completion)t->how, &t->value);
    while (t->op != OP_NONE) {
        if (*budget == 0)
            return false;
        --*budget;
        if (t->op == OP_START)
            start(t);
        else
            deliver(t);
    }
    if (!task_is_done(t))
        task_check_cancel(t);
    return true;
}

void task_interrupt(struct task *t)
{
    if (t->op == OP_NONE)
        return;
    if (!t->must_cancel)
        task_make_extra(t)->cancels++;
    t->must_cancel = false;
    value_unref(t->value);
    t->op = OP_DELIVER;
    t->how = DONE_RAISE;
    t->value = error_new("CancelledError", "%s", "");
}

/* The outcome of what it waited for; value and error are new references, at most one is set. */
static void take_outcome(struct task *t, struct value **value, struct value **error)
{
    if (t->wait == WAIT_TASK)
        *value = task_result(t->awaited, error);
    else if (t->wait == WAIT_GATHER && t->gathered->state == GATHER_RESULTS)
        *value = gather_results(t->gathered, error);
    else if (t->wait == WAIT_GATHER && t->gathered->error)
        *error = value_ref(t->gathered->error);
    else if (t->wait == WAIT_OWN && t->future == FUTURE_CANCELLED)
        *error = error_new("CancelledError", "%s", "");
}

static void stop_waiting(struct task *t)
{
    if (t->wait == WAIT_TASK) {
        if (!task_is_done(t->awaited)) { /* cut out of a circle (cancel.c) */
            callbacks_remove(&t->awaited->callbacks, t);
            task_touch(t->awaited);
        }
        task_unref(t->awaited);
    } else if (t->wait == WAIT_GATHER) {
        t->gathered->awaiter = NULL;
        gather_unref(t->gathered);
    }
    t->wait = WAIT_NONE;
}

void task_resume(struct task *t, bool wake, struct value *error)
{
    cleanup_value struct value *value = NULL;
    task_touch(t);
    t->started = true;
    if (wake)
        take_outcome(t, &value, &error);
    if (t->must_cancel) {
        t->must_cancel = false;
        if (!error || strcmp(error_type(error), "CancelledError") != 0) {
            value_unref(error);
            error = error_new("CancelledError", "%s", "");
        }
    }
    stop_waiting(t);
    if (t->op != OP_NONE) { /* its first step */
        if (!error)
            return;
        t->op = OP_DELIVER;
        value_unref(t->value);
        t->how = DONE_RAISE;
        t->value = error;
        return;
    }
    struct act *a = task_top(t);
    enum completion how = error ? DONE_RAISE : DONE_NORMAL;
    struct value *v = error ? task_in_context(t, error) : value ? steal(&value) : value_null();
    if (!a) {
        t->op = OP_DELIVER;
        t->how = (uint8_t)how;
        t->value = v;
    } else if (act_kind(a)->on_event)
        act_kind(a)->on_event(t, a, how, v);
    else
        task_done(t, how, v);
}
