/* The runtime's calls: commands, budgets, cancelling, views, what is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "tests/unit/task_fixture.h"
#include "tests/unit/unit.h"

enum { JOB = 3 };

static const struct leaf_outcome ok = {.how = LEAF_EXITED, .out = "hi", .out_len = 2};

START_TEST(test_leaf)
{
    struct fixture f;
    fixture_init(&f, "{\"run\": [\"a\", \"b\"], \"env\": {\"X\": 5, \"Y\": null}, \"slots\": 2,"
                     " \"stdin\": \"in\", \"priority\": -3, \"pool\": \"gpu\"}");
    fixture_run(&f, 0);
    ck_assert_uint_eq(f.n_wanted, 1);
    struct leaf *leaf = f.wanted[0];
    ck_assert_uint_eq(leaf->task, 1);
    ck_assert_uint_eq(leaf->spec.slots, 2);
    ck_assert_int_eq(leaf->spec.priority, -3);
    ck_assert_str_eq(value_get_string(leaf->spec.pool, NULL), "gpu");
    ck_assert_str_eq(value_get_string(value_find(leaf->spec.env, "X"), NULL), "5");
    ck_assert_int_eq(value_type(value_find(leaf->spec.env, "Y")), VALUE_NULL);
    ck_assert(leaf->spec.check);
    runtime_leaf_launched(f.rt, leaf, 11, 0);
    ck_assert_ptr_eq(runtime_leaf_find(f.rt, 11), leaf);
    runtime_leaf_ended(f.rt, leaf, &ok);
    ck_assert_ptr_null(runtime_leaf_find(f.rt, 11));
    fixture_run(&f, 0);
    ck_assert(f.over);
    ck_assert_int_eq(f.how, JOB_SUCCEEDED);
    ck_assert_str_eq(f.outcome, "{\"exit\":0,\"signal\":null,\"stdout\":\"hi\",\"stderr\":\"\","
                                "\"duration\":0.0}");
    ck_assert_uint_eq(runtime_live_tasks(f.rt), 0);
    fixture_release(&f);
}
END_TEST

/* Wanted in the same order after a restart; one that ended before it is not wanted again. */
START_TEST(test_leaf_reload)
{
    struct fixture f;
    struct err err = {0};
    fixture_init(&f, "{\"gather\": [{\"run\": [\"a\"]}, {\"run\": [\"b\"]}, {\"run\": [\"c\"]},"
                     " {\"run\": [\"d\"]}]}");
    fixture_run(&f, 0);
    ck_assert_uint_eq(f.n_wanted, 4);
    runtime_leaf_launched(f.rt, f.wanted[1], 21, 0);
    runtime_leaf_launched(f.rt, f.wanted[3], 22, 0);
    runtime_leaf_ended(f.rt, f.wanted[3], &ok);
    fixture_collect(&f);
    ck_assert_msg(fixture_reload(&f, &err), "%s", err.text);
    ck_assert_uint_eq(f.n_wanted, 2);
    ck_assert_str_eq(value_get_string(value_item(f.wanted[0]->spec.argv, 0), NULL), "a");
    ck_assert_str_eq(value_get_string(value_item(f.wanted[1]->spec.argv, 0), NULL), "c");
    ck_assert_ptr_null(runtime_leaf_find(f.rt, 22));
    ck_assert_ptr_nonnull(runtime_leaf_find(f.rt, 21));
    runtime_leaf_ended(f.rt, runtime_leaf_find(f.rt, 21), &ok);
    for (unsigned i = 0; i < 2; i++) {
        runtime_leaf_launched(f.rt, f.wanted[i], 30 + i, 0);
        runtime_leaf_ended(f.rt, f.wanted[i], &ok);
    }
    fixture_run(&f, 0);
    ck_assert_int_eq(f.how, JOB_SUCCEEDED);
    fixture_release(&f);
}
END_TEST

START_TEST(test_leaf_cancel)
{
    struct fixture f;
    fixture_init(&f, "{\"gather\": [{\"run\": [\"a\"]}, {\"run\": [\"b\"]}]}");
    fixture_run(&f, 0);
    struct leaf *b = f.wanted[1];
    runtime_leaf_launched(f.rt, b, 5, 0);
    ck_assert(runtime_cancel(f.rt, JOB));
    ck_assert_uint_eq(f.n_dropped, 2);
    fixture_run(&f, 0);
    ck_assert_msg(!f.over, "the command has not ended");
    ck_assert(runtime_cancel(f.rt, JOB));
    ck_assert_uint_eq(f.n_dropped, 2);
    runtime_leaf_ended(f.rt, b, &ok); /* whatever its outcome */
    fixture_run(&f, 0);
    ck_assert(f.over);
    ck_assert_int_eq(f.how, JOB_CANCELLED);
    ck_assert(!runtime_cancel(f.rt, JOB));
    fixture_release(&f);
}
END_TEST

START_TEST(test_leaf_lost)
{
    struct fixture f;
    fixture_init(&f, "{\"run\": [\"a\"], \"on_lost\": \"retry\"}");
    fixture_run(&f, 0);
    struct leaf_outcome lost = {.how = LEAF_LOST, .text = "gone"};
    runtime_leaf_launched(f.rt, f.wanted[0], 5, 0);
    uint64_t seq = f.wanted[0]->seq;
    f.n_wanted = 0;
    runtime_leaf_ended(f.rt, runtime_leaf_find(f.rt, 5), &lost);
    ck_assert_uint_eq(f.n_wanted, 1);
    ck_assert_uint_gt(f.wanted[0]->seq, seq);
    ck_assert_uint_eq(f.wanted[0]->attempt, 0);
    runtime_leaf_launched(f.rt, f.wanted[0], 6, 0);
    runtime_leaf_ended(f.rt, f.wanted[0], &ok);
    fixture_run(&f, 0);
    ck_assert_int_eq(f.how, JOB_SUCCEEDED);
    fixture_release(&f);

    fixture_init(&f, "{\"run\": [\"a\"]}");
    fixture_run(&f, 0);
    runtime_leaf_launched(f.rt, f.wanted[0], 7, 0);
    runtime_leaf_ended(f.rt, f.wanted[0], &lost);
    fixture_run(&f, 0);
    ck_assert_int_eq(f.how, JOB_LOST);
    ck_assert_int_eq(f.rows[0].state, TASK_LOST);
    fixture_release(&f);
}
END_TEST

/* A command's timeout counts from its launch. */
START_TEST(test_leaf_timeout)
{
    struct fixture f;
    fixture_init(&f, "{\"run\": [\"a\"], \"timeout\": 2}");
    fixture_run(&f, 0);
    ck_assert_int_eq(runtime_next_us(f.rt), INT64_MAX);
    runtime_leaf_launched(f.rt, f.wanted[0], 7, 10000000);
    ck_assert_int_eq(runtime_next_us(f.rt), 12000000);
    fixture_run(&f, 12000000);
    ck_assert_uint_eq(f.n_dropped, 1);
    runtime_leaf_ended(f.rt, runtime_leaf_find(f.rt, 7), &ok);
    fixture_run(&f, 12500000);
    ck_assert_int_eq(f.how, JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(f.outcome, "TimeoutError"));
    fixture_release(&f);
}
END_TEST

/* A loop without an await cannot hold the others up. */
START_TEST(test_budget)
{
    struct fixture f;
    fixture_init(&f, "{\"while\": true, \"do\": {\"set\": {\"x\": 1}}}");
    struct mistakes m = {0};
    const char *text = "{\"print\": \"other\"}";
    struct program *other = program_parse(text, strlen(text), 10, runtime_kinds(), &m, &m);
    runtime_start(f.rt, 4, 0, other, 0);
    ck_assert(runtime_tick(f.rt, 0, 5000));
    ck_assert_str_eq(buf_cstr(&f.printed), "other\n");
    ck_assert(runtime_tick(f.rt, 0, 5000));
    program_unref(other);
    fixture_release(&f);
}
END_TEST

static bool view_line(void *arg, const struct task_view *v)
{
    buf_printf(arg, "%u<%u %s [%s] %s\n", v->id, v->parent, v->name, task_state_name(v->state),
               v->awaits);
    return true;
}

START_TEST(test_view)
{
    struct fixture f;
    fixture_init(&f, "{\"define\": {\"worker\": {\"params\": [], \"do\": {\"sleep\": 5}}},"
                     " \"main\": {\"gather\": [{\"call\": \"worker\"},"
                     " {\"run\": [\"sha256sum\", \"/x\"]}, {\"sleep\": 2, \"name\": \"napper\"},"
                     " [{\"sleep\": 0}]]}}");
    fixture_run(&f, 0);
    runtime_leaf_launched(f.rt, f.wanted[0], 9, 0);
    struct buf text = {0};
    ck_assert(runtime_view(f.rt, JOB, view_line, &text));
    ck_assert_str_eq(buf_cstr(&text), "1<0 main [suspended] gather of 4, 1 done\n"
                                      "2<1 worker [suspended] sleep, 5 s left\n"
                                      "3<1 run sha256sum /x [running] run sha256sum /x\n"
                                      "4<1 napper [suspended] sleep, 2 s left\n"
                                      "5<1 sleep [succeeded] \n");
    ck_assert(!runtime_view(f.rt, 99, view_line, &text));
    buf_release(&text);
    fixture_release(&f);
}
END_TEST

/* The ends of a gather's children do not write the gather again. */
START_TEST(test_gather_rows)
{
    struct fixture f;
    fixture_init(&f, "{\"gather\": {\"for\": \"i\", \"in\": {\"range\": 50}, \"do\":"
                     " {\"sleep\": {\"expr\": {\"+\": [1, {\"var\": \"i\"}]}}}}}");
    fixture_run(&f, 0);
    ck_assert_uint_eq(f.rows_written, 51);
    for (unsigned i = 1; i < 50; i++) {
        f.rows_written = 0;
        fixture_run(&f, i * 1000000);
        ck_assert_uint_eq(f.rows_written, 1);
    }
    /* What is done is not kept in memory by the queue, and can be loaded as it is. */
    struct err err = {0};
    ck_assert_msg(fixture_reload(&f, &err), "%s", err.text);
    fixture_run(&f, 50000000);
    ck_assert_int_eq(f.how, JOB_SUCCEEDED);
    fixture_release(&f);
}
END_TEST

/* A task of one batch: its row and its end. */
START_TEST(test_short_life)
{
    struct fixture f;
    fixture_init(&f, "[{\"create_task\": {\"print\": \"x\"}}, {\"sleep\": 1}]");
    fixture_run(&f, 0);
    ck_assert_uint_eq(f.n_rows, 2);
    ck_assert_uint_eq(f.rows[1].frame_len, 0);
    ck_assert_uint_eq(f.rows[1].end_seq, 1);
    ck_assert_int_eq(f.rows[1].state, TASK_SUCCEEDED);
    ck_assert_uint_eq(runtime_live_tasks(f.rt), 1);
    fixture_release(&f);
}
END_TEST

START_TEST(test_too_many_tasks)
{
    struct fixture f;
    fixture_init(&f, "{\"try\": {\"gather\": {\"for\": \"i\", \"in\": {\"range\": 5000000000},"
                     " \"do\": {\"sleep\": 1}}}, \"except\": [{\"as\": \"e\", \"do\":"
                     " {\"print\": \"${e.message}\"}}]}");
    fixture_run(&f, 0);
    ck_assert_ptr_nonnull(strstr(buf_cstr(&f.printed), "too many tasks"));
    fixture_release(&f);
}
END_TEST

/* A list of the document is not written again with each turn of a loop over it. */
START_TEST(test_rows_of_a_loop)
{
    struct buf list = {0};
    for (int i = 0; i < 1000; i++)
        buf_printf(&list, "%s%d", i ? "," : "[", i);
    buf_addch(&list, ']');
    static const char *const forms[] = {
        "{\"input\": {\"a\": 1, \"xs\": %s}, \"main\": [{\"for\": \"x\", \"in\": \"${xs}\", \"do\":"
        " [{\"sleep\": 1}, {\"print\": \"${x}\"}]}]}",
        "[{\"for\": \"x\", \"in\": %s, \"do\": [{\"sleep\": 1}, {\"print\": \"${x}\"}]}]",
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct fixture f;
        struct buf document = {0};
        const char *mark = strstr(forms[i], "%s");
        buf_add(&document, forms[i], (size_t)(mark - forms[i]));
        buf_addstr(&document, buf_cstr(&list));
        buf_addstr(&document, mark + 2);
        fixture_init(&f, buf_cstr(&document));
        fixture_run(&f, 0);
        ck_assert_uint_lt(f.rows[0].frame_len, 200);
        ck_assert(fixture_reload(&f, NULL));
        fixture_run(&f, 10000000);
        fixture_run(&f, 20000000);
        ck_assert_str_eq(buf_cstr(&f.printed), "0\n1\n");
        fixture_release(&f);
        buf_release(&document);
    }
    buf_release(&list);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("task runtime");
    TCase *c = tcase_create("runtime");
    tcase_add_test(c, test_leaf);
    tcase_add_test(c, test_leaf_reload);
    tcase_add_test(c, test_leaf_cancel);
    tcase_add_test(c, test_leaf_lost);
    tcase_add_test(c, test_leaf_timeout);
    tcase_add_test(c, test_budget);
    tcase_add_test(c, test_view);
    tcase_add_test(c, test_gather_rows);
    tcase_add_test(c, test_short_life);
    tcase_add_test(c, test_too_many_tasks);
    tcase_add_test(c, test_rows_of_a_loop);
    suite_add_tcase(s, c);
    return s;
}
