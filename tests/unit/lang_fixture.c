#include "tests/unit/lang_fixture.h"

#include <string.h>

#include "proto/mem.h"
#include "tests/unit/unit.h"

#define ROW(node, name, kind, member, required)                                                    \
    {                                                                                              \
        name, &field_##kind, offsetof(struct node, member), required, NULL                         \
    }
#define VERB(id, n, fields)                                                                        \
    static const struct verb verb_##id = {n, fields, sizeof(struct id##_node), NULL}

static const struct field print_fields[] = {ROW(print_node, "print", expr, value, true), {NULL}};
static const struct field sleep_fields[] = {ROW(sleep_node, "sleep", number, seconds, true),
                                            {NULL}};
static const struct field run_fields[] = {ROW(run_node, "run", argv, argv, true),
                                          ROW(run_node, "env", env, env, false),
                                          ROW(run_node, "cwd", bytes, cwd, false),
                                          ROW(run_node, "check", bool, check, false),
                                          {NULL}};
static const struct field sh_fields[] = {
    ROW(sh_node, "sh", script, script, true), ROW(sh_node, "env", env, env, false), {NULL}};
static const struct field if_fields[] = {ROW(if_node, "if", logic, condition, true),
                                         ROW(if_node, "then", node, then, true),
                                         ROW(if_node, "else", node, otherwise, false),
                                         {NULL}};
static const struct field for_fields[] = {ROW(for_node, "for", name, var, true),
                                          ROW(for_node, "in", source, in, true),
                                          ROW(for_node, "do", node, body, true),
                                          {NULL}};
static const struct field do_fields[] = {ROW(do_node, "do", node, body, true), {NULL}};
static const struct field set_fields[] = {ROW(set_node, "set", bindings, bindings, true), {NULL}};
static const struct field try_fields[] = {ROW(try_node, "try", node, body, true),
                                          ROW(try_node, "except", handlers, handlers, false),
                                          ROW(try_node, "else", node, otherwise, false),
                                          ROW(try_node, "finally", node, finally, false),
                                          {NULL}};
static const struct field gather_fields[] = {
    ROW(gather_node, "gather", items, items, true),
    ROW(gather_node, "limit", number, limit, false),
    ROW(gather_node, "return_exceptions", bool, return_exceptions, false),
    {NULL}};
static const struct field group_fields[] = {
    ROW(gather_node, "task_group", items_named, items, true), {NULL}};
static const struct field await_fields[] = {ROW(await_node, "await", operand, operand, true),
                                            {NULL}};
static const struct field put_fields[] = {
    ROW(put_node, "put", expr, value, true), ROW(put_node, "into", expr, queue, true), {NULL}};
static const struct field wait_fields[] = {ROW(wait_node, "wait", operand, operand, true),
                                           ROW(wait_node, "timeout", number, timeout, false),
                                           {NULL}};
static const struct field call_fields[] = {ROW(call_node, "call", function, function, true),
                                           ROW(call_node, "args", bindings, args, false),
                                           {NULL}};

VERB(print, "print", print_fields);
VERB(sleep, "sleep", sleep_fields);
VERB(run, "run", run_fields);
VERB(sh, "sh", sh_fields);
VERB(if, "if", if_fields);
VERB(for, "for", for_fields);
VERB(do, "do", do_fields);
VERB(set, "set", set_fields);
VERB(try, "try", try_fields);
VERB(gather, "gather", gather_fields);
VERB(await, "await", await_fields);
VERB(put, "put", put_fields);
VERB(wait, "wait", wait_fields);
VERB(call, "call", call_fields);
static const struct verb verb_group = {"task_group", group_fields, sizeof(struct gather_node),
                                       NULL};
static const struct verb verb_block = {"<block>", NULL, sizeof(struct block), NULL};
static const struct verb verb_as = {"<as>", NULL, sizeof(struct as_node), NULL};
static const struct verb verb_timeout = {"<timeout>", NULL, sizeof(struct timeout_node), NULL};
static const struct verb verb_retry = {"<retry>", NULL, sizeof(struct retry_node), NULL};

static const struct verb *const verbs[] = {&verb_print, &verb_sleep,  &verb_run,   &verb_sh,
                                           &verb_if,    &verb_for,    &verb_do,    &verb_set,
                                           &verb_try,   &verb_gather, &verb_group, &verb_await,
                                           &verb_put,   &verb_wait,   &verb_call,  NULL};

static bool is_leaf(const struct verb *v)
{
    return v == &verb_run || v == &verb_sh;
}

const struct program_kinds test_kinds = {verbs,       &verb_block, &verb_as, &verb_timeout,
                                         &verb_retry, &verb_call,  is_leaf};

static char *mistakes_text(const struct mistakes *m)
{
    struct buf text = {0};
    for (size_t i = 0; i < m->n; i++) {
        const struct mistake *one = &m->all[i];
        buf_printf(&text, "%s%s: %s", i ? "\n" : "", one->pointer, one->message);
        if (one->hint)
            buf_printf(&text, " (%s)", one->hint);
    }
    buf_cstr(&text);
    return buf_steal(&text);
}

struct program *parse_expecting(const char *text, const char *errors, const char *warnings)
{
    struct mistakes e = {0}, w = {0};
    struct program *p = program_parse(text, strlen(text), 200, &test_kinds, &e, &w);
    cleanup_free char *found = mistakes_text(&e), *warned = mistakes_text(&w);
    ck_assert_str_eq(found, errors ? errors : "");
    if (warnings)
        ck_assert_str_eq(warned, warnings);
    ck_assert_int_eq(p == NULL, e.n > 0);
    mistakes_release(&e);
    mistakes_release(&w);
    return p;
}

struct program *parse_good(const char *text)
{
    return parse_expecting(text, NULL, "");
}

struct variables {
    struct program *program;
    struct value *values;
};

static struct value *lookup(void *arg, uint32_t atom)
{
    struct variables *v = arg;
    const char *name = program_atom_name(v->program, atom);
    ck_assert_ptr_nonnull(name);
    return v->values ? value_find(v->values, name) : NULL;
}

char *evaluate(const char *expr, const char *variables)
{
    cleanup_free char *text = xasprintf("{\"print\": %s}", expr);
    struct program *p = parse_expecting(text, NULL, NULL);
    struct print_node *n = (struct print_node *)(void *)program_main(p);
    struct err err;
    struct variables v = {p,
                          variables ? value_parse(variables, strlen(variables), 100, &err) : NULL};
    struct names names = {lookup, &v};
    struct value *error = NULL;
    cleanup_value struct value *result = expr_eval(n->value, &names, &error);
    struct buf out = {0};
    if (result)
        value_write(&out, result, JSON_STYLE_COMPACT);
    else
        buf_printf(&out, "%s: %s", error_type(error), error_message(error));
    value_unref(error);
    value_unref(v.values);
    program_unref(p);
    buf_cstr(&out);
    return buf_steal(&out);
}
