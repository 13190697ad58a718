#ifndef COROD_LANG_EXPR_TREE_H
#define COROD_LANG_EXPR_TREE_H
/* Inside the expressions: the compiled tree and the state of one evaluation. */
#include "daemon/lang/atoms.h"
#include "daemon/lang/expr.h"

enum expr_kind {
    EXPR_LITERAL,
    EXPR_PATH,   /* ${a.b[0]} */
    EXPR_TEXT,   /* args: parts that become one string */
    EXPR_LIST,   /* args: items, some may be EXPR_SPLICE */
    EXPR_SPLICE, /* args[0]: the path of "...${list}" */
    EXPR_OBJECT, /* keys, args */
    EXPR_LOGIC,  /* op, args */
};

/* One .key, ["key"] (key set) or [index] of a path. */
struct step {
    struct value *key;
    int64_t index;
};

struct expr {
    enum expr_kind kind;
    uint32_t atom; /* of EXPR_PATH */
    size_t n;      /* of args, keys or steps */
    union {
        struct value *literal;
        struct step *steps;
        struct expr **args;
    };
    struct value **keys;
    const struct logic_op *op;
    const struct atoms *atoms; /* of EXPR_PATH and EXPR_LOGIC: the program's names */
};

struct eval {
    const struct names *names;
    struct value *data; /* what `var` looks into; NULL: the variables themselves */
    struct value *error;
    unsigned steps; /* made so far */
};

struct logic_op {
    const char *name;
    /* One of them is set: evaluates its arguments itself, or gets them evaluated. */
    struct value *(*lazy)(struct eval *ev, const struct expr *e);
    struct value *(*eager)(struct eval *ev, struct value *const *args, size_t n);
};
/* Ends with a NULL name. */
extern const struct logic_op logic_ops[];

/* A new reference, or NULL with ev->error. */
struct value *eval_expr(struct eval *ev, const struct expr *e);
/* The same, with `data` for `var`: what JsonLogic calls applying a rule to data. */
struct value *expr_apply(const struct expr *e, const struct names *names, struct value *data,
                         struct value **error);
/* Takes the error over; returns NULL. */
struct value *eval_fail(struct eval *ev, struct value *error);
/* Counts work that is more than one step; false: too much of it, ev->error is set. */
bool eval_charge(struct eval *ev, size_t steps);
/* Passes a list or an object on, or NULL with a ValueError when its maker refused it as too large
 * or too deep. */
struct value *eval_limit(struct eval *ev, struct value *v);
/* The evaluated arguments, for value_unref() of each and free(); NULL with ev->error. Lists are
 * spliced. */
struct value **eval_all(struct eval *ev, struct expr *const *args, size_t n, size_t *ret_n);

#endif
