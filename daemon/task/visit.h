#ifndef COROD_TASK_VISIT_H
#define COROD_TASK_VISIT_H
/*
 * Named queues (named.h) used from outside the jobs: by clients. A visitor is a client's
 * connection, a visit one request of it that may wait: in the same line as the jobs' tasks. What a
 * visitor got is lent to it until it is done with the item; when it goes away before, the item goes
 * back to its old place. Codes of errors are those of proto/errors.def. Nothing of what is answered
 * may leave before the rows that runtime_collect() gives next are on disk, but what is_on_disk.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/value.h"
#include "daemon/task/runtime.h"
#include "proto/err.h"

struct visitor;
struct visit;

enum {
    LOAN_MAX_BYTES = 64 * 1024 * 1024, /* value_bytes() of what a visitor may have at once */
};

struct visitor *visitor_new(struct runtime *rt); /* may live longer than the runtime */
/* Gives back what it has. Its visits must have been dropped. NULL is allowed. */
void visitor_free(struct visitor *v);

enum visit_kind { VISIT_GET, VISIT_PUT, VISIT_JOIN };
struct visit_wish {
    enum visit_kind kind;
    uint32_t owner;
    const char *name;    /* 1 … 255 bytes; put and get make a queue where there is none */
    struct value *value; /* of a put; borrowed */
    bool nowait;
};
struct visit_end {
    uint64_t item;       /* of a get: its number in the queue */
    struct value *value; /* of a get; borrowed */
    bool is_on_disk;     /* of a get: so is the item, and lending it leaves no trace there */
    size_t size;         /* of the queue, behind a put */
};
/*
 * on_end comes once: inside of this call (then NULL is returned), or in a later runtime_tick(),
 * with err or with end; it must not call back into the runtime.
 */
struct visit *visit_begin(struct visitor *v, const struct visit_wish *wish,
                          void (*on_end)(void *arg, const struct visit_end *end,
                                         const struct err *err),
                          void *arg);
/* Nobody waits for it any more: on_end does not come. */
void visit_drop(struct visit *x);

/* The item is dealt with: gone, and counted as task_done. */
bool visitor_done(struct visitor *v, uint32_t owner, const char *name, uint64_t item,
                  struct err *err);

bool named_queue_shutdown(struct runtime *rt, uint32_t owner, const char *name, bool immediate,
                          struct err *err);
/* Of any type. Without force only one that is empty, free and used by nobody. */
bool named_object_remove(struct runtime *rt, uint32_t owner, const char *name, bool force,
                         struct err *err);

enum named_kind { NAMED_QUEUE, NAMED_LOCK, NAMED_SEMAPHORE, NAMED_EVENT, NAMED_BARRIER };
struct named_view {
    const char *name, *type; /* borrowed */
    uint32_t owner;
    enum named_kind kind; /* a condition is as its lock */
    int64_t limit;        /* maxsize; value of a semaphore at first, parties; 0 */
    int64_t value;        /* unfinished items; what is left of a semaphore; tasks in a barrier */
    bool flag;            /* shut down; locked; set */
    size_t size, lent, getters, putters, joiners;
    size_t waiters;  /* of one that is no queue */
    uint64_t holder; /* the job that holds it longest, 0: none */
    size_t holders;
};
/* Of an owner, or of all (-1), in order of making. */
void named_each(const struct runtime *rt, int64_t owner,
                void (*each)(void *arg, const struct named_view *v), void *arg);

#endif
