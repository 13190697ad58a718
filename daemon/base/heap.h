#ifndef COROD_BASE_HEAP_H
#define COROD_BASE_HEAP_H
/*
 * A binary heap of deadlines, the earliest first; among equal ones by `seq`. Entries lie inside
 * what they are of, and know their place: adding and removing is O(log n).
 */
#include <stddef.h>
#include <stdint.h>

struct heap_entry {
    int64_t at_us;
    uint64_t seq;
    size_t place; /* 1 + index; 0: in no heap */
};
/* `struct heap h = {0};` is empty. */
struct heap {
    struct heap_entry **all;
    size_t n, cap;
};
/* The entries are left alone. */
void heap_release(struct heap *h);
/* at_us and seq are set, and do not change while it is there. */
void heap_add(struct heap *h, struct heap_entry *x);
/* One that is in no heap is fine. */
void heap_remove(struct heap *h, struct heap_entry *x);
/* NULL when it is empty. */
static inline struct heap_entry *heap_first(const struct heap *h)
{
    return h->n ? h->all[0] : NULL;
}

#endif
