#ifndef COROD_TASK_PARTS_H
#define COROD_TASK_PARTS_H
/* The items of gather, task_group and race: what is to become tasks. */
#include "daemon/task/task.h"

/* An item, evaluated. */
struct part {
    const struct node *branch;
    struct scope *own;   /* the branch's */
    struct value *name;  /* the branch's */
    struct coro *coro;   /* of a call in the document */
    struct value *given; /* a handle */
};
struct parts {
    struct part *all;
    size_t n, cap;
};

/* All items, or the comprehension. False: *error. */
bool parts_collect(struct task *t, const struct items *items, struct parts *parts,
                   struct value **error);
/* One of the list; with a splice these are several. */
bool parts_add_item(struct task *t, const struct item *item, struct parts *parts,
                    struct value **error);
/* One of a comprehension, for that value (taken over). */
bool parts_add_turn(struct task *t, const struct items *items, struct value *v, struct parts *parts,
                    struct value **error);
/* A task for a branch or a call; not for what is given. */
struct task *part_spawn(struct task *t, struct part *p, struct sem *sem);
/* The same for one whose value is known (taken over): it ends with that in its first step. */
struct task *part_spawn_given(struct task *t, struct part *p, struct value *value);
void parts_clear(struct parts *p);
void parts_release(struct parts *p);

#endif
