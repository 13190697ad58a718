#include "daemon/task/job.h"
#include "proto/mem.h"

static struct value *lookup(void *arg, uint32_t atom)
{
    const struct task *t = arg;
    struct value *v = scope_get(t->scope, atom);
    return v ? v : program_input(t->job->program, atom);
}

static __attribute__((noinline)) struct value *refused(const struct task *t, struct value *v,
                                                       struct value **error)
{
    if (!job_refuse(t->job, &v))
        return v;
    *error = v;
    return NULL;
}

static inline struct value *eval(const struct task *t, const struct expr *e, struct value **error)
{
    struct value *literal = expr_literal(e);
    if (literal)
        return value_ref(literal);
    struct names names = {lookup, (void *)(uintptr_t)t};
    struct value *v = expr_eval(e, &names, error);
    return v && job_is_large(t->job) ? refused(t, v, error) : v;
}

struct value *task_try_eval(const struct task *t, const struct expr *e, struct value **error)
{
    return eval(t, e, error);
}

struct value *task_eval(struct task *t, const struct expr *e)
{
    struct value *error = NULL;
    struct value *v = eval(t, e, &error);
    if (!v)
        task_raise(t, error);
    return v;
}

bool eval_number(const struct task *t, const struct expr *e, const char *what, double absent,
                 double *ret, struct value **error)
{
    if (!e) {
        *ret = absent;
        return true;
    }
    cleanup_value struct value *v = task_try_eval(t, e, error);
    if (!v)
        return false;
    if (value_type(v) == VALUE_NULL) {
        *ret = absent;
        return true;
    }
    if (!value_is_number(v)) {
        *error = error_new("TypeError", "%s must be a number, not %s", what, value_type_name(v));
        return false;
    }
    *ret = value_get_number(v);
    return true;
}

bool eval_bool(const struct task *t, const struct expr *e, const char *what, bool absent, bool *ret,
               struct value **error)
{
    if (!e) {
        *ret = absent;
        return true;
    }
    cleanup_value struct value *v = task_try_eval(t, e, error);
    if (!v)
        return false;
    if (value_type(v) != VALUE_BOOL) {
        *error =
            error_new("TypeError", "%s must be true or false, not %s", what, value_type_name(v));
        return false;
    }
    *ret = value_is_true(v);
    return true;
}

bool task_eval_number(struct task *t, const struct expr *e, const char *what, double absent,
                      double *ret)
{
    struct value *error = NULL;
    if (eval_number(t, e, what, absent, ret, &error))
        return true;
    task_raise(t, error);
    return false;
}

bool task_eval_bool(struct task *t, const struct expr *e, const char *what, bool absent, bool *ret)
{
    struct value *error = NULL;
    if (eval_bool(t, e, what, absent, ret, &error))
        return true;
    task_raise(t, error);
    return false;
}

bool task_eval_name(const struct task *t, const struct node *n, struct value **ret,
                    struct value **error)
{
    struct expr *e = node_name(t->job->program, node_inner(n));
    struct value *v = NULL;
    if (e && !(v = task_try_eval(t, e, error)))
        return false;
    *ret = v;
    return true;
}
