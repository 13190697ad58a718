/* A task as a value: its handle. */
#include "daemon/task/job.h"
#include "proto/mem.h"

static struct value *get_done(struct task *t, struct value **error)
{
    (void)error;
    return value_bool(task_is_done(t));
}

static struct value *get_cancelled(struct task *t, struct value **error)
{
    (void)error;
    return value_bool(t->outcome == OUTCOME_CANCELLED);
}

static struct value *get_exception(struct task *t, struct value **error)
{
    if (!task_is_done(t)) {
        *error = error_new("InvalidStateError", "Exception is not set.");
        return NULL;
    }
    if (t->outcome == OUTCOME_CANCELLED) {
        *error = value_ref(t->value);
        return NULL;
    }
    task_retrieved(t);
    return t->outcome == OUTCOME_ERROR ? value_ref(t->value) : value_null();
}

static struct value *get_name(struct task *t, struct value **error)
{
    (void)error;
    struct buf text = {0};
    task_put_name(t, &text);
    struct value *v = value_string(buf_cstr(&text), text.len);
    buf_release(&text);
    return v;
}

static struct value *get_state(struct task *t, struct value **error)
{
    (void)error;
    return value_text(task_state_name(task_state_of(t)));
}

static const struct {
    const char *name;
    struct value *(*get)(struct task *t, struct value **error);
} attributes[] = {
    {"done", get_done},           {"cancelled", get_cancelled}, {"result", task_result},
    {"exception", get_exception}, {"name", get_name},           {"state", get_state},
};

static struct value *handle_attribute(void *object, const char *name, struct value **error)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (strcmp(attributes[i].name, name) == 0)
            return attributes[i].get(object, error);
    *error = error_new("TypeError", "a task has no attribute '%s'", name);
    return NULL;
}

static void handle_text(void *object, struct buf *out)
{
    buf_addstr(out, "<task ");
    task_put_name(object, out);
    buf_addch(out, '>');
}

static void handle_release(void *object)
{
    task_unref(object);
}

static const struct handle_class task_class = {"task", handle_attribute, handle_text,
                                               handle_release};

struct value *task_value(struct task *t)
{
    return value_handle(&task_class, task_ref(t), t->id);
}

struct task *task_of(const struct value *v)
{
    return value_handle_class(v) == &task_class ? value_handle_object(v) : NULL;
}
