/* The frame of a coroutine: its variables, and the coroutines that it made. */
#include "daemon/task/save.h"
#include "proto/mem.h"

struct frame_act {
    struct act act;
    struct scope *scope;
    struct coro_list *made; /* NULL: none */
};

struct act *frame_push(struct task *t, struct scope *s)
{
    struct act *a = task_push(t, ACT_FRAME, NULL);
    if (!a) {
        scope_unref(s);
        return NULL;
    }
    ((struct frame_act *)a)->scope = s;
    t->scope = s;
    return a;
}

const struct scope *frame_scope(const struct act *a)
{
    return ((const struct frame_act *)a)->scope;
}

static struct frame_act *frame_of(const struct task *t)
{
    struct act *a = task_top(t);
    while (a && a->role != ACT_FRAME)
        a = act_below(a);
    return (struct frame_act *)a;
}

struct coro_list *frame_made(struct task *t)
{
    struct frame_act *f = frame_of(t);
    if (!f)
        return NULL;
    if (!f->made)
        f->made = xcalloc(1, sizeof *f->made);
    return f->made;
}

static void settle(struct frame_act *f, struct job *job, const struct value *left)
{
    if (!f->made)
        return;
    coro_list_settle(f->made, job, left);
    free(steal(&f->made));
}

void frames_settle(struct task *t)
{
    for (struct act *a = task_top(t); a; a = act_below(a))
        if (a->role == ACT_FRAME)
            settle((struct frame_act *)a, t->job, NULL);
}

static void on_child(struct task *t, struct act *a, enum completion how, struct value *v)
{
    struct frame_act *f = (struct frame_act *)a;
    if (how == DONE_BREAK || how == DONE_CONTINUE) {
        value_unref(v);
        v = error_new("RuntimeError", how == DONE_BREAK ? "'break' outside loop"
                                                        : "'continue' not properly in loop");
        how = DONE_RAISE;
    }
    if (how == DONE_RETURN)
        how = DONE_NORMAL;
    settle(f, t->job, how == DONE_NORMAL ? v : NULL);
    task_keep_scope(t, steal(&f->scope));
    task_done(t, how, v);
}

static void frame_release(struct task *t, struct act *a)
{
    struct frame_act *f = (struct frame_act *)a;
    struct act *below = act_below(a);
    while (below && below->role != ACT_FRAME)
        below = act_below(below);
    t->scope = below ? ((struct frame_act *)below)->scope : NULL;
    scope_unref(f->scope);
    if (f->made) {
        coro_list_release(f->made);
        free(f->made);
    }
}

static void frame_save(const struct task *t, const struct act *a, struct buf *out)
{
    const struct frame_act *f = (const struct frame_act *)a;
    scope_save(t->job, f->scope, out);
    struct coro_list none = {0};
    coro_list_save(f->made ? f->made : &none, out);
}

static bool frame_load(struct task *t, struct act *a, struct job_loader *l, struct reader *r)
{
    struct frame_act *f = (struct frame_act *)a;
    f->scope = scope_load(l, r);
    if (!f->scope)
        return false;
    t->scope = f->scope;
    struct coro_list made = {0};
    if (!coro_list_load(&made, l, r)) {
        coro_list_release(&made);
        return false;
    }
    if (made.n > 0) {
        f->made = xmemdup(&made, sizeof made);
        for (size_t i = 0; i < made.n; i++)
            made.all[i]->maker = t;
    } else {
        coro_list_release(&made);
    }
    return true;
}

const struct node_kind kind_frame = {
    .verb = {.name = "<frame>"},
    .act_size = sizeof(struct frame_act),
    .on_child = on_child,
    .save = frame_save,
    .load = frame_load,
    .release = frame_release,
};
