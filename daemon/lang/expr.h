#ifndef COROD_LANG_EXPR_H
#define COROD_LANG_EXPR_H
/*
 * Expressions: a JSON value of a job document in which strings may hold `${…}` (language.md,
 * "Values and expressions"), and JsonLogic (jsonlogic.com) under {"expr": …}, `if` and `while`.
 * Compiled once.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/lang/value.h"

struct expr;

/* Where names are looked up while evaluating: a borrowed value, or NULL when the name is bound
 * nowhere. Names are the program's atoms (program.h). */
struct names {
    struct value *(*lookup)(void *arg, uint32_t atom);
    void *arg;
};

/*
 * The value, a new reference; or NULL with *error, an exception value (new reference): NameError,
 * KeyError, IndexError, TypeError, ValueError (too large or too deep).
 */
struct value *expr_eval(const struct expr *e, const struct names *names, struct value **error);
/* The value when it holds no `${…}` and no logic (borrowed), else NULL: for checks at submit. e may
 * be NULL. */
struct value *expr_literal(const struct expr *e);
/* JsonLogic's truth: false, null, 0, "", [] are false. */
bool value_truthy(const struct value *v);
void expr_free(struct expr *e);

#endif
