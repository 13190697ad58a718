/* What makes an object: `queue`, `lock`, `semaphore` and so on. Its value is the handle. */
#include <string.h>

#include "daemon/task/job.h"
#include "daemon/task/object.h"

struct made {
    struct expr *number; /* maxsize, value, parties; NULL: not given */
    struct expr *name;   /* NULL: it is the job's own */
};
struct make_node {
    struct node node;
    struct made made;
};

/* ---- keys ---- */

static void number_parse(struct parser *p, const json_t *json, int64_t least, void *out)
{
    struct expr *e = parser_expr(p, json);
    *(struct expr **)out = e;
    const struct value *v = expr_literal(e);
    if (!v || value_type(v) == VALUE_NULL)
        return;
    if (value_type(v) != VALUE_INT)
        parser_complain(p, NULL, "a whole number is needed here");
    else if (value_get_int(v) < least)
        parser_complain(p, NULL, "a number from %d is needed here", (int)least);
}

static void maxsize_parse(struct parser *p, const json_t *json, void *out)
{
    number_parse(p, json, INT32_MIN, out);
}

static void value_parse_field(struct parser *p, const json_t *json, void *out)
{
    number_parse(p, json, 0, out);
}

static void parties_parse(struct parser *p, const json_t *json, void *out)
{
    number_parse(p, json, 1, out);
}

static void number_release(void *out)
{
    expr_free(*(struct expr **)out);
}

static bool is_name(const struct value *v)
{
    size_t len;
    const char *s = value_get_string(v, &len);
    return value_type(v) == VALUE_STRING && len > 0 && len <= NAME_MAX_BYTES && strlen(s) == len;
}

static void name_parse(struct parser *p, const json_t *json, void *out)
{
    struct expr *e = parser_expr(p, json);
    *(struct expr **)out = e;
    const struct value *v = expr_literal(e);
    if (v && !is_name(v))
        parser_complain(p, NULL, "a name is text of 1 to %d bytes", (int)NAME_MAX_BYTES);
}

static void made_release(void *out)
{
    struct made *m = out;
    expr_free(m->number);
    expr_free(m->name);
}

static const struct field_type maxsize_type = {maxsize_parse, number_release, "a whole number"};
static const struct field_type value_type_ = {value_parse_field, number_release, "a whole number"};
static const struct field_type parties_type = {parties_parse, number_release, "a whole number"};
static const struct field_type name_type = {name_parse, number_release, "a name"};

#define SHARED                                                                                     \
    {                                                                                              \
        "name", &name_type, offsetof(struct made, name), false, NULL                               \
    }
static const struct field queue_rows[] = {
    {"maxsize", &maxsize_type, 0, false, NULL}, SHARED, {NULL}};
static const struct field lock_rows[] = {SHARED, {NULL}};
static const struct field semaphore_rows[] = {
    {"value", &value_type_, 0, false, NULL}, SHARED, {NULL}};
static const struct field barrier_rows[] = {
    {"parties", &parties_type, 0, true, NULL}, SHARED, {NULL}};
#undef SHARED

static bool is_options(const json_t *json)
{
    return json_is_object(json) && !json_object_get(json, "expr");
}

static void queue_parse(struct parser *p, const json_t *json, void *out)
{
    if (!json_is_null(json))
        parser_fields(p, "a queue", queue_rows, json, out);
}

static void lock_parse(struct parser *p, const json_t *json, void *out)
{
    if (!json_is_null(json))
        parser_fields(p, "it", lock_rows, json, out);
}

static void semaphore_parse(struct parser *p, const json_t *json, void *out)
{
    if (is_options(json))
        parser_fields(p, "a semaphore", semaphore_rows, json, out);
    else
        value_parse_field(p, json, out);
}

static void barrier_parse(struct parser *p, const json_t *json, void *out)
{
    if (is_options(json))
        parser_fields(p, "a barrier", barrier_rows, json, out);
    else if (json_is_null(json))
        parser_complain(p, NULL, "a barrier needs the number of its parties");
    else
        parties_parse(p, json, out);
}

static const struct field_type field_queue = {queue_parse, made_release, "{maxsize} or {}"};
static const struct field_type field_lock = {lock_parse, made_release, "{}"};
static const struct field_type field_semaphore = {semaphore_parse, made_release, "a number"};
static const struct field_type field_barrier = {barrier_parse, made_release, "a number"};

/* ---- making ---- */

static bool eval_whole(struct task *t, const struct expr *e, const char *what, int64_t absent,
                       int64_t *ret, struct value **error)
{
    *ret = absent;
    cleanup_value struct value *v = e ? task_try_eval(t, e, error) : value_null();
    if (!v)
        return false;
    if (value_type(v) == VALUE_INT)
        *ret = value_get_int(v);
    else if (value_type(v) != VALUE_NULL)
        *error = error_new("TypeError", "the %s must be a whole number, not %s", what,
                           value_type_name(v));
    return value_type(v) == VALUE_INT || value_type(v) == VALUE_NULL;
}

static bool check(enum object_type type, int64_t n, struct value **error)
{
    if ((type == OBJECT_SEMAPHORE || type == OBJECT_BOUNDED_SEMAPHORE) && n < 0)
        *error = error_new("ValueError", "Semaphore initial value must be >= 0");
    else if (type == OBJECT_BARRIER && n < 1)
        *error = error_new("ValueError", "parties must be > 0");
    else if (type == OBJECT_BARRIER && n > JOB_MAX_TASKS)
        *error = error_new("ValueError", "parties must be at most %d", (int)JOB_MAX_TASKS);
    else
        return true;
    return false;
}

static const char *number_name(enum object_type type)
{
    switch (type) {
    case OBJECT_SEMAPHORE:
    case OBJECT_BOUNDED_SEMAPHORE:
        return "value of a semaphore";
    case OBJECT_BARRIER:
        return "parties of a barrier";
    default:
        return "maxsize of a queue";
    }
}

static struct object *make_named(const struct task *t, const struct expr *e,
                                 const struct named_wish *wish, struct value **error)
{
    cleanup_value struct value *name = task_try_eval(t, e, error);
    if (!name)
        return NULL;
    if (!is_name(name)) {
        *error = value_type(name) != VALUE_STRING
                     ? error_new("TypeError", "the name of an object must be a string, not %s",
                                 value_type_name(name))
                     : error_new("ValueError", "the name of an object has 1 to %d bytes, none 0",
                                 (int)NAME_MAX_BYTES);
        return NULL;
    }
    return named_use(t->job->rt, t->job->owner, value_get_string(name, NULL), wish, error);
}

static struct object *make_own(struct job *job, const struct named_wish *wish, struct value **error)
{
    struct object *o = object_new(&job->objects, &job->use, wish->type, error);
    if (!o)
        return NULL;
    o->limit = wish->number;
    o->value = object_is(o, IS_ANY_SEMAPHORE) ? wish->number : 0;
    return o;
}

static void make(struct task *t, const struct act *act, enum object_type type)
{
    const struct made *m = &((const struct make_node *)(const void *)act->node)->made;
    struct value *error = NULL;
    bool semaphore = type == OBJECT_SEMAPHORE || type == OBJECT_BOUNDED_SEMAPHORE;
    struct named_wish wish = {.type = type, .has_number = m->number != NULL};
    struct object *o = NULL;
    if (eval_whole(t, m->number, number_name(type), semaphore ? 1 : 0, &wish.number, &error) &&
        check(type, wish.number, &error))
        o = m->name ? make_named(t, m->name, &wish, &error) : make_own(t->job, &wish, &error);
    if (!o) {
        task_raise(t, error);
        return;
    }
    struct value *v = object_value(o);
    object_unref(o);
    task_done(t, DONE_NORMAL, v);
}

#define MAKE(NAME, name_, field_, help_)                                                           \
    static void name_##_start(struct task *t, struct act *a)                                       \
    {                                                                                              \
        make(t, a, OBJECT_##NAME);                                                                 \
    }                                                                                              \
    static const struct field name_##_fields[] = {                                                 \
        {#name_, &(field_), offsetof(struct make_node, made), true, help_},                        \
        {NULL},                                                                                    \
    };                                                                                             \
    const struct node_kind node_##name_ = {                                                        \
        .verb = {.name = #name_, .fields = name_##_fields, .size = sizeof(struct make_node)},      \
        .act_size = sizeof(struct act),                                                            \
        .start = name_##_start,                                                                    \
    }

MAKE(QUEUE, queue, field_queue,
     "{maxsize}: as many items at once; without it any number. {name}: "
     "shared by all jobs of the owner.");
MAKE(LIFO_QUEUE, lifo_queue, field_queue, "The same; the newest item comes first.");
MAKE(PRIORITY_QUEUE, priority_queue, field_queue, "The same; the lowest item comes first.");
MAKE(LOCK, lock, field_lock, "{}.");
MAKE(SEMAPHORE, semaphore, field_semaphore, "How many may hold it at once.");
MAKE(BOUNDED_SEMAPHORE, bounded_semaphore, field_semaphore,
     "The same; more releases than acquires are an error.");
MAKE(EVENT, event, field_lock, "{}.");
MAKE(CONDITION, condition, field_lock, "{}.");
MAKE(BARRIER, barrier, field_barrier, "How many must come before all go on.");
