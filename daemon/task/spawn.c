#include "daemon/task/job.h"
#include "proto/mem.h"

const struct node *node_inner(const struct node *n)
{
    const struct program_kinds *k = runtime_kinds();
    while (n) {
        const void *p = n;
        if (n->verb == k->as)
            n = ((const struct as_node *)p)->child;
        else if (n->verb == k->timeout)
            n = ((const struct timeout_node *)p)->child;
        else if (n->verb == k->retry)
            n = ((const struct retry_node *)p)->child;
        else
            break;
    }
    return n;
}

bool may_spawn(const struct job *job, size_t n, struct value **error)
{
    /* Of all jobs together: one with many tasks is stopped first. */
    bool small = n <= JOB_FEW_TASKS && job->live + n <= JOB_FEW_TASKS;
    size_t max_live = small ? 2 * job->rt->max_live : job->rt->max_live;
    if (n <= JOB_MAX_TASKS && job->live + n <= JOB_MAX_TASKS) {
        if (job->rt->live + n <= max_live)
            return true;
        *error = error_new("RuntimeError", "too many tasks of all jobs together");
        return false;
    }
    *error = error_new("RuntimeError", "too many tasks: a job may have %d at the same time",
                       (int)JOB_MAX_TASKS);
    return false;
}

/* The first step goes to the limit at the bottom. */
static void begin_limited(struct task *t)
{
    t->op = OP_DELIVER;
    t->how = DONE_NORMAL;
    t->value = value_null();
}

struct task *spawn_branch(struct task *maker, const struct node *n, struct scope *own,
                          struct value *name, struct sem *sem)
{
    struct task *t = task_new(maker->job, maker, n);
    task_set_name(t, name);
    task_touch(t);
    if (sem && limit_push(t, sem, n, own, NULL))
        begin_limited(t);
    else
        task_enter(t, own, n);
    return t;
}

struct task *spawn_coro(struct task *maker, struct coro *c, struct value *name, struct sem *sem)
{
    struct task *t = task_new(maker->job, maker, &c->node->node);
    task_set_name(t, name ? name : c->name);
    task_touch(t);
    struct value *error = NULL;
    if (sem && !c->started && limit_push(t, sem, NULL, NULL, c)) {
        begin_limited(t);
    } else if (!coro_enter(t, c, &error)) {
        t->op = OP_DELIVER;
        t->how = DONE_RAISE;
        t->value = error;
    }
    return t;
}
