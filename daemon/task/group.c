/* asyncio.TaskGroup as of CPython 3.13 (Lib/asyncio/taskgroups.py); what leaves it is in
 * node_task_group.c. */
#include "daemon/task/job.h"
#include "daemon/task/watch.h"
#include "proto/mem.h"

static struct value *group_attribute(void *object, const char *name, struct value **error)
{
    (void)object;
    *error = error_new("TypeError", "a task_group has no attribute '%s'", name);
    return NULL;
}

static void group_text(void *object, struct buf *out)
{
    (void)object;
    buf_addstr(out, "<task_group>");
}

static void group_release(void *object)
{
    watch_unref(object);
}

static const struct handle_class group_class = {"task_group", group_attribute, group_text,
                                                group_release};

struct value *group_value(struct watch *w)
{
    return value_handle(&group_class, watch_ref(w), w->id);
}

struct watch *group_of(const struct value *v)
{
    return value_handle_class(v) == &group_class ? value_handle_object(v) : NULL;
}

bool group_may_create(const struct watch *w, struct value **error)
{
    const char *why = w->kind != WATCH_GROUP || (w->exiting && w->left == 0) ? "finished"
                      : w->aborting                                          ? "shutting down"
                                                                             : NULL;
    if (why)
        *error = error_new("RuntimeError", "TaskGroup <task_group> is %s", why);
    return !why;
}

void group_abort(struct watch *w)
{
    w->aborting = true;
    for (size_t i = 0; i < w->n; i++)
        task_cancel(w->all[i].task);
}

void group_add_error(struct watch *w, struct value *error)
{
    if (w->n_errors == w->cap_errors)
        w->errors = xgrow(w->errors, &w->cap_errors, w->n_errors + 1, sizeof(struct value *));
    w->errors[w->n_errors++] = error;
}

void group_child_done(struct watch *w, struct task *child)
{
    if (child->outcome != OUTCOME_ERROR)
        return;
    task_retrieved(child);
    group_add_error(w, value_ref(child->value));
    if (w->aborting || w->parent_cancelled)
        return;
    group_abort(w);
    w->parent_cancelled = true;
    task_touch(w->owner);
    task_cancel(w->owner);
}
