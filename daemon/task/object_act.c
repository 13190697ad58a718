#include "daemon/task/object_act.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

void object_suspend(struct task *t, struct object_act *a, enum object_list list)
{
    a->act.phase = (uint8_t)(list + 1);
    task_suspend(t, WAIT_OWN, NULL);
    waiters_add(&a->object->waiters[list], &a->waiter, t);
}

static struct waiters *list_of(const struct object_act *a)
{
    return &a->object->waiters[a->act.phase - 1];
}

bool object_awake(struct task *t, struct object_act *a)
{
    waiters_remove(list_of(a), &a->waiter);
    a->act.phase = 0;
    return t->future == FUTURE_DONE;
}

enum progress acquire_begin(struct task *t, struct object_act *a)
{
    if (lock_try(a->object, t->job))
        return PROGRESS_DONE;
    object_suspend(t, a, LIST_LOCK);
    return PROGRESS_WAITS;
}

enum progress acquire_go_on(struct task *t, struct object_act *a, enum completion how,
                            struct value **error)
{
    bool woken = object_awake(t, a);
    if (named_is_removed(a->object)) {
        if (how == DONE_NORMAL)
            *error = named_removed_error(a->object);
        return PROGRESS_FAILED;
    }
    lock_waited(a->object, t->job, woken, how == DONE_NORMAL);
    return how == DONE_NORMAL ? PROGRESS_DONE : PROGRESS_FAILED;
}

/* ---- what verbs share ---- */

struct object *object_eval(struct task *t, const struct expr *e, unsigned types, const char *verb,
                           const char *what, struct value **v)
{
    struct value *error = NULL;
    *v = task_eval(t, e);
    if (!*v)
        return NULL;
    struct object *o = object_needed(*v, types, verb, what, &error);
    if (!o)
        task_raise(t, error);
    return o;
}

static void object_parse(struct parser *p, const json_t *json, void *out)
{
    struct expr *e = parser_expr(p, json);
    *(struct expr **)out = e;
    if (expr_literal(e))
        parser_complain(p, NULL, "an object's handle is needed here, as \"${queue}\"");
}

static void object_release_expr(void *out)
{
    expr_free(*(struct expr **)out);
}

const struct field_type field_object = {object_parse, object_release_expr, "a handle"};

bool object_act_cancel(struct task *t, struct act *act)
{
    (void)t;
    struct object_act *a = (struct object_act *)act;
    waiters_cancel(list_of(a), &a->waiter);
    return true;
}

bool object_act_waiting(const struct act *act)
{
    return act->phase > 0;
}

void object_act_release(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    if (act->phase > 0 && a->object) {
        waiters_remove(list_of(a), &a->waiter);
        if (t->future != FUTURE_PENDING)
            named_forgo(a->object, (enum object_list)(act->phase - 1), t->job,
                        t->future == FUTURE_DONE);
    }
    value_unref(steal(&a->value));
    object_unref(steal(&a->object));
}

void object_act_save(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct object_act *a = (const struct object_act *)act;
    put_varint(out, object_number(a->object));
    put_u8(out, a->part);
    put_u8(out, a->relock);
    value_save_opt(a->value, out);
    if (act->phase > 0)
        put_varint(out, a->waiter.seq);
}

bool object_act_load(struct act *act, unsigned types, struct job_loader *l, struct reader *r)
{
    struct object_act *a = (struct object_act *)act;
    uint8_t phase = act->phase;
    act->phase = 0; /* it is in no list yet, should this fail */
    uint64_t id = get_varint(r);
    a->part = get_u8(r);
    a->relock = get_u8(r);
    if (r->failed || a->part > PART_BODY || a->relock > 1 || phase > OBJECT_LISTS ||
        !value_load_opt(l, r, &a->value))
        return load_fail(l, "what waits at an object");
    a->object = load_object(l, id, types);
    if (!a->object)
        return load_fail(l, "an object that a task waits at");
    if (phase > 0)
        a->waiter.seq = get_varint(r);
    act->phase = phase;
    return !r->failed;
}

/* Queues and conditions forget whom they wake. */
static bool stays(const struct object_act *a)
{
    return object_is(a->object, IS_LOCKABLE | IS_BARRIER) && a->act.phase == LIST_LOCK + 1;
}

void object_act_loaded(struct task *t, struct act *act)
{
    struct object_act *a = (struct object_act *)act;
    if (act->phase > 0)
        waiters_load(list_of(a), &a->waiter, t, stays(a));
}

void object_act_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    (void)t;
    const struct object_act *a = (const struct object_act *)act;
    static const char *const of_queue[] = {"an item of ", "room in ", "the join of "};
    if (act->phase == 0)
        return;
    if (object_is(a->object, IS_ANY_QUEUE))
        buf_addstr(out, of_queue[act->phase - 1]);
    else if (act->phase == LIST_LOCK + 1 && object_is(a->object, IS_CONDITION | IS_BARRIER))
        buf_addstr(out, "the lock of ");
    object_put_name(a->object, out);
    if (object_is(a->object, IS_BARRIER))
        buf_printf(out, " (%lld of %lld)", (long long)a->object->value,
                   (long long)a->object->limit);
}

bool queue_act_load(struct act *act, enum object_list list, struct job_loader *l, struct reader *r)
{
    const struct object_act *a = (const struct object_act *)act;
    return object_act_load(act, IS_ANY_QUEUE, l, r) &&
           ((act->phase == list + 1 && (list == LIST_PUTTERS) == (a->value != NULL)) ||
            load_fail(l, "who waits at a queue"));
}

static bool is_error(const struct value *v)
{
    return !v || value_type(v) == VALUE_OBJECT;
}

bool lock_act_load(struct act *act, unsigned types, struct job_loader *l, struct reader *r)
{
    const struct object_act *a = (const struct object_act *)act;
    if (!object_act_load(act, types, l, r))
        return false;
    bool barrier = object_is(a->object, IS_BARRIER);
    /* Only who waits for a notification, or has waited, is not in the first list. */
    bool notify = barrier ? a->part == PART_BLOCK || a->part == PART_WAIT
                          : object_is(a->object, IS_CONDITION) && a->part == PART_NONE;
    enum object_list list = notify && !a->relock ? LIST_NOTIFY : LIST_LOCK;
    bool good = a->part == PART_BODY ? act->phase == 0 : act->phase == list + 1;
    return (good && is_error(a->value)) || load_fail(l, "who waits at an object");
}
