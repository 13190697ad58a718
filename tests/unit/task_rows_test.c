/* Rows: damaged ones are refused, or at least do no harm. */
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "tests/unit/task_fixture.h"
#include "tests/unit/unit.h"

/* Something of everything, in the middle of its life at 0.25 s. */
static const char document[] =
    "{\"define\": {"
    "  \"w\": {\"params\": [\"p\"], \"do\": [{\"try\": {\"sleep\": \"${p}\"},"
    "    \"finally\": [{\"print\": \"w ${p}\"}, {\"sleep\": 0.1}]}, {\"return\": \"${p}\"}]},"
    "  \"c\": {\"params\": [], \"do\": {\"call\": \"w\", \"args\": {\"p\": 1}}}},"
    " \"input\": {\"l\": [1, 2.5, \"x\"]}, \"timeout\": 60,"
    " \"main\": ["
    "  {\"create_task\": {\"run\": [\"a\", \"b\"], \"timeout\": 5, \"retry\": 3}, \"as\": \"r\"},"
    "  {\"create_task\": {\"call\": \"w\", \"args\": {\"p\": 0.2}, \"timeout\": 9}, \"as\": \"t\"},"
    "  {\"await\": {\"call\": \"c\"}, \"as\": \"made\"},"
    "  {\"create_task\": [{\"raise\": {\"type\": \"Boom\", \"message\": \"m\"}}], \"as\": \"f\"},"
    "  {\"create_task\": {\"for\": \"i\", \"in\": {\"range\": 9}, \"do\": {\"sleep\": 0.1}},"
    "   \"as\": \"loop\", \"name\": \"looper\"},"
    "  {\"create_task\": {\"await\": [\"${t}\", \"${r}\"]}, \"as\": \"a\"},"
    "  {\"create_task\": {\"do\": {\"raise\": {\"type\": \"A\", \"message\": \"\"}},"
    "   \"retry\": {\"attempts\": 9, \"delay\": 0.2, \"backoff\": 1.5}}},"
    "  {\"create_task\": [{\"set\": {\"q\": 1}}, {\"create_task\": [{\"sleep\": 1},"
    "   {\"print\": \"${q}\"}]}]},"
    "  {\"create_task\": {\"task_group\": {\"one\": {\"sleep\": 0.1}, \"two\": [{\"await\": "
    "\"${one}\"},"
    "   {\"sleep\": 0.4}]}, \"group\": \"g\", \"do\": {\"create_task\": {\"sleep\": 0.3},"
    "   \"in\": \"${g}\"}}},"
    "  {\"create_task\": {\"task_group\": [{\"try\": {\"sleep\": 2}, \"finally\": {\"sleep\": 1}},"
    "   [{\"sleep\": 0.1}, {\"raise\": {\"type\": \"A\", \"message\": \"\"}}]]}},"
    "  {\"create_task\": {\"wait\": [\"${t}\", \"${f}\", \"${loop}\"], \"timeout\": 0.5}},"
    "  {\"create_task\": {\"race\": [{\"sleep\": 0.2}, {\"try\": {\"sleep\": 9}, \"finally\":"
    "   {\"sleep\": 0.2}}, \"${f}\"]}},"
    "  {\"create_task\": {\"shield\": \"${loop}\"}},"
    "  {\"create_task\": {\"for\": \"d\", \"in\": {\"as_completed\": [\"${f}\", \"${t}\", "
    "\"${loop}\"]},"
    "   \"do\": {\"print\": \"${d}\"}}},"
    "  {\"create_task\": {\"for\": \"beat\", \"in\": {\"ticker\": 0.3}, \"do\": {\"sleep\": 0.1}}},"
    "  {\"create_task\": {\"try\": {\"raise\": {\"type\": \"ExceptionGroup\", \"message\": \"eg\","
    "   \"exceptions\": [{\"type\": \"A\", \"message\": \"\"}, {\"type\": \"B\", \"message\": "
    "\"\"}]}},"
    "   \"except*\": [{\"type\": \"A\", \"do\": [{\"sleep\": 0.2}, {\"raise\": null}]},"
    "   {\"do\": {\"sleep\": 1}}]}},"
    "  {\"try\": {\"gather\": {\"for\": \"x\", \"in\": \"${l}\", \"do\":"
    "     [{\"sleep\": 0.3}, {\"print\": \"${x}\"}]}, \"limit\": 2},"
    "   \"except\": [{\"do\": {\"raise\": null}}]},"
    "  {\"try\": {\"raise\": {\"type\": \"B\", \"message\": \"b\"}}, \"except\": [{\"do\":"
    "     {\"gather\": [\"${t}\", \"${a}\", {\"sh\": \"true\"}], \"return_exceptions\": true}}]}]}";

static uint64_t state = 88172645463325252u;
static uint32_t random_u32(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void live_on(struct fixture *f)
{
    for (int64_t now = 250000; now < 30000000 && !f->over; now += 150000) {
        for (unsigned i = 0; i < 20 && runtime_tick(f->rt, now, 100); i++)
            ;
        for (size_t i = 0; i < f->n_wanted; i++)
            if (f->wanted[i]->state == LEAF_WANTED)
                runtime_leaf_launched(f->rt, f->wanted[i], 1000 + random_u32(), now);
        f->n_wanted = 0;
    }
}

/* The rows of the document at a time. */
static void prepare(struct fixture *f, int64_t until_us)
{
    fixture_init(f, document);
    for (int64_t now = 0; now <= until_us; now += 50000)
        fixture_run(f, now);
}

START_TEST(test_whole)
{
    struct fixture f;
    prepare(&f, 250000);
    struct err err = {0};
    ck_assert_msg(fixture_reload(&f, &err), "%s", err.text);
    ck_assert_uint_eq(f.n_wanted, 1);
    ck_assert_str_eq(value_get_string(value_item(f.wanted[0]->spec.argv, 0), NULL), "a");
    /* Nothing changed: nothing but the job's own row is to be written. */
    f.rows_written = 0;
    fixture_collect(&f);
    ck_assert_uint_eq(f.rows_written, 0);
    fixture_release(&f);
}
END_TEST

static void damage(struct fixture *f)
{
    size_t i = random_u32() % (f->n_rows + 1);
    char *data = i == f->n_rows ? f->state.data : f->rows[i].frame;
    size_t *len = i == f->n_rows ? &f->state.len : &f->rows[i].frame_len;
    if (i < f->n_rows && f->rows[i].result && random_u32() % 2) {
        data = f->rows[i].result;
        len = &f->rows[i].result_len;
    }
    if (*len == 0)
        return;
    uint32_t what = random_u32() % 8;
    if (what == 0)
        *len = random_u32() % *len;
    else if (what < 4)
        data[random_u32() % *len] = (char)(random_u32() % 6);
    else if (what == 4)
        data[random_u32() % *len] = (char)random_u32();
    else
        data[random_u32() % *len] ^= (char)(1 << random_u32() % 8);
}

START_TEST(test_damaged)
{
    unsigned refused = 0, taken = 0;
    int64_t times[] = {0, 250000, 700000};
    for (unsigned round = 0; round < 1500; round++) {
        struct fixture f;
        prepare(&f, times[round % 3]);
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
            ck_assert_int_eq(runtime_next_us(f.rt), INT64_MAX);
        }
        fixture_release(&f);
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_gt(taken, 50);
}
END_TEST

/* A number in a row that names a turn in the queue of something else. */
START_TEST(test_damaged_turns)
{
    static const char sleepers[] =
        "{\"main\": {\"gather\": {\"for\": \"i\", \"in\": [0.05, 0.06, 0.07, 0.08, 0.09, 0.1],"
        " \"do\": {\"sleep\": \"${i}\"}}}}";
    struct fixture f;
    unsigned refused = 0;
    fixture_init(&f, sleepers);
    for (int64_t now = 0; now < 30 && !f.over; now++) {
        runtime_tick(f.rt, now * 10000, 1);
        fixture_collect(&f);
        for (size_t i = 0; !f.over && i < f.n_rows; i++)
            for (size_t at = 0; at < f.rows[i].frame_len; at++) {
                char *p = &f.rows[i].frame[at], was = *p;
                for (char seq = 1; seq < 24; seq++) {
                    struct err err = {0};
                    *p = seq;
                    refused += !fixture_reload(&f, &err);
                }
                *p = was;
            }
        struct err err = {0};
        ck_assert_msg(f.over || fixture_reload(&f, &err), "%s", err.text);
    }
    ck_assert_uint_gt(refused, 100);
    fixture_release(&f);
}
END_TEST

/* So many steps; the time goes on when nothing is left to do. */
static void steps(struct fixture *f, unsigned n)
{
    int64_t now = 0;
    for (unsigned i = 0; i < n && !f->over; i++) {
        if (!runtime_tick(f->rt, now, 1))
            now += 50000;
        for (size_t k = 0; k < f->n_wanted; k++)
            if (f->wanted[k]->state == LEAF_WANTED && i % 2)
                runtime_leaf_launched(f->rt, f->wanted[k], 1000 + i + k, now);
        if (i % 7 == n % 7)
            fixture_collect(f);
    }
}

START_TEST(a_job_can_be_killed_at_any_step)
{
    for (unsigned n = 0; n < 700; n++) {
        struct fixture f;
        fixture_init(&f, document);
        steps(&f, n);
        ck_assert(!f.over);
        size_t printed = f.printed.len;
        ck_assert(runtime_kill(f.rt, 3));
        ck_assert(f.over);
        ck_assert_int_eq(f.how, JOB_CANCELLED);
        ck_assert_str_eq(f.outcome,
                         "{\"type\":\"CancelledError\",\"message\":\"the job was killed\"}");
        ck_assert_uint_eq(f.n_wanted, 0);
        ck_assert(!runtime_kill(f.rt, 3));
        fixture_collect(&f);
        for (size_t i = 0; i < f.n_rows; i++) {
            ck_assert_ptr_nonnull(f.rows[i].result);
            ck_assert(!task_state_is_live(f.rows[i].state));
        }
        ck_assert_uint_eq(runtime_live_tasks(f.rt), 0);
        ck_assert(!runtime_tick(f.rt, 1000000000, 1000));
        ck_assert(runtime_next_us(f.rt) == INT64_MAX);
        ck_assert_uint_eq(f.printed.len, printed);
        ck_assert(!runtime_kill(f.rt, 3));
        fixture_release(&f);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("task rows");
    TCase *c = tcase_create("rows");
    tcase_set_timeout(c, 50);
    tcase_add_test(c, test_whole);
    tcase_add_test(c, test_damaged);
    tcase_add_test(c, test_damaged_turns);
    tcase_add_test(c, a_job_can_be_killed_at_any_step);
    suite_add_tcase(s, c);
    return s;
}
