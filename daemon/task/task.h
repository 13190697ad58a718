#ifndef COROD_TASK_TASK_H
#define COROD_TASK_TASK_H
/*
 * Tasks, as asyncio.Task: a coroutine that runs by itself. What here is named as in asyncio behaves
 * as there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/task/coro.h"
#include "daemon/task/gather.h"
#include "daemon/task/kind.h"
#include "daemon/task/runtime.h"
#include "daemon/task/scope.h"
#include "daemon/task/timer.h"
#include "daemon/task/watch.h"

/* What the loop in step.c does next with the task. */
enum task_op {
    OP_NONE,    /* it waits, or it is over */
    OP_START,   /* start op_node */
    OP_DELIVER, /* give (how, value) to the activation on top; without one the task ends */
};

/* What a task waits for: asyncio's _fut_waiter. */
enum wait_kind {
    WAIT_NONE,
    WAIT_YIELD,  /* its next turn: a bare yield */
    WAIT_OWN,    /* a future of the activation on top: a timer, a command, a semaphore */
    WAIT_TASK,   /* awaited */
    WAIT_GATHER, /* gathered */
};
enum future_state { FUTURE_PENDING, FUTURE_DONE, FUTURE_CANCELLED };

enum outcome { OUTCOME_NONE, OUTCOME_VALUE, OUTCOME_ERROR, OUTCOME_CANCELLED };

enum callback_type { CALLBACK_WAKE = 1, CALLBACK_GATHER, CALLBACK_STOP, CALLBACK_WATCH };
struct callback {
    void *object; /* the struct task that awaits; a struct gather or watch, counted; NULL */
    uint32_t type;
};
/* None (0), one, with its type in the lower bits of the pointer, or a list of them. */
struct callbacks {
    uintptr_t bits;
};

/* There may be millions that sleep: what most tasks never have is in `extra`, and the stack of most
 * is inside. */
struct task {
    struct job *job; /* NULL: the job is gone */
    struct task *prev, *next;
    uint32_t id, parent;
    uint32_t refs; /* who may still ask for its outcome; one more until it ends */
    uint32_t mark; /* the gather that took it last */
    uint8_t op, how, wait, future, outcome, ready;
    bool started : 1, must_cancel : 1, unretrieved : 1, dirty : 1, ending : 1, collected : 1,
        on_path : 1, flags_changed : 1;
    uint16_t used, cap; /* of the stack, words */
    uint16_t top;       /* where the top activation begins */
    uint64_t *stack;
    const struct node *root; /* what it runs */
    struct value *value;     /* of OP_DELIVER; at last its outcome */
    union {
        struct {                 /* until it ends */
            struct scope *scope; /* of the frame on top; borrowed */
            union {
                const struct node *op_node; /* OP_START */
                struct task *awaited;       /* WAIT_TASK; counted */
                struct gather *gathered;    /* WAIT_GATHER; counted */
            };
        };
        struct { /* then */
            int64_t finished_us;
            uint32_t charge; /* of the job's values, for an outcome that others have too */
        };
    };
    struct callbacks callbacks;
    uint64_t ready_seq; /* of its handle in the ready queue; then of its first callback's */
    int64_t created_us;
    struct task_extra *extra; /* NULL: nothing of it */
    uint64_t inside[7];
};

struct task_extra {
    char *name;  /* given, or NULL */
    char *title; /* of its first command, or NULL */
    struct kept_scopes *kept;
    uint32_t cancels; /* asyncio's _num_cancels_requested */
};

/* Scopes of coroutines that ended, for branches that still read them. */
struct kept_scopes {
    uint32_t n;
    struct scope *all[];
};

/* ---- life ---- */

/* A task that nothing runs in yet; its first step is in the ready queue. */
struct task *task_new(struct job *job, struct task *parent, const struct node *root);
struct task *task_ref(struct task *t);
/* Frees it when nothing holds it any more. */
void task_release(struct task *t);
void task_unref(struct task *t); /* NULL is allowed */
static inline bool task_is_done(const struct task *t)
{
    return t->outcome != OUTCOME_NONE;
}
const struct task_extra *task_extra(const struct task *t);
struct task_extra *task_make_extra(struct task *t);
/* Its only reference is the task's own until it ends; nothing of it but what its row holds. */
struct task *task_alloc(struct job *job, uint32_t id, uint32_t parent);
/* Its coroutine is over with (how, v); takes over v. */
void task_end(struct task *t, enum completion how, struct value *v);
/* Something that its row holds has changed. */
void task_touch(struct task *t);
/* It runs and waits no more: its stack goes away. */
void task_detach(struct task *t);
/* Nothing of it counts for the job any more. */
void task_leave_job(struct task *t);
/* Its stack, variables and outcome go away, without effects: the job is over. */
void task_clear(struct task *t);
enum task_state task_state_of(const struct task *t);
/* What .result gives: a new reference, or NULL with *error (a new reference). */
struct value *task_result(struct task *t, struct value **error);
/* Somebody has seen its error. */
void task_retrieved(struct task *t);
struct value *task_value(struct task *t);                   /* a new handle value */
struct task *task_of(const struct value *v);                /* the task behind a handle, or NULL */
void task_put_name(const struct task *t, struct buf *out);  /* what .name gives */
void task_put_title(const struct task *t, struct buf *out); /* what it runs, for people */
void task_put_awaits(const struct task *t, struct buf *out);
void node_put_title(const struct job *job, const struct node *n, struct buf *out);

void callbacks_add(struct callbacks *c, struct callback one);
uint32_t callbacks_n(const struct callbacks *c);
struct callback callbacks_get(const struct callbacks *c, uint32_t i);
/* Takes out the one that wakes this task. */
void callbacks_remove(struct callbacks *c, const void *object);
/* Drops all, with their references. */
void callbacks_release(struct callbacks *c);

/* A scope of an ended coroutine: kept when others still read it. Takes over the reference. */
void task_keep_scope(struct task *t, struct scope *s);
/* Without a look at who reads it. */
void task_put_kept(struct task *t, struct scope *s);
void task_sweep_kept(struct task *t);

/* ---- cancelling (cancel.c) ---- */

/* asyncio's Task.cancel(). False when it is done. */
bool task_cancel(struct task *t);
/* In the middle of a step: CancelledError comes now instead of what would. */
void task_interrupt(struct task *t);
/* asyncio's Task.uncancel(): what is left. */
uint32_t task_uncancel(struct task *t);
/* asyncio's `_must_cancel` rule at the end of a step. */
void task_check_cancel(struct task *t);

/* ---- the stack and what a kind's function ends with (step.c) ---- */

static inline struct act *task_top(const struct task *t)
{
    return t->used ? (struct act *)(void *)(t->stack + t->top) : NULL;
}
static inline struct act *act_below(const struct act *a)
{
    return a->below ? (struct act *)(void *)((uint64_t *)(uintptr_t)a - a->below) : NULL;
}
/* NULL when the stack is as deep as it may be. */
struct act *task_push(struct task *t, enum act_role role, const struct node *node);
/* All of it; what its activations hold must be gone. */
void task_drop_stack(struct task *t);
/* Frees the top activation. */
void task_pop(struct task *t);

void task_child(struct task *t, const struct node *child);
void task_done(struct task *t, enum completion how, struct value *v); /* takes over v */
void task_raise(struct task *t, struct value *error); /* takes over; gives it its cause */
/* Waits until a wake-up. For WAIT_TASK and WAIT_GATHER x is what is awaited. */
void task_suspend(struct task *t, enum wait_kind wait, void *x);
void task_yield(struct task *t);
/* Sleeps: a bare yield for ≤ 0. on_event() tells the end; the timer is inside the top activation.
 */
void task_sleep(struct task *t, struct timer *x, double seconds);
/* The future of WAIT_OWN has come or was cancelled: the task wakes in the next tick. */
void wait_settle(struct task *t, enum future_state state);

/* The values of the job are many: whether this one, which the task is to go on or to end with, is
 * let go for an error. */
enum completion task_refuse(struct task *t, enum completion how, struct value **v);

/* Puts a frame with its own variables on the stack and starts body in it; takes over the scope. */
void task_enter(struct task *t, struct scope *s, const struct node *body);

/* Runs until the step is over, or the budget is (false: it goes on later). */
bool task_go(struct task *t, unsigned *budget);
/* A step or wake-up whose turn has come: prepares task_go(). */
void task_resume(struct task *t, bool wake, struct value *error);

/* ---- values ---- */

/* A new reference; NULL: the error was raised, the activation is over. */
struct value *task_eval(struct task *t, const struct expr *e);
/* The same without raising: *error. */
struct value *task_try_eval(const struct task *t, const struct expr *e, struct value **error);
/* A number; false: raised. what is for the message. A NULL expression or null gives `absent`. */
bool task_eval_number(struct task *t, const struct expr *e, const char *what, double absent,
                      double *ret);
bool task_eval_bool(struct task *t, const struct expr *e, const char *what, bool absent, bool *ret);
bool eval_number(const struct task *t, const struct expr *e, const char *what, double absent,
                 double *ret, struct value **error);
bool eval_bool(const struct task *t, const struct expr *e, const char *what, bool absent, bool *ret,
               struct value **error);
/* The error that is being handled where the task stands; borrowed, NULL: none. */
struct value *task_handled(const struct task *t);
/* error with its cause; takes over and gives a new reference. */
struct value *task_in_context(const struct task *t, struct value *error);
/* The name that a node gives to its task: *ret a new reference or NULL; false: *error. */
bool task_eval_name(const struct task *t, const struct node *n, struct value **ret,
                    struct value **error);
void task_set_name(struct task *t, const struct value *name);

/* ---- making tasks (spawn.c) ---- */

/* The node under `as`, `retry` and `timeout`. */
const struct node *node_inner(const struct node *n);
/* A task for a branch: own is its scope (taken over). sem may be NULL. */
struct task *spawn_branch(struct task *maker, const struct node *n, struct scope *own,
                          struct value *name, struct sem *sem);
/* A task for a coroutine; one that was started before makes a task that fails. */
struct task *spawn_coro(struct task *maker, struct coro *c, struct value *name, struct sem *sem);
/* The bottom of a task with a limit (limit.c): takes over own; the branch n, or c. */
bool limit_push(struct task *t, struct sem *sem, const struct node *n, struct scope *own,
                struct coro *c);
const struct scope *limit_scope(const struct act *a);
const struct scope *frame_scope(const struct act *a);
/* False: too many tasks; *error. */
bool may_spawn(const struct job *job, size_t n, struct value **error);

#endif
