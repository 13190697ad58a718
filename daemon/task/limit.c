/* A child of a gather with a limit: `async with semaphore: …`, as asyncio.Semaphore of 3.13. */
#include "daemon/task/save.h"
#include "proto/mem.h"

enum { LIMIT_NEW, LIMIT_WAITING, LIMIT_HOLDING };

struct limit_act {
    struct act act; /* node: the branch, or NULL when coro is set */
    struct sem *sem;
    struct waiter waiter; /* WAITING */
    struct coro *coro;    /* until it has begun */
    struct scope *scope;  /* the branch's, until then */
};

bool limit_push(struct task *t, struct sem *sem, const struct node *branch, struct scope *own,
                struct coro *c)
{
    struct limit_act *l = (struct limit_act *)task_push(t, ACT_LIMIT, branch);
    if (!l)
        return false;
    l->sem = sem_ref(sem);
    l->scope = own;
    l->coro = c;
    if (c) {
        c->refs++;
        c->taken = true;
    }
    return true;
}

const struct scope *limit_scope(const struct act *a)
{
    return ((const struct limit_act *)a)->scope;
}

static bool wake_next(struct sem *s)
{
    if (!waiters_wake(&s->waiters, true))
        return false;
    s->value--;
    return true;
}

static void wake_all(struct sem *s)
{
    while (s->value > 0 && wake_next(s))
        ;
}

static void enter(struct task *t, struct limit_act *l)
{
    l->act.phase = LIMIT_HOLDING;
    if (!l->coro) {
        task_enter(t, steal(&l->scope), l->act.node);
        return;
    }
    struct coro *c = steal(&l->coro);
    struct value *error = NULL;
    if (!coro_enter(t, c, &error)) {
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value = error;
    }
    coro_unref(c);
}

static void limit_start(struct task *t, struct act *a)
{
    struct limit_act *l = (struct limit_act *)a;
    struct sem *s = l->sem;
    if (s->value > 0 && !waiters_any(&s->waiters)) {
        s->value--;
        enter(t, l);
        return;
    }
    a->phase = LIMIT_WAITING;
    task_suspend(t, WAIT_OWN, NULL);
    waiters_add(&s->waiters, &l->waiter, t);
}

static void limit_on_child(struct task *t, struct act *a, enum completion how, struct value *v)
{
    struct limit_act *l = (struct limit_act *)a;
    if (a->phase == LIMIT_NEW && how == DONE_NORMAL) { /* spawn's first step */
        value_unref(v);
        limit_start(t, a);
        return;
    }
    if (a->phase == LIMIT_HOLDING) {
        a->phase = LIMIT_NEW;
        l->sem->value++;
        wake_next(l->sem);
    }
    task_done(t, how, v);
}

static void limit_on_event(struct task *t, struct act *a, enum completion how, struct value *v)
{
    struct limit_act *l = (struct limit_act *)a;
    struct sem *s = l->sem;
    waiters_remove(&s->waiters, &l->waiter);
    if (t->future == FUTURE_DONE && how == DONE_RAISE)
        s->value++; /* it was woken, and cancelled before it could run */
    a->phase = LIMIT_NEW;
    wake_all(s);
    if (how == DONE_RAISE) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    enter(t, l);
}

static bool limit_cancel(struct task *t, struct act *a)
{
    (void)t;
    struct limit_act *l = (struct limit_act *)a;
    waiters_cancel(&l->sem->waiters, &l->waiter);
    return true;
}

static bool limit_waiting(const struct act *a)
{
    return a->phase == LIMIT_WAITING;
}

static void limit_release(struct task *t, struct act *a)
{
    (void)t;
    struct limit_act *l = (struct limit_act *)a;
    if (l->sem)
        waiters_remove(&l->sem->waiters, &l->waiter);
    coro_unref(l->coro);
    scope_unref(l->scope);
    sem_unref(l->sem);
}

static void limit_save(const struct task *t, const struct act *a, struct buf *out)
{
    const struct limit_act *l = (const struct limit_act *)a;
    put_varint(out, l->sem->gather);
    put_varint(out, (uint64_t)l->sem->limit);
    if (a->phase == LIMIT_WAITING)
        put_varint(out, l->waiter.seq);
    put_u8(out, (uint8_t)((l->coro ? 1 : 0) | (l->scope ? 2 : 0)));
    if (l->coro)
        coro_save(l->coro, out);
    if (l->scope)
        scope_save(t->job, l->scope, out);
}

static bool load_body(struct limit_act *l, struct job_loader *from, struct reader *r)
{
    uint8_t has = get_u8(r);
    if (has & 1) {
        if (!(l->coro = coro_load(from, r)))
            return false;
        l->coro->taken = true;
    }
    if (has & 2 && !(l->scope = scope_load(from, r)))
        return false;
    bool begun = l->act.phase == LIMIT_HOLDING;
    if (begun != !(l->coro || l->scope) || (l->scope && !l->act.node))
        return load_fail(from, "a limited branch");
    return true;
}

static bool limit_load(struct task *t, struct act *a, struct job_loader *from, struct reader *r)
{
    (void)t;
    struct limit_act *l = (struct limit_act *)a;
    uint64_t gather = get_varint(r), limit = get_varint(r);
    if (r->failed || gather > UINT32_MAX || limit == 0 || limit > INT64_MAX ||
        a->phase > LIMIT_HOLDING)
        return load_fail(from, "a limit");
    l->sem = load_sem(from, (uint32_t)gather, (int64_t)limit);
    if (a->phase == LIMIT_WAITING)
        l->waiter.seq = get_varint(r);
    return load_body(l, from, r);
}

/* Once all is loaded: who holds it, and who waits in which order. */
static void limit_loaded(struct task *t, struct act *a)
{
    struct limit_act *l = (struct limit_act *)a;
    struct sem *s = l->sem;
    if (a->phase == LIMIT_HOLDING || (a->phase == LIMIT_WAITING && t->future == FUTURE_DONE))
        s->value--;
    if (a->phase == LIMIT_WAITING)
        waiters_load(&s->waiters, &l->waiter, t, true);
}

static void limit_awaits(const struct task *t, const struct act *a, struct buf *out)
{
    (void)t;
    buf_printf(out, "its turn: %lld at once", (long long)((const struct limit_act *)a)->sem->limit);
}

const struct node_kind kind_limit = {
    .verb = {.name = "<limit>"},
    .act_size = sizeof(struct limit_act),
    .on_child = limit_on_child,
    .on_event = limit_on_event,
    .cancel = limit_cancel,
    .waiting = limit_waiting,
    .save = limit_save,
    .load = limit_load,
    .loaded = limit_loaded,
    .release = limit_release,
    .awaits = limit_awaits,
};
