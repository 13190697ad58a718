#include <string.h>

#include "daemon/sched/pool.h"
#include "tests/unit/unit.h"

static struct leaf make_leaf(uint64_t seq, int32_t priority, uint32_t slots)
{
    struct leaf leaf = {.seq = seq};
    leaf.spec.priority = priority;
    leaf.spec.slots = slots;
    return leaf;
}

static void enter(struct pools *p, struct leaf *leaf, const char *name)
{
    struct err err;
    ck_assert_msg(pools_enter(p, leaf, name, false, NULL, &err), "%s", err.text);
}

START_TEST(first_come_within_priority)
{
    struct pools *p = pools_new(1);
    struct leaf a = make_leaf(1, 0, 1), b = make_leaf(2, 0, 1), c = make_leaf(3, 5, 1);
    enter(p, &b, "default");
    enter(p, &a, "default");
    enter(p, &c, "default");
    struct leaf *expected[] = {&c, &a, &b};
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(pools_next(p), expected[i]);
        ck_assert(!pools_is_waiting(expected[i]));
        ck_assert_ptr_null(pools_next(p));
        pools_leave(expected[i]);
    }
    ck_assert_ptr_null(pools_next(p));
    pools_free(p);
}
END_TEST

START_TEST(many_slots_are_not_overtaken)
{
    struct err err;
    struct pools *p = pools_new(1);
    ck_assert(pools_set(p, "gpu", 4, &err));
    struct leaf small = make_leaf(1, 0, 2), big = make_leaf(2, 0, 4), late = make_leaf(3, 0, 1);
    enter(p, &small, "gpu");
    enter(p, &big, "gpu");
    enter(p, &late, "gpu");
    ck_assert_ptr_eq(pools_next(p), &small);
    ck_assert_ptr_null(pools_next(p));
    pools_leave(&small);
    ck_assert_ptr_eq(pools_next(p), &big);
    ck_assert_ptr_null(pools_next(p));
    pools_leave(&big);
    ck_assert_ptr_eq(pools_next(p), &late);
    pools_leave(&late);
    pools_free(p);
}
END_TEST

START_TEST(a_pool_may_shrink_below_what_is_taken)
{
    struct err err;
    struct pools *p = pools_new(3);
    struct leaf l[5];
    for (uint64_t i = 0; i < 5; i++) {
        l[i] = make_leaf(i, 0, i == 4 ? 3 : 1);
        enter(p, &l[i], "default");
    }
    for (int i = 0; i < 3; i++)
        ck_assert_ptr_eq(pools_next(p), &l[i]);
    ck_assert(pools_set(p, "default", 1, &err));
    pools_leave(&l[0]);
    ck_assert_ptr_null(pools_next(p));
    pools_leave(&l[1]);
    pools_leave(&l[2]);
    ck_assert_ptr_eq(pools_next(p), &l[3]);
    pools_leave(&l[3]);
    ck_assert_ptr_eq(pools_next(p), &l[4]); /* needs more than there is now: alone */
    pools_leave(&l[4]);
    pools_free(p);
}
END_TEST

START_TEST(what_can_never_start_is_refused)
{
    struct err err;
    struct pools *p = pools_new(2);
    struct leaf l = make_leaf(1, 0, 3);
    ck_assert(!pools_enter(p, &l, "default", false, NULL, &err));
    ck_assert_str_eq(err.text, "needs 3 slots, pool \"default\" has 2");
    ck_assert(pools_enter(p, &l, "default", true, NULL, &err)); /* after a restart */
    ck_assert_ptr_eq(pools_next(p), &l);
    pools_leave(&l);
    l.spec.slots = 1;
    ck_assert(!pools_enter(p, &l, "gpu", false, NULL, &err));
    ck_assert(strstr(err.text, "there is no pool \"gpu\""));
    ck_assert_ptr_null(l.user);
    ck_assert(!pools_set(p, "", 1, &err));
    ck_assert(!pools_set(p, "a b", 1, &err));
    ck_assert(!pools_set(p, "gpu", 0, &err));
    ck_assert(!pools_set(p, "gpu", POOL_MAX_SLOTS + 1, &err));
    pools_free(p);
}
END_TEST

START_TEST(leaving_the_line_and_running_after_a_restart)
{
    struct pools *p = pools_new(1);
    struct leaf running = make_leaf(1, 0, 1), gone = make_leaf(2, 0, 1), next = make_leaf(3, 0, 1);
    pools_enter_running(p, &running, "default");
    enter(p, &gone, "default");
    enter(p, &next, "default");
    ck_assert_ptr_null(pools_next(p));
    pools_leave(&gone);
    pools_leave(&gone); /* once is enough, twice does no harm */
    pools_leave(&running);
    ck_assert_ptr_eq(pools_next(p), &next);
    pools_leave(&next);
    pools_free(p);
}
END_TEST

START_TEST(a_paused_job_is_passed_and_keeps_its_place)
{
    struct pools *p = pools_new(1);
    struct leaf a = make_leaf(1, 0, 1), b = make_leaf(2, 0, 1), c = make_leaf(3, 0, 1);
    struct leaf urgent = make_leaf(4, 9, 1), late = make_leaf(5, 0, 1);
    a.job = b.job = urgent.job = late.job = 7;
    c.job = 8;
    enter(p, &a, "default");
    enter(p, &b, "default");
    enter(p, &c, "default");
    pools_pause_job(p, 7);
    pools_pause_job(p, 7);
    enter(p, &urgent, "default");
    ck_assert_ptr_eq(pools_next(p), &c); /* those before it are put aside */
    ck_assert_ptr_null(pools_next(p));
    pools_leave(&c);
    ck_assert_ptr_null(pools_next(p));
    ck_assert(pools_is_waiting(&a));
    pools_leave(&b); /* out of those that are put aside */
    enter(p, &late, "default");
    pools_resume_job(p, 7);
    pools_resume_job(p, 7);
    struct leaf *expected[] = {&urgent, &a, &late};
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(pools_next(p), expected[i]);
        pools_leave(expected[i]);
    }
    ck_assert_ptr_null(pools_next(p));
    enter(p, &a, "default");
    pools_pause_job(p, 7);
    ck_assert_ptr_null(pools_next(p));
    pools_free(p);
    ck_assert_ptr_null(a.user);
}
END_TEST

static void expect_pool(void *arg, const struct pool_stats *s)
{
    const struct pool_stats *want = arg;
    ck_assert_str_eq(s->name, want->name);
    ck_assert_uint_eq(s->taken, want->taken);
    ck_assert_uint_eq(s->waiting, want->waiting);
    ck_assert(s->paused == want->paused);
}

START_TEST(a_paused_pool_starts_nothing)
{
    struct err err;
    struct pools *p = pools_new(2);
    struct leaf a = make_leaf(1, 0, 1), b = make_leaf(2, 0, 1);
    ck_assert(!pools_pause(p, "gpu", true, &err));
    ck_assert_str_eq(err.text, "there is no pool \"gpu\"");
    enter(p, &a, "default");
    ck_assert_ptr_eq(pools_next(p), &a);
    ck_assert(pools_pause(p, "default", true, &err));
    enter(p, &b, "default");
    ck_assert_ptr_null(pools_next(p));
    struct pool_stats want = {.name = "default", .taken = 1, .waiting = 1, .paused = true};
    pools_each(p, expect_pool, &want);
    ck_assert(pools_pause(p, "default", false, &err));
    ck_assert_ptr_eq(pools_next(p), &b);
    want = (struct pool_stats){.name = "default", .taken = 2};
    pools_each(p, expect_pool, &want);
    pools_leave(&a);
    pools_leave(&b);
    pools_free(p);
}
END_TEST

START_TEST(those_of_a_job_are_taken_out_of_their_lines)
{
    struct err err;
    struct pools *p = pools_new(1);
    struct place_list siblings = LIST_HEAD_INITIALIZER(siblings);
    struct leaf l[4], other = make_leaf(9, 0, 1), **taken;
    for (uint64_t i = 0; i < 4; i++) {
        l[i] = make_leaf(i, 0, 1);
        l[i].job = 7;
        ck_assert(pools_enter(p, &l[i], "default", false, &siblings, &err));
    }
    enter(p, &other, "default");
    ck_assert_ptr_eq(pools_next(p), &l[0]); /* waits no more */
    pools_leave(&l[1]);
    pools_leave(&l[0]);
    pools_pause_job(p, 7);
    ck_assert_ptr_eq(pools_next(p), &other); /* the others are put aside, and taken all the same */
    ck_assert_uint_eq(pools_take(&siblings, &taken), 2);
    ck_assert(LIST_EMPTY(&siblings) && !l[2].user && !l[3].user);
    free(taken);
    ck_assert_uint_eq(pools_take(&siblings, &taken), 0);
    pools_leave(&other);
    pools_resume_job(p, 7);
    ck_assert_ptr_null(pools_next(p));
    pools_free(p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("pool");
    TCase *t = tcase_create("pool");
    tcase_add_test(t, first_come_within_priority);
    tcase_add_test(t, many_slots_are_not_overtaken);
    tcase_add_test(t, a_pool_may_shrink_below_what_is_taken);
    tcase_add_test(t, what_can_never_start_is_refused);
    tcase_add_test(t, leaving_the_line_and_running_after_a_restart);
    tcase_add_test(t, a_paused_job_is_passed_and_keeps_its_place);
    tcase_add_test(t, a_paused_pool_starts_nothing);
    tcase_add_test(t, those_of_a_job_are_taken_out_of_their_lines);
    suite_add_tcase(s, t);
    return s;
}
