/*
 * Expressions and JsonLogic. The input: an expression as JSON, a NUL, the variables as a JSON
 * object (may be absent). What it gives must be a value that reads back the same.
 */
#include <string.h>

#include "daemon/lang/expr_tree.h"
#include "daemon/lang/program.h"
#include "tests/fuzz/fuzz.h"

/* The only verbs: {"expr": …} and {"logic": …}. */
struct test_node {
    struct node node;
    struct expr *value;
};
static const struct field expr_fields[] = {
    {"value", &field_expr, offsetof(struct test_node, value), true, NULL}, {NULL}};
static const struct field logic_fields[] = {
    {"logic", &field_logic, offsetof(struct test_node, value), true, NULL}, {NULL}};
static const struct verb verb_expr = {"value", expr_fields, sizeof(struct test_node), NULL};
static const struct verb verb_logic = {"logic", logic_fields, sizeof(struct test_node), NULL};
static const struct verb verb_block = {"<block>", NULL, sizeof(struct block), NULL};
static const struct verb verb_as = {"<as>", NULL, sizeof(struct as_node), NULL};
static const struct verb verb_timeout = {"<timeout>", NULL, sizeof(struct timeout_node), NULL};
static const struct verb verb_retry = {"<retry>", NULL, sizeof(struct retry_node), NULL};
static const struct verb verb_call = {"<call>", NULL, sizeof(struct call_node), NULL};
static const struct verb *const verbs[] = {&verb_expr, &verb_logic, NULL};

static bool is_leaf(const struct verb *v)
{
    (void)v;
    return false;
}

static const struct program_kinds kinds = {verbs,       &verb_block, &verb_as, &verb_timeout,
                                           &verb_retry, &verb_call,  is_leaf};

static struct value *lookup(void *arg, uint32_t atom)
{
    return program_input(arg, atom);
}

static void check_result(struct value *result, struct value *error)
{
    struct err err = {0};
    must((result == NULL) == (error != NULL));
    cleanup_value struct value *v = result ? result : error, *again = NULL;
    struct buf out = {0};
    must(value_depth(v) <= VALUE_MAX_DEPTH && value_bytes(v) <= VALUE_MAX_BYTES);
    value_write(&out, v, JSON_STYLE_COMPACT);
    again = value_parse(out.data, out.len, VALUE_MAX_DEPTH, &err);
    must(again && value_equal(v, again));
    must(value_truthy(v) == value_truthy(again));
    buf_clear(&out);
    value_write_text(&out, v);
    buf_release(&out);
}

static void evaluate(struct program *p)
{
    const struct node *main = program_main(p);
    if (main->verb != &verb_expr && main->verb != &verb_logic)
        return;
    const struct expr *e = ((const struct test_node *)(const void *)main)->value;
    struct names names = {lookup, p};
    struct value *error = NULL, *result = expr_eval(e, &names, &error);
    check_result(result, error);
    error = NULL;
    result = expr_apply(e, &names, program_document(p)->input, &error);
    check_result(result, error);
}

static void run(const char *verb, const char *data, size_t len, const char *variables,
                size_t variables_len)
{
    struct mistakes errors = {0}, warnings = {0};
    struct buf text = {0};
    buf_printf(&text, "{\"main\": {\"%s\": ", verb);
    buf_add(&text, data, len);
    buf_addstr(&text, "}, \"input\": ");
    buf_add(&text, variables, variables_len);
    buf_addch(&text, '}');
    struct program *p = program_parse(text.data, text.len, 300, &kinds, &errors, &warnings);
    must((p == NULL) == (errors.n > 0));
    if (p)
        evaluate(p);
    program_unref(p);
    mistakes_release(&errors);
    mistakes_release(&warnings);
    buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *end = size ? memchr(text, 0, size) : NULL;
    size_t len = end ? (size_t)(end - text) : size;
    const char *variables = end && len + 1 < size ? end + 1 : "{}";
    size_t variables_len = end && len + 1 < size ? size - len - 1 : 2;
    run("value", text, len, variables, variables_len);
    run("logic", text, len, variables, variables_len);
    return 0;
}
