#include "daemon/base/heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/mem.h"

static bool before(const struct heap_entry *a, const struct heap_entry *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void put(struct heap *h, size_t i, struct heap_entry *x)
{
    h->all[i] = x;
    x->place = i + 1;
}

/* Finds x its place, from i on upwards or downwards. */
static void sift(struct heap *h, size_t i, struct heap_entry *x)
{
    while (i > 0 && before(x, h->all[(i - 1) / 2])) {
        put(h, i, h->all[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < h->n && before(h->all[child + 1], h->all[child]))
            child++;
        if (child >= h->n || !before(h->all[child], x))
            break;
        put(h, i, h->all[child]);
        i = child;
    }
    put(h, i, x);
}

void heap_add(struct heap *h, struct heap_entry *x)
{
    h->all = xgrow(h->all, &h->cap, h->n + 1, sizeof *h->all);
    sift(h, h->n++, x);
}

void heap_remove(struct heap *h, struct heap_entry *x)
{
    if (!x->place)
        return;
    size_t i = x->place - 1;
    struct heap_entry *last = h->all[--h->n];
    x->place = 0;
    if (i < h->n)
        sift(h, i, last);
}

void heap_release(struct heap *h)
{
    free(h->all);
    *h = (struct heap){0};
}
