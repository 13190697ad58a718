#include <stdlib.h>

#include "daemon/base/map.h"
#include "tests/unit/unit.h"

/* Against a plain array, through many additions and removals in a fixed random order. */
START_TEST(holds_what_an_array_holds)
{
    enum { KEYS = 3000, STEPS = 200000 };
    static int values[KEYS];
    static bool there[KEYS];
    struct map m = {0};
    size_t n = 0;
    unsigned seed = 1;
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)rand_r(&seed) % KEYS;
        uint64_t key = (uint64_t)i * 4096; /* keys that share their low bits */
        if (rand_r(&seed) % 2) {
            ck_assert_ptr_eq(map_put(&m, key, &values[i]), there[i] ? (void *)&values[i] : NULL);
            n += !there[i];
            there[i] = true;
        } else {
            ck_assert_ptr_eq(map_remove(&m, key), there[i] ? (void *)&values[i] : NULL);
            n -= there[i];
            there[i] = false;
        }
        ck_assert_uint_eq(m.n, n);
    }
    for (size_t i = 0; i < KEYS; i++)
        ck_assert_ptr_eq(map_get(&m, (uint64_t)i * 4096), there[i] ? (void *)&values[i] : NULL);
    size_t at = 0, seen = 0;
    while (map_next(&m, &at))
        seen++;
    ck_assert_uint_eq(seen, n);
    map_release(&m);
    ck_assert_ptr_null(map_get(&m, 1));
    ck_assert_ptr_null(map_remove(&m, 1));
}
END_TEST

START_TEST(keys_of_text_differ)
{
    ck_assert_uint_eq(map_key("ab", 2), map_key("ab", 2));
    ck_assert_uint_ne(map_key("ab", 2), map_key("ba", 2));
    ck_assert_uint_ne(map_key("", 0), map_key("\0", 1));
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("map");
    TCase *t = tcase_create("map");
    tcase_add_test(t, holds_what_an_array_holds);
    tcase_add_test(t, keys_of_text_differ);
    suite_add_tcase(s, t);
    return s;
}
