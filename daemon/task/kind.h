#ifndef COROD_TASK_KIND_H
#define COROD_TASK_KIND_H
/*
 * Node kinds: what each verb does. A verb is one file that defines `const struct node_kind
 * node_NAME`, and one line in node.def.
 *
 * A task runs its nodes on an explicit stack of activations. The functions of a kind never call
 * each other: each ends with exactly one of task_child(), task_done(), task_raise(), task_yield()
 * or task_suspend() (task.h), and the loop in step.c goes on from there. So a stack of any depth
 * can be stopped between two activations, saved and loaded.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/program.h"
#include "daemon/lang/value.h"
#include "proto/buf.h"

struct task;
struct scope;
struct timer;
struct coro_list;
struct job_loader;
struct node_kind;

/* How a node ends. */
enum completion { DONE_NORMAL, DONE_RAISE, DONE_RETURN, DONE_BREAK, DONE_CONTINUE };

/* What an activation is of: its node's kind, or one that stands for no node itself. */
enum act_role { ACT_NODE, ACT_FRAME, ACT_CALL, ACT_LIMIT, ACT_WAIT, ACT_STAR, ACT_TIMEOUT };

/* One activation: the head of a kind's own struct. It moves when the stack grows. */
struct act {
    const struct node *node; /* NULL in some roles */
    uint32_t count;          /* the kind's own; saved with the head */
    uint8_t phase;           /* the same */
    uint8_t role;
    uint8_t words; /* it takes, of 8 bytes, with this head */
    uint8_t below; /* those of the activation below, 0 at the bottom */
};

struct node_kind {
    struct verb verb; /* first: a struct node's verb leads to its kind */
    uint8_t act_size;
    bool leaf; /* a command: its timeout counts from its launch */
    /* The activation is there, zeroed but for its head. */
    void (*start)(struct task *t, struct act *a);
    /* The child that task_child() started is over; v is the kind's. NULL: this one is over too, in
     * the same way. */
    void (*on_child)(struct task *t, struct act *a, enum completion how, struct value *v);
    /* What it waited for has come: DONE_NORMAL or DONE_RAISE (v: an error, the kind's). NULL: it is
     * over in the same way. */
    void (*on_event)(struct task *t, struct act *a, enum completion how, struct value *v);
    /* What it waits for (WAIT_OWN, still pending) is to be cancelled. True: it is, the task wakes
     * with CancelledError; false: that takes its time, wait_settle() tells. Only kinds that wait
     * with WAIT_OWN have it. */
    bool (*cancel)(struct task *t, struct act *a);
    /* It waits with WAIT_OWN or WAIT_YIELD: nothing may stand above it. NULL: never. */
    bool (*waiting)(const struct act *a);
    /* Its own state behind the head. NULL: there is none. load() gets a zeroed one and refuses what
     * it could not have saved. */
    void (*save)(const struct task *t, const struct act *a, struct buf *out);
    bool (*load)(struct task *t, struct act *a, struct job_loader *l, struct reader *r);
    /* All rows are loaded: it takes its place among others. NULL: nothing to do. */
    void (*loaded)(struct task *t, struct act *a);
    /* Frees what the activation holds. NULL: nothing. */
    void (*release)(struct task *t, struct act *a);
    /* What it waits for, for people. NULL: nothing to say. */
    void (*awaits)(const struct task *t, const struct act *a, struct buf *out);
};

#define NODE(name)       extern const struct node_kind node_##name;
#define NODE_INNER(name) NODE(name)
#include "daemon/task/node.def"
#undef NODE
#undef NODE_INNER

/* Of the other roles. */
extern const struct node_kind *const act_roles[];
extern const struct node_kind kind_frame; /* a coroutine: its variables */
extern const struct node_kind kind_call;  /* around the frame of a call with timeout or retry */
extern const struct node_kind kind_limit; /* a child of a gather with a limit */
extern const struct node_kind kind_wait;  /* `wait` of an object */

/* Puts a frame on the stack; takes over the scope. NULL: too deep. */
struct act *frame_push(struct task *t, struct scope *s);
/* Where what the coroutine on top makes is listed; NULL without a frame. */
struct coro_list *frame_made(struct task *t);
/* The task's coroutines will not go on: warns of what they made and nobody started, the inner one's
 * first. */
void frames_settle(struct task *t);
/* The error that a `try` handles just now; borrowed, NULL: none. */
struct value *try_handled(const struct act *a);
/* A timeout on the stack whose child is pushed next; n: whose place it is. False: too deep. */
bool timeout_push(struct task *t, const struct node *n, double seconds);
/* The timer of a `timeout` has come: the one in its activation. */
void timeout_expired(struct task *t, struct timer *x);
/* When the sleep is over; 0: that is not its activation, or it is over. */
int64_t sleep_until(const struct task *t);
/* The task's command starts now: a `timeout` right around it begins to count. */
void timeout_launched(struct task *t, int64_t now_us);

static inline const struct node_kind *node_kind(const struct node *n)
{
    return (const struct node_kind *)(const void *)n->verb;
}
static inline const struct node_kind *act_kind(const struct act *a)
{
    return a->role == ACT_NODE ? node_kind(a->node) : act_roles[a->role];
}

#endif
