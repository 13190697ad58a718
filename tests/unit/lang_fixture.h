#ifndef COROD_TESTS_LANG_FIXTURE_H
#define COROD_TESTS_LANG_FIXTURE_H
/* A small table of verbs, so that the parser is tested without the runtime. */
#include "daemon/lang/program.h"

struct print_node {
    struct node node;
    struct expr *value;
};
struct sleep_node {
    struct node node;
    struct expr *seconds;
};
struct run_node {
    struct node node;
    struct expr *argv, *env, *cwd, *check;
};
struct sh_node {
    struct node node;
    char *script;
    struct expr *env;
};
struct if_node {
    struct node node;
    struct expr *condition;
    struct node *then, *otherwise;
};
struct for_node {
    struct node node;
    uint32_t var;
    struct source in;
    struct node *body;
};
struct do_node {
    struct node node;
    struct node *body;
};
struct set_node {
    struct node node;
    struct bindings bindings;
};
struct try_node {
    struct node node;
    struct node *body;
    struct handlers handlers;
    struct node *otherwise, *finally;
};
struct gather_node {
    struct node node;
    struct items items;
    struct expr *limit, *return_exceptions;
};
struct await_node {
    struct node node;
    struct operand operand;
};
struct put_node {
    struct node node;
    struct expr *value, *queue;
};
struct wait_node {
    struct node node;
    struct operand operand;
    struct expr *timeout;
};

extern const struct program_kinds test_kinds;

/* The program, or NULL; with `expected` (NULL: no mistake) the mistakes must read like this, one
 * per line: `POINTER: MESSAGE (HINT)`. Warnings likewise. */
struct program *parse_expecting(const char *text, const char *errors, const char *warnings);
/* A program that must parse without mistakes and warnings. */
struct program *parse_good(const char *text);

/* What `print` in a bare `{"print": …}` evaluates to, as compact JSON for free(), or
 * "TYPE: message". variables is JSON, an object, or NULL. */
char *evaluate(const char *expr, const char *variables);

#endif
