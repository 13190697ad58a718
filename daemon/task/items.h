#ifndef COROD_TASK_ITEMS_H
#define COROD_TASK_ITEMS_H
/*
 * The items of a queue, in memory and as rows: a row is written when an item that was put is still
 * there at the next batch, and deleted when one that has a row is taken.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/lang/value.h"

enum items_order { ITEMS_FIFO, ITEMS_LIFO, ITEMS_PRIORITY };

struct item {
    struct item *prev, *next; /* of those without a row */
    struct value *value;
    uint64_t seq; /* of putting */
    bool stored;
};
struct item_range {
    uint64_t first, last;
};
struct items {
    enum items_order order;
    struct item **all; /* a ring; with priorities a heap that begins at 0 */
    size_t head, n, cap;
    uint64_t next_seq;
    struct item *fresh_first, *fresh_last; /* without a row */
    struct item_range *gone;               /* rows to be deleted */
    size_t n_gone, cap_gone;
};

struct items *items_new(enum items_order order);
void items_free(struct items *l);
/* Takes a reference to v. False: it can't be compared with what is there; *error. */
bool items_put(struct items *l, struct value *v, struct value **error);
/* One from its row. */
bool items_load(struct items *l, uint64_t seq, struct value *v, struct value **error);
/* The caller's reference; NULL: *error. There must be one. */
struct value *items_take(struct items *l, struct value **error);
void items_clear(struct items *l);
/* The rows are as they are now. */
void items_collected(struct items *l);

/* Python's `a < b`; false in *ok: there is none, *error says so. */
bool value_less(const struct value *a, const struct value *b, bool *ok, struct value **error);

#endif
