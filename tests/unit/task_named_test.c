/* Objects with names: jobs of an owner together, in one runtime. */
#include <string.h>

#include "daemon/task/runtime.h"
#include "daemon/task/visit.h"
#include "proto/errors.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

enum { ALICE = 1, BOB = 2 };

static struct buf said; /* what happened, in order */

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)arg;
    (void)seq;
    buf_printf(&said, "%d:%.*s ", (int)job, (int)len, text);
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    (void)arg;
    (void)value;
    if (how == JOB_FAILED)
        buf_printf(&said, "%d!%s ", (int)job, error_type(error));
}

static const struct runtime_effects effects = {.printed = on_printed, .job_ended = on_ended};

static void start(struct runtime *rt, uint64_t id, uint32_t owner, const char *document)
{
    struct mistakes m = {0};
    struct program *p = program_parse(document, strlen(document), 100, runtime_kinds(), &m, &m);
    ck_assert_msg(p != NULL, "%s", m.n ? m.all[0].message : "");
    runtime_start(rt, id, owner, p, 0);
    program_unref(p);
}

static void collect(struct runtime *rt)
{
    static const struct runtime_sink nobody = {0};
    runtime_collect(rt, &nobody, NULL);
}

static void go(struct runtime *rt, int64_t now_us)
{
    while (runtime_tick(rt, now_us, 1000))
        ;
    collect(rt);
}

/* What was said since the last time. */
static const char *heard(void)
{
    static char text[1000];
    snprintf(text, sizeof text, "%s", buf_cstr(&said));
    buf_clear(&said);
    return text;
}

static struct runtime *new_runtime(void)
{
    struct runtime *rt = runtime_new(&effects, NULL);
    runtime_expect_others(rt);
    buf_clear(&said);
    return rt;
}

static void end(struct runtime *rt)
{
    runtime_free(rt);
    buf_release(&said);
}

#define QUEUE  "{\"queue\": {\"name\": \"q\"}, \"as\": \"q\"}"
#define GET    "[" QUEUE ", {\"get\": \"${q}\", \"as\": \"x\"}, {\"print\": \"${x}\"}]"
#define PUT(n) "[" QUEUE ", {\"put\": " n ", \"into\": \"${q}\"}]"

START_TEST(test_owners_have_their_own)
{
    struct runtime *rt = new_runtime();
    start(rt, 1, ALICE, GET);
    start(rt, 2, BOB, GET);
    go(rt, 0);
    start(rt, 3, BOB, PUT("\"b\""));
    go(rt, 0);
    ck_assert_str_eq(heard(), "2:b ");
    start(rt, 4, ALICE, PUT("\"a\""));
    go(rt, 0);
    ck_assert_str_eq(heard(), "1:a ");
    end(rt);
}
END_TEST

/* Who was woken and is killed before it runs does not keep the item from the next. */
START_TEST(test_killed_getter_passes_on)
{
    struct runtime *rt = new_runtime();
    start(rt, 1, ALICE, GET);
    go(rt, 0);
    start(rt, 2, ALICE, GET);
    go(rt, 0);
    start(rt, 3, ALICE, PUT("5"));
    /* One step after the other, until the put has woken the first. */
    for (int i = 0; i < 4; i++)
        runtime_tick(rt, 0, 1);
    ck_assert(runtime_kill(rt, 1));
    go(rt, 0);
    ck_assert_str_eq(heard(), "2:5 ");
    end(rt);
}
END_TEST

#define HELD(make, n)                                                                              \
    "[{" make ", \"as\": \"l\"}, {\"for\": \"i\", \"in\": {\"range\": " n "}, \"do\": "            \
    "{\"acquire\": \"${l}\"}}, {\"print\": \"has\"}, {\"sleep\": 1000}]"

START_TEST(test_killed_holders)
{
    static const char *const makes[] = {
        HELD("\"lock\": {\"name\": \"l\"}", "1"),
        HELD("\"condition\": {\"name\": \"l\"}", "1"),
        HELD("\"semaphore\": {\"name\": \"l\", \"value\": 3}", "3"),
        HELD("\"bounded_semaphore\": {\"name\": \"l\", \"value\": 3}", "3"),
    };
    for (size_t i = 0; i < ARRAY_LEN(makes); i++) {
        struct runtime *rt = new_runtime();
        for (uint64_t job = 1; job <= 4; job++) {
            start(rt, job, ALICE, makes[i]);
            go(rt, 0);
        }
        ck_assert_str_eq(heard(), "1:has ");
        ck_assert(runtime_kill(rt, 3)); /* it only waits */
        go(rt, 0);
        ck_assert_str_eq(heard(), "");
        ck_assert(runtime_kill(rt, 1));
        ck_assert(runtime_kill(rt, 2)); /* it was woken, and has perhaps a part of it */
        go(rt, 0);
        ck_assert_str_eq(heard(), "4:has ");
        ck_assert(runtime_cancel(rt, 4));
        go(rt, 0);
        start(rt, 5, ALICE, makes[i]);
        go(rt, 0);
        ck_assert_str_eq(heard(), "5:has ");
        end(rt);
    }
}
END_TEST

#define MEET                                                                                       \
    "[{\"barrier\": {\"name\": \"b\", \"parties\": 3}, \"as\": \"b\"}, {\"wait\": \"${b}\"},"      \
    " {\"print\": \"on\"}]"

START_TEST(test_killed_in_a_barrier)
{
    struct runtime *rt = new_runtime();
    start(rt, 1, ALICE, MEET);
    start(rt, 2, ALICE, MEET);
    go(rt, 0);
    ck_assert(runtime_kill(rt, 1));
    go(rt, 0);
    start(rt, 3, ALICE, MEET);
    go(rt, 0);
    ck_assert_str_eq(heard(), "");
    start(rt, 4, ALICE, MEET);
    go(rt, 0);
    ck_assert_str_eq(heard(), "4:on 2:on 3:on ");
    end(rt);
}
END_TEST

/* A lock that another job releases is nobody's. */
START_TEST(test_released_by_another)
{
    struct runtime *rt = new_runtime();
    start(rt, 1, ALICE, HELD("\"lock\": {\"name\": \"l\"}", "1"));
    go(rt, 0);
    start(rt, 2, ALICE, "[{\"lock\": {\"name\": \"l\"}, \"as\": \"l\"}, {\"release\": \"${l}\"}]");
    start(rt, 3, ALICE, HELD("\"lock\": {\"name\": \"l\"}", "1"));
    go(rt, 0);
    ck_assert_str_eq(heard(), "1:has 3:has ");
    ck_assert(runtime_kill(rt, 1)); /* holds nothing any more */
    start(rt, 4, ALICE, HELD("\"lock\": {\"name\": \"l\"}", "1"));
    go(rt, 0);
    ck_assert_str_eq(heard(), "");
    end(rt);
}
END_TEST

/* Where nobody else comes, it is a deadlock. */
START_TEST(test_alone)
{
    struct runtime *rt = runtime_new(&effects, NULL);
    start(rt, 1, ALICE, GET);
    go(rt, 0);
    ck_assert_str_eq(heard(), "1!DeadlockError ");
    end(rt);
}
END_TEST

static void on_visit(void *arg, const struct visit_end *e, const struct err *err)
{
    struct visit **x = arg;
    *x = NULL;
    if (err)
        buf_printf(&said, "(%d) ", err->code);
    else
        buf_printf(&said, "(%d%s) ", e->value ? (int)value_get_int(e->value) : (int)e->size,
                   e->is_on_disk ? " kept" : "");
}

static struct visit *get(struct visitor *v, struct visit **x)
{
    struct visit_wish wish = {.kind = VISIT_GET, .owner = ALICE, .name = "q"};
    return *x = visit_begin(v, &wish, on_visit, x);
}

/* What was woken for a visit that is dropped goes to the next; the runtime may go first. */
START_TEST(test_visits)
{
    struct runtime *rt = new_runtime();
    struct visitor *v = visitor_new(rt), *w = visitor_new(rt);
    struct visit *a, *b, *c;
    ck_assert_ptr_nonnull(get(v, &a));
    start(rt, 1, ALICE, GET);
    go(rt, 0);
    ck_assert_ptr_nonnull(get(w, &b));
    cleanup_value struct value *seven = value_int(7);
    struct visit_wish put = {.kind = VISIT_PUT, .owner = ALICE, .name = "q", .value = seven};
    ck_assert_ptr_null(visit_begin(v, &put, on_visit, &c));
    ck_assert_str_eq(heard(), "(1) ");
    visit_drop(a); /* it was woken */
    go(rt, 0);
    ck_assert_str_eq(heard(), "1:7 ");
    ck_assert_ptr_null(visit_begin(v, &put, on_visit, &c));
    go(rt, 0);
    ck_assert_str_eq(heard(), "(1) (7) ");
    ck_assert_ptr_null(b);
    ck_assert_ptr_nonnull(get(v, &a));
    visitor_free(w); /* gives back */
    go(rt, 0);
    ck_assert_str_eq(heard(), "(7) ");
    ck_assert_ptr_nonnull(get(v, &b));
    runtime_free(rt);
    visit_drop(b);
    visitor_free(v);
    buf_release(&said);
}
END_TEST

/* Of the last batch of rows it is not known whether it is on disk. */
START_TEST(test_what_is_on_disk)
{
    struct runtime *rt = new_runtime();
    struct visitor *v = visitor_new(rt), *w = visitor_new(rt);
    struct visit *a;
    for (int i = 1; i <= 3; i++) {
        cleanup_value struct value *n = value_int(i);
        struct visit_wish put = {.kind = VISIT_PUT, .owner = ALICE, .name = "q", .value = n};
        ck_assert_ptr_null(visit_begin(v, &put, on_visit, &a));
        if (i < 3)
            go(rt, 0);
    }
    ck_assert_str_eq(heard(), "(1) (2) (3) ");
    for (int i = 1; i <= 3; i++)
        ck_assert_ptr_null(get(v, &a));
    ck_assert_str_eq(heard(), "(1 kept) (2) (3) ");
    visitor_free(v); /* gives back */
    go(rt, 0);
    for (int i = 1; i <= 3; i++)
        ck_assert_ptr_null(get(w, &a));
    ck_assert_str_eq(heard(), "(1 kept) (2 kept) (3) ");
    runtime_free(rt);
    visitor_free(w);
    buf_release(&said);
}
END_TEST

/* ---- rows that are damaged ---- */

START_TEST(test_damaged_rows)
{
    static const struct {
        uint32_t id;
        const char *state;
        size_t len;
    } rows[] = {
        {0, "", 0},
        {0, "\1\0", 2},
        {1, "", 0},
        {1, "\1\3", 2},
        {1, "\1\11\0\0\0\0\0\1\1n\0", 11},                  /* no verb makes it */
        {1, "\1\12\0\0\0\0\0\1\1n\0", 11},                  /* no such type */
        {1, "\1\3\0\0\0\0\0\1\0\0", 10},                    /* an empty name */
        {1, "\1\3\0\0\0\0\0\1\1n\1", 11},                   /* a holder is missing */
        {1, "\1\3\1\0\0\0\0\1\1n\1\0\1", 13},               /* of job 0 */
        {1, "\1\3\1\0\0\0\0\1\1n\1\5\1x", 14},              /* too long */
        {1, "\1\3\1\0\0\0\0\377\377\377\377\177\1n\0", 15}, /* owner */
        {UINT32_MAX, "\1\3\0\0\0\0\0\1\1n\0", 11},          /* the last number */
    };
    struct err err;
    struct runtime *rt = new_runtime();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct object_row row = {
            .id = rows[i].id, .state = rows[i].state, .state_len = rows[i].len};
        ck_assert_msg(!runtime_load_named(rt, &row, &err), "row %zu", i);
    }
    struct object_row lock = {.id = 2, .state = "\1\3\1\0\0\0\0\1\1n\1\5\1", .state_len = 13};
    ck_assert(runtime_load_named(rt, &lock, &err));
    lock.id = 3; /* the same name */
    ck_assert(!runtime_load_named(rt, &lock, &err));
    struct item_row item = {.object = 2, .seq = 1, .value = "\0", .value_len = 1};
    ck_assert(!runtime_load_named_item(rt, &item, &err));
    struct object_row queue = {.id = 4, .state = "\1\0\0\0\0\2\5\1\1q\0", .state_len = 11};
    ck_assert(runtime_load_named(rt, &queue, &err));
    item.object = 4;
    ck_assert(runtime_load_named_item(rt, &item, &err));
    item.seq = 9;
    ck_assert(!runtime_load_named_item(rt, &item, &err));
    runtime_load_named_done(rt); /* job 5 is not there: its lock is free */
    start(rt, 6, ALICE, HELD("\"lock\": {\"name\": \"n\"}", "1"));
    start(rt, 7, ALICE, GET);
    go(rt, 0);
    ck_assert_str_eq(heard(), "6:has 7:null ");
    end(rt);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("objects with names");
    TCase *c = tcase_create("named");
    tcase_add_test(c, test_owners_have_their_own);
    tcase_add_test(c, test_killed_getter_passes_on);
    tcase_add_test(c, test_killed_holders);
    tcase_add_test(c, test_killed_in_a_barrier);
    tcase_add_test(c, test_released_by_another);
    tcase_add_test(c, test_alone);
    tcase_add_test(c, test_visits);
    tcase_add_test(c, test_what_is_on_disk);
    tcase_add_test(c, test_damaged_rows);
    suite_add_tcase(s, c);
    return s;
}
