#ifndef COROD_TASK_SOURCE_H
#define COROD_TASK_SOURCE_H
/* What `in` runs over: a list or a range, evaluated. */
#include "daemon/task/task.h"

struct iterator {
    struct value *list; /* NULL: a range */
    int64_t start, step;
    uint64_t n, next;
};

/* False: *error. */
bool iterator_begin(struct iterator *it, const struct task *t, const struct source *s,
                    struct value **error);
/* The same over a value: a list. */
bool iterator_over(struct iterator *it, struct value *v, struct value **error);
/* The next item, a new reference; NULL at the end. */
struct value *iterator_next(struct iterator *it);
void iterator_release(struct iterator *it);
/* Without its list, which the caller saves and loads before. */
void iterator_save(const struct iterator *it, struct buf *out);
bool iterator_load(struct iterator *it, struct job_loader *l, struct reader *r);

#endif
