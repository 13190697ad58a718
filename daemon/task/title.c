/* What a task is called. */
#include "daemon/task/job.h"
#include "proto/mem.h"

void task_put_name(const struct task *t, struct buf *out)
{
    const struct task_extra *x = task_extra(t);
    if (x->name)
        buf_addstr(out, x->name);
    else
        buf_printf(out, "Task-%u", t->id);
}

/* The first node inside that does something. */
static const struct node *first_node(const struct node *n)
{
    while (n) {
        n = node_inner(n);
        if (!n || n->verb != runtime_kinds()->block)
            break;
        const struct block *b = (const struct block *)(const void *)n;
        if (b->n == 0)
            break;
        n = b->children[0];
    }
    return n;
}

void node_put_title(const struct job *job, const struct node *n, struct buf *out)
{
    (void)job;
    n = n ? first_node(n) : NULL;
    if (!n) {
        buf_addstr(out, "coroutine");
    } else if (n->verb == runtime_kinds()->call) {
        buf_addstr(out, ((const struct call_node *)(const void *)n)->function->name);
    } else if (n->verb == runtime_kinds()->block) {
        buf_addstr(out, "nothing");
    } else {
        buf_addstr(out, n->verb->name);
    }
}

void task_put_title(const struct task *t, struct buf *out)
{
    const struct task_extra *x = task_extra(t);
    if (x->name)
        buf_addstr(out, x->name);
    else if (t == t->job->main)
        buf_addstr(out, "main");
    else if (x->title && (!t->root || t->root->verb != runtime_kinds()->call))
        buf_addstr(out, x->title);
    else
        node_put_title(t->job, t->root, out);
}
