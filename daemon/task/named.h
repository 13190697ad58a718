#ifndef COROD_TASK_NAMED_H
#define COROD_TASK_NAMED_H
/*
 * Objects with names: the jobs of an owner share them, and so do clients (visit.h). The first use
 * of a name makes the object; it lives until it is removed. Which job holds a lock, and how often,
 * is in the object's row: what a job holds is free when the job is gone, however it went.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/base/map.h"
#include "daemon/task/object.h"

struct holding;
struct visit;
struct visitor;

enum { NAME_MAX_BYTES = 255 };

/* What an object with a name has besides. */
struct named {
    struct runtime *rt;
    uint32_t owner;
    char *name; /* NULL: of one that was removed before the daemon started */
    bool removed;
    struct object *same_hash;
    struct holding *first, *last; /* oldest first */
    struct map lent;              /* seq → struct loan: items that visitors have */
};

/* Of a runtime. */
struct named_objects {
    struct object_home home;
    struct map by_name; /* hash of owner and name → the first of them */
    struct map by_id;
    struct map owners;  /* owner + 1 → struct object_use */
    struct map holders; /* job → its first holding */
    TAILQ_HEAD(visit_list, visit) woken;
    LIST_HEAD(, visitor) visitors;
    uint32_t *gone; /* whose rows are to go */
    size_t n_gone, cap_gone;
    uint32_t stored_id; /* home.last_id as it is stored */
    bool outside;       /* see runtime_expect_others() */
    bool quiet;         /* being loaded, or freed: nobody is woken */
};

/* What a use says of the object; number: maxsize, value, parties. */
struct named_wish {
    enum object_type type;
    bool has_number;
    int64_t number;
};

/* A new reference; made when it is not there. NULL: *error. */
struct object *named_use(struct runtime *rt, uint32_t owner, const char *name,
                         const struct named_wish *wish, struct value **error);
struct object *named_new(struct runtime *rt, uint32_t owner, const char *name,
                         enum object_type type, struct value **error);
struct object *named_find(struct runtime *rt, uint32_t owner, const char *name); /* or NULL */
/* It is no longer found; who waits gets an error. */
void named_remove(struct object *o);
void named_free(struct named *n); /* NULL is allowed */
void named_release(struct runtime *rt);
/* One that is not there any more, for a row that still knows it. */
struct object *named_stray(struct runtime *rt, enum object_type type, uint32_t id);
/* It raises that error; a queue that was removed is one that is shut down. */
static inline bool named_is_removed(const struct object *o)
{
    return o->named && o->named->removed && !object_is(o, IS_ANY_QUEUE);
}
struct value *named_removed_error(const struct object *o);
/* What the items of all take. */
size_t named_bytes(const struct runtime *rt);

/* A task that waited there is gone without having run. */
void named_forgo(struct object *o, enum object_list list, const struct job *job, bool woken);
/* The job is gone. */
void named_leave(struct runtime *rt, uint64_t job);

void named_collect(struct runtime *rt, const struct runtime_sink *sink, void *arg);
/* What stands behind the state of an object in the row of one with a name. */
void named_save(const struct named *n, struct buf *out);

/* ---- who holds it (holding.c); without effect unless it has a name ---- */

struct holding {
    struct object *object;
    uint64_t job, n;
    struct holding *prev, *next;         /* of the object */
    struct holding *job_prev, *job_next; /* of the job */
};

void hold_add(struct object *o, const struct job *job);
/* One less; of another's, the oldest, when this job has none. */
void hold_remove(struct object *o, const struct job *job);
void hold_load(struct object *o, uint64_t job, uint64_t n);
void hold_free(struct holding *h);

/* ---- visits (visit.c) ---- */

void visit_woken(struct waiter *w);
void visits_run(struct runtime *rt);
/* The runtime ends: visits and visitors are left with nothing. */
void visitors_leave(struct runtime *rt);
/* The items of a queue that visitors have go away. */
void loans_drop(struct object *queue);

#endif
