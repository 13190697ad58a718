#ifndef COROD_TASK_OBJECT_ACT_H
#define COROD_TASK_OBJECT_ACT_H
/*
 * What the verbs of objects share: an activation that may wait at one. act.phase is 0, or the list
 * in which it waits + 1.
 */
#include "daemon/task/job.h"
#include "daemon/task/object.h"

struct object_act {
    struct act act; /* count: the place in a barrier */
    struct object *object;
    struct value *value;  /* an item to be put; an error to be raised when the lock is held again */
    struct waiter waiter; /* phase > 0 */
    uint8_t relock;       /* a condition's lock is taken again */
    uint8_t part;         /* enum object_part */
};
enum object_part { PART_NONE, PART_ENTER, PART_BLOCK, PART_WAIT, PART_BODY };

enum progress { PROGRESS_DONE, PROGRESS_WAITS, PROGRESS_FAILED };

/* Starts to wait in that list. */
void object_suspend(struct task *t, struct object_act *a, enum object_list list);
/* on_event(): out of the list. True: it was woken, not cancelled before. */
bool object_awake(struct task *t, struct object_act *a);

/* What may wait comes in pairs: begin, and what on_event() goes on with (how, error; takes over
 * error). FAILED: *error is to be raised. */
enum progress acquire_begin(struct task *t, struct object_act *a);
enum progress acquire_go_on(struct task *t, struct object_act *a, enum completion how,
                            struct value **error);
enum progress condition_begin(struct task *t, struct object_act *a, struct value **error);
enum progress condition_go_on(struct task *t, struct object_act *a, enum completion how,
                              struct value **error);
/* The task's place is act.count. */
enum progress barrier_begin(struct task *t, struct object_act *a, struct value **error);
enum progress barrier_go_on(struct task *t, struct object_act *a, enum completion how,
                            struct value **error);

/* asyncio's Queue.get() for whoever waits with w: an activation, or a `for`. */
enum progress get_begin(struct task *t, struct object *q, struct waiter *w, struct value **item,
                        struct value **error);
enum progress get_go_on(struct task *t, struct object *q, struct waiter *w, enum completion how,
                        struct value **item, struct value **error);

/*
 * `wait: x` of an event, a condition or a barrier: takes the place of the activation on top, whose
 * node is n, under a timeout unless seconds is NULL. False: x is no such object; *error.
 */
bool object_wait(struct task *t, const struct node *n, const struct value *x, const double *seconds,
                 struct value **error);

/* For verbs: the object that e gives; NULL: the error was raised. Borrowed from *v, a new reference
 * of the caller's. */
struct object *object_eval(struct task *t, const struct expr *e, unsigned types, const char *verb,
                           const char *what, struct value **v);

extern const struct field_type field_object;

/* Of kinds whose activation is a struct object_act. */
bool object_act_cancel(struct task *t, struct act *act);
bool object_act_waiting(const struct act *act);
void object_act_release(struct task *t, struct act *act);
void object_act_save(const struct task *t, const struct act *act, struct buf *out);
/* types: what its object may be. */
bool object_act_load(struct act *act, unsigned types, struct job_loader *l, struct reader *r);
void object_act_loaded(struct task *t, struct act *act);
void object_act_awaits(const struct task *t, const struct act *act, struct buf *out);

#define OBJECT_ACT(load_)                                                                          \
    .act_size = sizeof(struct object_act), .cancel = object_act_cancel,                            \
    .waiting = object_act_waiting, .save = object_act_save, .load = (load_),                       \
    .loaded = object_act_loaded, .release = object_act_release, .awaits = object_act_awaits

/* load() of what waits in that list of a queue; of what waits at another object. */
bool queue_act_load(struct act *act, enum object_list list, struct job_loader *l, struct reader *r);
bool lock_act_load(struct act *act, unsigned types, struct job_loader *l, struct reader *r);

#endif
