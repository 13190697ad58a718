#ifndef COROD_LANG_LOGIC_H
#define COROD_LANG_LOGIC_H
/* Shared by the two compilers: JSON with ${…}, and JsonLogic. */
#include "daemon/lang/expr_tree.h"
#include "daemon/lang/parser.h"

/* Takes the value over; NULL is complained about as too large or too deep. */
struct expr *expr_of_value(struct parser *p, struct value *v);
struct expr *expr_of_string(struct parser *p, const char *s, size_t len);
/* The path in "...${path}", NULL when it is something else. */
struct expr *expr_of_splice(struct parser *p, const json_t *json);
struct expr *expr_splice(struct parser *p, struct expr *path); /* takes the path over */
struct expr *expr_of_list(struct parser *p, const json_t *json,
                          struct expr *(*parse)(struct parser *, const json_t *));

/* The operators that evaluate their arguments themselves. */
struct value *logic_var(struct eval *ev, const struct expr *e);
struct value *logic_missing(struct eval *ev, const struct expr *e);
struct value *logic_missing_some(struct eval *ev, const struct expr *e);
struct value *logic_if(struct eval *ev, const struct expr *e);
struct value *logic_and(struct eval *ev, const struct expr *e);
struct value *logic_or(struct eval *ev, const struct expr *e);
struct value *logic_map(struct eval *ev, const struct expr *e);
struct value *logic_filter(struct eval *ev, const struct expr *e);
struct value *logic_reduce(struct eval *ev, const struct expr *e);
struct value *logic_all(struct eval *ev, const struct expr *e);
struct value *logic_none(struct eval *ev, const struct expr *e);
struct value *logic_some(struct eval *ev, const struct expr *e);

/* JavaScript's conversions (ECMA-262, 7.1 and 7.2). NULL is `undefined`. */
double js_number(const struct value *v);      /* ToNumber; NaN */
double js_parse_float(const struct value *v); /* parseFloat; NaN */
void js_text(struct buf *out, const struct value *v);
bool js_loose_equal(const struct value *a, const struct value *b);
bool js_strict_equal(const struct value *a, const struct value *b);
/* a < b, or a ≤ b. */
bool js_less(const struct value *a, const struct value *b, bool or_equal);

#endif
