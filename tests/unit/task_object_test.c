/* Queues and locks: their rows, what is refused when a document is checked, the order of a
 * priority queue. */
#include <stdlib.h>
#include <string.h>

#include "daemon/task/items.h"
#include "proto/mem.h"
#include "tests/unit/task_fixture.h"
#include "tests/unit/unit.h"

static uint64_t state = 0x9e3779b97f4a7c15u;
static uint32_t random_u32(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* ---- documents ---- */

static const struct {
    const char *document, *pointer, *message;
} mistakes[] = {
    {"{\"queue\": {\"name\": \"\"}}", "/queue/name", "a name is text of 1 to 255 bytes"},
    {"{\"semaphore\": {\"value\": 1, \"name\": 5}}", "/semaphore/name",
     "a name is text of 1 to 255 bytes"},
    {"{\"event\": {\"name\": \"a\\u0000b\"}}", "/event/name", "a name is text of 1 to 255 bytes"},
    {"{\"queue\": {\"maxsize\": 1.5}}", "/queue/maxsize", "a whole number is needed here"},
    {"{\"queue\": {\"maxsize\": \"1\"}}", "/queue/maxsize", "a whole number is needed here"},
    {"{\"semaphore\": -1}", "/semaphore", "a number from 0 is needed here"},
    {"{\"bounded_semaphore\": {\"value\": -1}}", "/bounded_semaphore/value",
     "a number from 0 is needed here"},
    {"{\"barrier\": 0}", "/barrier", "a number from 1 is needed here"},
    {"{\"barrier\": null}", "/barrier", "a barrier needs the number of its parties"},
    {"{\"put\": 1, \"into\": \"q\"}", "/into", NULL},
    {"{\"get\": 1}", "/get", NULL},
    {"{\"put\": 1}", "", NULL},
    {"{\"with\": \"${l}\"}", "", NULL},
    {"{\"lock\": {\"value\": 1}}", "/lock/value", NULL},
};

START_TEST(test_mistake)
{
    struct mistakes errors = {0}, warnings = {0};
    const char *text = mistakes[_i].document;
    struct program *p = program_parse(text, strlen(text), 100, runtime_kinds(), &errors, &warnings);
    ck_assert_ptr_null(p);
    ck_assert_uint_ge(errors.n, 1);
    ck_assert_str_eq(errors.all[0].pointer, mistakes[_i].pointer);
    if (mistakes[_i].message)
        ck_assert_str_eq(errors.all[0].message, mistakes[_i].message);
    mistakes_release(&errors);
    mistakes_release(&warnings);
}
END_TEST

/* ---- rows ---- */

static void written(struct fixture *f, unsigned objects, unsigned items, unsigned gone)
{
    ck_assert_uint_eq(f->objects_written, objects);
    ck_assert_uint_eq(f->items_written, items);
    ck_assert_uint_eq(f->items_gone, gone);
    f->objects_written = f->items_written = f->items_gone = 0;
}

START_TEST(test_rows)
{
    struct fixture f;
    fixture_init(&f,
                 "[{\"queue\": {}, \"as\": \"q\"},"
                 " {\"for\": \"i\", \"in\": {\"range\": 200},"
                 "  \"do\": {\"put\": \"${i}\", \"into\": \"${q}\"}}, {\"sleep\": 1},"
                 " {\"put\": 200, \"into\": \"${q}\"}, {\"sleep\": 1},"
                 " {\"lifo_queue\": {}, \"as\": \"l\"}, {\"for\": \"i\", \"in\": {\"range\": 9},"
                 "  \"do\": [{\"put\": \"${i}\", \"into\": \"${l}\"}, {\"get\": \"${l}\"}]},"
                 " {\"sleep\": 1}, {\"for\": \"i\", \"in\": {\"range\": 100},"
                 "  \"do\": {\"get\": \"${q}\", \"as\": \"x\"}}, {\"sleep\": 1},"
                 " {\"set\": {\"q\": null}}, {\"sleep\": 1}, {\"return\": \"${x}\"}]");
    fixture_run(&f, 0);
    written(&f, 1, 200, 0);
    fixture_run(&f, 1000000); /* one more is one more row */
    written(&f, 1, 1, 0);
    fixture_run(&f, 2000000); /* what is put and taken at once is none */
    written(&f, 1, 0, 0);
    fixture_run(&f, 3000000); /* a hundred go together */
    written(&f, 1, 0, 1);
    ck_assert_uint_eq(f.n_items, 101);
    fixture_run(&f, 4000000); /* nobody names it any more */
    ck_assert_uint_eq(f.n_items, 0);
    ck_assert_uint_eq(f.n_objects, 1);
    fixture_run(&f, 5000000);
    ck_assert_uint_eq(f.n_objects, 0);
    ck_assert_str_eq(f.outcome, "99");
    fixture_release(&f);
}
END_TEST

/* Everything that waits for something, at 0 s, and what wakes it later. */
static const char document[] =
    "[{\"queue\": {\"maxsize\": 1}, \"as\": \"q\"}, {\"queue\": {}, \"as\": \"e\"},"
    " {\"priority_queue\": {}, \"as\": \"p\"}, {\"lock\": {}, \"as\": \"l\"},"
    " {\"semaphore\": 1, \"as\": \"s\"}, {\"event\": {}, \"as\": \"ev\"},"
    " {\"condition\": {}, \"as\": \"c\"}, {\"barrier\": 3, \"as\": \"b\"},"
    " {\"put\": {\"q\": \"${q}\", \"e\": \"${ev}\"}, \"into\": \"${q}\"},"
    " {\"put\": [2, \"b\"], \"into\": \"${p}\"}, {\"put\": [1], \"into\": \"${p}\"},"
    " {\"create_task\": {\"put\": 2, \"into\": \"${q}\"}, \"as\": \"t\"},"
    " {\"put\": \"${t}\", \"into\": \"${e}\"}, {\"get\": \"${e}\"},"
    " {\"create_task\": {\"get\": \"${e}\"}}, {\"create_task\": {\"for\": \"x\", \"in\": \"${e}\","
    "  \"do\": {\"sleep\": 0.1}}}, {\"create_task\": {\"join\": \"${q}\"}},"
    " {\"acquire\": \"${l}\"}, {\"create_task\": {\"acquire\": \"${l}\"}},"
    " {\"create_task\": {\"with\": \"${l}\", \"do\": {\"sleep\": 0.1}}},"
    " {\"create_task\": {\"with\": \"${s}\", \"do\": {\"sleep\": 0.5}}},"
    " {\"create_task\": {\"with\": \"${s}\", \"do\": {\"sleep\": 0.5}}},"
    " {\"create_task\": {\"wait\": \"${ev}\", \"timeout\": 0.4}},"
    " {\"create_task\": {\"wait\": \"${ev}\"}},"
    " {\"create_task\": {\"with\": \"${c}\", \"do\": {\"wait\": \"${c}\"}}},"
    " {\"create_task\": {\"with\": \"${c}\", \"do\": {\"wait\": \"${c}\", \"timeout\": 0.2}}},"
    " {\"create_task\": {\"wait\": \"${b}\"}}, {\"create_task\": {\"with\": \"${b}\", \"do\": []}},"
    " {\"sleep\": 0.3}, {\"create_task\": [{\"acquire\": \"${c}\"}, {\"notify_all\": \"${c}\"},"
    "  {\"sleep\": 0.1}, {\"release\": \"${c}\"}]}, {\"create_task\": {\"reset\": \"${b}\"}},"
    " {\"put\": 1, \"into\": \"${e}\"}, {\"release\": \"${l}\"}, {\"sleep\": 0.2},"
    " {\"set_event\": \"${ev}\"}, {\"get\": \"${p}\", \"as\": \"x\"}, {\"get\": \"${q}\"},"
    " {\"abort\": \"${b}\"}, {\"sleep\": 0.2}, {\"shutdown\": \"${e}\"}, {\"sleep\": 0.2}]";

static void prepare(struct fixture *f, int64_t now_us)
{
    fixture_init(f, document);
    fixture_run(f, 0);
    if (now_us > 0)
        fixture_run(f, now_us);
}

static void live_on(struct fixture *f)
{
    for (unsigned i = 0; !f->over && i < 200; i++) {
        int64_t next = runtime_next_us(f->rt);
        fixture_run(f, next == INT64_MAX ? 0 : next);
    }
}

START_TEST(test_whole)
{
    static const int64_t times[] = {0, 150000, 300000, 350000, 500000, 700000};
    struct fixture f;
    struct err err = {0};
    prepare(&f, times[_i]);
    ck_assert_msg(fixture_reload(&f, &err), "%s", err.text);
    live_on(&f);
    ck_assert(f.over);
    ck_assert_str_eq(f.outcome, "null");
    ck_assert_uint_eq(f.n_objects, 0);
    fixture_release(&f);
}
END_TEST

static void spoil(char *data, size_t *len)
{
    if (*len == 0)
        return;
    switch (random_u32() % 4) {
    case 0:
        *len = random_u32() % *len;
        break;
    case 1:
        data[random_u32() % *len] = (char)(random_u32() % 6);
        break;
    case 2:
        data[random_u32() % *len] = (char)random_u32();
        break;
    default:
        data[random_u32() % *len] ^= (char)(1 << random_u32() % 8);
    }
}

static void damage(struct fixture *f)
{
    uint32_t what = random_u32() % 8;
    if (what < 3) {
        struct fixture_part *o = &f->objects[random_u32() % f->n_objects];
        spoil(o->data, &o->len);
    } else if (what == 3 && f->n_items > 0) {
        struct fixture_part *it = &f->items[random_u32() % f->n_items];
        spoil(it->data, &it->len);
    } else if (what == 4 && f->n_objects > 1) {
        struct fixture_part *o = &f->objects[random_u32() % f->n_objects];
        o->id = random_u32() % 10;
    } else {
        struct fixture_row *r = &f->rows[random_u32() % f->n_rows];
        spoil(r->frame, &r->frame_len);
    }
}

START_TEST(test_damaged)
{
    static const int64_t times[] = {0, 300000, 350000, 500000};
    unsigned refused = 0, taken = 0;
    for (unsigned round = 0; round < 2000; round++) {
        struct fixture f;
        prepare(&f, times[round % 4]);
        for (uint32_t n = random_u32() % 3 + 1; n > 0; n--)
            damage(&f);
        struct err err = {0};
        if (fixture_reload(&f, &err)) {
            taken++;
            live_on(&f);
        } else {
            refused++;
            ck_assert_str_ne(err.text, "");
            ck_assert_uint_eq(runtime_live_tasks(f.rt), 0);
        }
        fixture_release(&f);
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(taken, 50);
}
END_TEST

/* ---- items ---- */

static int64_t take(struct queue_items *l)
{
    struct value *error = NULL;
    struct value *v = items_take(l, &error);
    ck_assert_ptr_nonnull(v);
    int64_t i = value_get_int(v);
    value_unref(v);
    return i;
}

START_TEST(test_priority)
{
    enum { RANGE = 50 };
    size_t counts[RANGE] = {0};
    struct queue_items *l = items_new(ITEMS_PRIORITY);
    for (unsigned round = 0; round < 20000; round++) {
        if (l->n == 0 || random_u32() % 5 < 3) {
            struct value *error = NULL, *v = value_int(random_u32() % RANGE);
            counts[value_get_int(v)]++;
            ck_assert(items_put(l, v, &error));
            value_unref(v);
        } else {
            int64_t least = take(l);
            ck_assert_uint_gt(counts[least]--, 0);
            for (int64_t i = 0; i < least; i++)
                ck_assert_uint_eq(counts[i], 0);
        }
        if (random_u32() % 100 == 0)
            items_collected(l);
    }
    items_free(l);
}
END_TEST

START_TEST(test_uncomparable)
{
    struct queue_items *l = items_new(ITEMS_PRIORITY);
    struct value *error = NULL, *text = value_text("x");
    for (int i = 9; i > 0; i--) {
        struct value *v = value_int(i);
        ck_assert(items_put(l, v, &error));
        value_unref(v);
        ck_assert(!items_put(l, text, &error));
        ck_assert_str_eq(error_message(error),
                         "'<' not supported between instances of 'str' and 'int'");
        value_unref(error);
    }
    value_unref(text);
    for (int i = 1; i < 10; i++)
        ck_assert_int_eq(take(l), i);
    ck_assert_uint_eq(l->bytes, 0);
    items_free(l);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("task objects");
    TCase *c = tcase_create("objects");
    tcase_set_timeout(c, 50);
    tcase_add_loop_test(c, test_mistake, 0, ARRAY_LEN(mistakes));
    tcase_add_test(c, test_rows);
    tcase_add_loop_test(c, test_whole, 0, 6);
    tcase_add_test(c, test_damaged);
    tcase_add_test(c, test_priority);
    tcase_add_test(c, test_uncomparable);
    suite_add_tcase(s, c);
    return s;
}
