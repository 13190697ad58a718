#ifndef COROD_TASK_CORO_H
#define COROD_TASK_CORO_H
/*
 * Coroutine objects: what `call` makes. A handle's value while it waits to be run; who runs it
 * takes its arguments out.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/program.h"
#include "daemon/lang/value.h"
#include "proto/buf.h"

struct job;
struct job_loader;
struct task;
struct scope;

struct coro {
    uint32_t refs, id;
    struct job *job;    /* NULL: the job is gone */
    struct task *maker; /* while the coroutine that made it runs; not counted */
    const struct call_node *node;
    struct value **args;         /* by parameter; NULL once started */
    struct value *name;          /* of the task it becomes, or NULL */
    bool started, taken, warned; /* taken: a task will start it when its turn comes */
    uint32_t mark;               /* the gather that took it last, and … */
    uint32_t place;              /* … its place there */
};

/* Those a coroutine made and nobody started yet. */
struct coro_list {
    struct coro **all;
    size_t n, cap;
};

/* Evaluates the arguments in the task's variables. NULL: *error (a new reference) says why. */
struct coro *coro_new(struct task *maker, const struct call_node *node, struct value **error);
void coro_unref(struct coro *c);
/* A new handle value. */
struct value *coro_value(struct coro *c);
/* The coroutine behind a handle, or NULL. */
struct coro *coro_of(const struct value *v);
/* Puts what runs it on the task's stack: the next step does. False: it was started before; *error.
 */
bool coro_enter(struct task *t, struct coro *c, struct value **error);
/* As Python's close() of a coroutine that was not started: it never will be. */
void coro_close(struct coro *c);
/* Starts the body of the call whose wrappers are on the stack. */
void coro_enter_body(struct task *t);

/* Takes over the reference. */
void coro_list_add(struct coro_list *l, struct coro *c);
/* Forgets those that were started. */
void coro_list_sweep(struct coro_list *l);
void coro_list_release(struct coro_list *l);
/* The coroutine that made these has ended with `left`: warns of each, or hands it to the job. */
void coro_list_settle(struct coro_list *l, struct job *job, const struct value *left);
/* The job is over. */
void coro_list_warn(struct coro_list *l, struct job *job);
void coro_list_save(const struct coro_list *l, struct buf *out);
bool coro_list_load(struct coro_list *l, struct job_loader *from, struct reader *r);

void coro_save(const struct coro *c, struct buf *out);
/* A new reference; NULL: damaged. */
struct coro *coro_load(struct job_loader *l, struct reader *r);

/* The id that its handle is saved with: its number and the node that made it. */
uint64_t coro_handle_id(const struct coro *c);

#endif
