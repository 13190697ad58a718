#include <stdlib.h>

#include "daemon/base/heap.h"
#include "tests/unit/unit.h"

/* Against a plain array, through many additions and removals in a fixed random order. */
START_TEST(the_earliest_is_first)
{
    enum { ENTRIES = 500, STEPS = 20000 };
    static struct heap_entry entries[ENTRIES];
    struct heap h = {0};
    unsigned seed = 1;
    ck_assert_ptr_null(heap_first(&h));
    for (int step = 0; step < STEPS; step++) {
        struct heap_entry *x = &entries[rand_r(&seed) % ENTRIES];
        if (x->place) {
            heap_remove(&h, x);
        } else {
            x->at_us = rand_r(&seed) % 20; /* many are equal */
            x->seq = (uint64_t)step;
            heap_add(&h, x);
        }
        const struct heap_entry *first = NULL;
        for (size_t i = 0; i < ENTRIES; i++) {
            const struct heap_entry *y = &entries[i];
            if (y->place && (!first || y->at_us < first->at_us ||
                             (y->at_us == first->at_us && y->seq < first->seq)))
                first = y;
        }
        ck_assert_ptr_eq(heap_first(&h), first);
    }
    while (heap_first(&h))
        heap_remove(&h, heap_first(&h));
    heap_remove(&h, &entries[0]); /* in no heap: fine */
    ck_assert_uint_eq(h.n, 0);
    heap_release(&h);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("heap");
    TCase *t = tcase_create("heap");
    tcase_add_test(t, the_earliest_is_first);
    suite_add_tcase(s, t);
    return s;
}
