#ifndef COROD_TASK_OBJECT_H
#define COROD_TASK_OBJECT_H
/*
 * Queues, locks and the like, as asyncio's of CPython 3.13 (Lib/asyncio/queues.py and locks.py):
 * what here is named as there behaves as there. An object lives as long as a value names it.
 *
 * Its state is a row of its own, and so is each item of a queue; who waits for it says so in his
 * task's row. One with a name belongs to the jobs of an owner together, and lives until it is
 * removed (named.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/value.h"
#include "daemon/task/waiter.h"
#include "proto/buf.h"

struct job;
struct job_loader;
struct task;
struct named;
struct object;
struct queue_item;
struct queue_items;
struct runtime;
struct runtime_sink;

enum {
    JOB_MAX_OBJECTS = 1000000,
    NAMED_MAX_OBJECTS = 10000, /* of an owner */
    /* Of a job; of the queues with a name, of an owner. */
    JOB_MAX_ITEMS = 1000000,
    JOB_MAX_ITEM_BYTES = 256 * 1024 * 1024, /* value_bytes() of all */
};

enum object_type {
#define OBJECT(name, verb) OBJECT_##name,
#include "daemon/task/object.def"
#undef OBJECT
    OBJECT_TYPES
};
enum {
#define OBJECT(name, verb) IS_##name = 1 << OBJECT_##name,
#include "daemon/task/object.def"
#undef OBJECT
    IS_ANY_QUEUE = IS_QUEUE | IS_LIFO_QUEUE | IS_PRIORITY_QUEUE,
    IS_ANY_SEMAPHORE = IS_SEMAPHORE | IS_BOUNDED_SEMAPHORE,
    IS_LOCKABLE = IS_LOCK | IS_ANY_SEMAPHORE | IS_CONDITION,
};

/* Who waits, and where. */
enum object_list {
    LIST_GETTERS = 0, /* of a queue */
    LIST_PUTTERS = 1,
    LIST_JOINERS = 2,
    LIST_LOCK = 0, /* for the lock, the semaphore, the event; a condition and a barrier have a lock
                      inside */
    LIST_NOTIFY = 1, /* of a condition, and of the one inside a barrier */
    OBJECT_LISTS = 3,
};

enum barrier_state { BARRIER_FILLING, BARRIER_DRAINING, BARRIER_RESETTING, BARRIER_BROKEN };

/* Where objects are: in a job, or in the runtime when they have names. */
struct object_home {
    struct job *job;             /* NULL: the runtime */
    uint32_t last_id;            /* never given again */
    struct object *first, *last; /* in order of making */
    struct object **changed;     /* dirty, each kept by its bit */
    size_t n_changed, cap_changed;
    bool rows; /* some were stored */
};

/* What is counted against the limits. */
struct object_use {
    size_t objects, items, item_bytes; /* items: of all its queues */
};

struct object {
    uint32_t refs, id;
    struct object_home *home; /* NULL: the job is gone, or the object was removed */
    struct object_use *use;   /* of a home */
    struct named *named;      /* NULL: it has no name */
    struct object *prev, *next;
    uint8_t type;
    uint8_t state;         /* of a barrier */
    bool flag;             /* locked; set; shut down */
    bool dirty, collected; /* collected: it has a row */
    int64_t limit;         /* maxsize, the bound, parties */
    int64_t value;         /* a semaphore's; unfinished items; tasks in the barrier */
    struct waiters waiters[OBJECT_LISTS];
    struct queue_items *items; /* of a queue */
    struct value *kept;        /* of a VALUE */
};

static inline bool object_is(const struct object *o, unsigned types)
{
    return types & 1u << o->type;
}

/* ---- life (object.c) ---- */

/* A new one, counted once. NULL: too many; *error. */
struct object *object_new(struct object_home *home, struct object_use *use, enum object_type type,
                          struct value **error);
/* One that is nobody's: as what is left of one that was removed. */
struct object *object_stray(enum object_type type, uint32_t id);
struct object *object_ref(struct object *o);
void object_unref(struct object *o); /* NULL is allowed */
/* Something that its row holds has changed. */
void object_touch(struct object *o);
struct value *object_value(struct object *o);       /* a new handle value */
struct object *object_of(const struct value *v);    /* the one behind a handle, or NULL */
const char *object_verb(const struct object *o);    /* "queue" */
const char *object_article(const struct object *o); /* "a" */
/* What rows know it by; above UINT32_MAX for one with a name. */
uint64_t object_number(const struct object *o);
enum object_type object_type_of(const char *verb); /* OBJECT_TYPES: it is none */
void object_put_name(const struct object *o,
                     struct buf *out); /* "queue 3", "queue \"orders\"": for people */
/* The same of one of the types; NULL: *error says that `verb` needs `what`. */
struct object *object_needed(const struct value *v, unsigned types, const char *verb,
                             const char *what, struct value **error);
struct value *object_attribute(void *object, const char *name, struct value **error);
/* Its items go away; without effect on who waits. */
void object_drop_items(struct object *o);
/* Nothing counts it any more, and its row is gone. */
void object_free(struct object *o);
/* The job is over: whatever they hold goes away. */
void objects_release(struct object_home *home);

/* ---- rows (object_save.c) ---- */

void objects_collect(struct object_home *home, const struct runtime_sink *sink, void *arg);
/* As its row says; false: damaged. What is behind it in the row is left in *r. */
bool object_state_load(struct object *o, struct reader *r);
/* By id, of one of the types; a new reference. NULL: there is no such one. */
struct object *load_object(struct job_loader *l, uint64_t id, unsigned types);
/* The same as a handle's value, of the type of that verb; one that went since is empty. */
struct value *load_object_value(struct job_loader *l, const char *kind, uint64_t id);
bool load_objects(struct job_loader *l);
bool load_items(struct job_loader *l);

/* ---- queues (queue.c) ---- */

bool queue_is_empty(const struct object *q);
bool queue_is_full(const struct object *q);
size_t queue_size(const struct object *q);
/* False, NULL: *error. */
bool queue_put_nowait(struct object *q, struct value *item, struct value **error);
struct value *queue_get_nowait(struct object *q, struct value **error);
/* The same in two steps: it is out of the queue, and then for good, or back in its place. */
struct queue_item *queue_borrow(struct object *q, struct value **error);
struct value *queue_end(struct object *q, struct queue_item *it);
void queue_give_back(struct object *q, struct queue_item *it);
bool queue_task_done(struct object *q, struct value **error);
void queue_shutdown(struct object *q, bool immediate);

/* Wakes so many that there is something for, though nothing was put or taken just now. */
void queue_pass_on(struct object *q, size_t getters, size_t putters);

/* ---- locks (lock.c): the job is the one whose task does it ---- */

/* Takes it at once; false: it is to be waited for. */
bool lock_try(struct object *o, const struct job *job);
/* After waiting: woken says whether it was (else it was cancelled), ok whether the task goes on. */
void lock_waited(struct object *o, const struct job *job, bool woken, bool ok);
bool lock_is_locked(const struct object *o);
bool lock_release(struct object *o, const struct job *job, struct value **error);
/* A job is gone that held it n times, or had n tasks in the barrier. */
void lock_forfeit(struct object *o, uint64_t n);
/* Wakes whoever can have it now. */
void lock_pass_on(struct object *o);
void event_set(struct object *o);
void event_clear(struct object *o);
void condition_wake(struct object *o, int64_t n);
bool condition_notify(struct object *o, int64_t n, struct value **error);
void barrier_exit(struct object *o, const struct job *job);
void barrier_reset(struct object *o);
void barrier_abort(struct object *o);

#endif
