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

struct queue_item {
    struct queue_item *prev, *next; /* of those without a row */
    struct value *value;
    uint64_t seq;   /* of putting */
    uint64_t batch; /* of rows, in which its own is: counted by its queue; 0: it has none */
};
struct item_range {
    uint64_t first, last;
};
struct queue_items {
    enum items_order order;
    struct queue_item **all; /* a ring; with priorities a heap that begins at 0 */
    size_t head, n_ring, cap;
    struct queue_item **back; /* that were given back: a heap, by the order of taking */
    size_t n_back, cap_back;
    size_t n;     /* of both */
    size_t bytes; /* value_bytes() of all */
    uint64_t next_seq, batches;
    struct queue_item *fresh_first, *fresh_last; /* without a row */
    struct item_range *gone;                     /* rows to be deleted */
    size_t n_gone, cap_gone;
};

struct queue_items *items_new(enum items_order order);
void items_free(struct queue_items *l);
/* Takes a reference to v. False: it can't be compared with what is there; *error. */
bool items_put(struct queue_items *l, struct value *v, struct value **error);
/* One from its row, in order of seq; takes over v. */
void items_load(struct queue_items *l, uint64_t seq, struct value *v);
/* The caller's reference; NULL: *error. There must be one. */
struct value *items_take(struct queue_items *l, struct value **error);
/* The same, but its row stays: until it is given back or ended. */
struct queue_item *items_borrow(struct queue_items *l, struct value **error);
/* Where it was, before what was put later. With priorities that can't be compared any more it comes
 * somewhere. */
void items_give_back(struct queue_items *l, struct queue_item *it);
/* Its row goes too; the caller's reference to its value. */
struct value *items_end(struct queue_items *l, struct queue_item *it);
void items_clear(struct queue_items *l);
/* The rows are as they are now. */
void items_collected(struct queue_items *l);
/* Its row came before the last ones of its queue. */
bool item_is_old(const struct queue_items *l, const struct queue_item *it);

/* Python's `a < b`; false in *ok: there is none, *error (unless NULL) says so. */
bool value_less(const struct value *a, const struct value *b, bool *ok, struct value **error);

#endif
