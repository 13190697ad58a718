#ifndef COROD_TASK_STAR_H
#define COROD_TASK_STAR_H
/* `except*` of a `try` (star.c). */
#include "daemon/task/task.h"

struct try_node {
    struct node node;
    struct node *body;
    struct handlers except, star;
    struct node *otherwise, *finally;
};

/* Runs the handlers of the `try` n, whose body has raised the error (taken over): an activation
 * above that of the `try`, which ends with what is left to be raised, or well. */
void star_begin(struct task *t, const struct node *n, struct value *error);
/* The part that its handler has; borrowed; NULL: it is no such activation. */
struct value *star_handled(const struct act *a);
/* The handler raises its part again, as `raise: null` does. */
void star_raise_again(struct act *a);

extern const struct node_kind kind_star;

#endif
