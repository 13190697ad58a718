#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "daemon/store/db.h"
#include "proto/mem.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/unit.h"

/* The parameters that the text of a statement names must be ?1 … ?n without a gap. */
static int highest_parameter(const char *sql)
{
    unsigned long long seen = 0;
    int highest = 0;
    for (const char *p = sql; (p = strchr(p, '?')); p++) {
        int n = atoi(p + 1);
        ck_assert_msg(n >= 1 && n < 64, "?%d in: %s", n, sql);
        seen |= 1ull << n;
        if (n > highest)
            highest = n;
    }
    ck_assert_msg(seen == ((2ull << highest) - 1 - 1), "a gap in the parameters of: %s", sql);
    return highest;
}

START_TEST(every_statement_fits_the_schema)
{
    struct db d;
    int fd;
    bool unchecked;
    ck_assert_msg(db_open_file(&d, "db", &fd, &unchecked, &fix_err), "%s", fix_err.text);
    for (enum statement s = 0; s < ST_COUNT; s++) {
        sqlite3_stmt *stmt = db_statement(&d, s, &fix_err);
        ck_assert_msg(stmt != NULL, "%s", statement_name(s));
        ck_assert_int_eq(sqlite3_bind_parameter_count(stmt), highest_parameter(statement_sql(s)));
    }
    db_release(&d);
    close(fd);
}
END_TEST

static int rows_seen;

static bool on_typed_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    static const int types[] = {CELL_INT,  CELL_NULL, CELL_REAL, CELL_TEXT,
                                CELL_BLOB, CELL_TEXT, CELL_NULL};
    int i = atoi(cell_str(row, 0, 0));
    const struct cell *c = cell_at(row, 0, 1);
    (void)arg;
    (void)err;
    ck_assert_uint_eq(set, 1);
    ck_assert_uint_eq(row->n, 1);
    ck_assert_uint_eq(row->columns, 2);
    ck_assert_int_eq((int)c->type, types[i]);
    if (i == 0)
        ck_assert_int_eq(cell_int(row, 0, 1), INT64_MIN);
    if (i == 2)
        ck_assert_double_eq(c->d, 0.1);
    if (i == 3)
        ck_assert_str_eq(cell_str(row, 0, 1), "käse");
    if (i == 4) {
        ck_assert_uint_eq(c->s.len, 3);
        ck_assert_mem_eq(c->s.p, "\0x\xff", 4); /* NUL behind */
    }
    if (i == 5)
        ck_assert_uint_eq(c->s.len, 0);
    rows_seen++;
    return true;
}

START_TEST(every_type_comes_back)
{
    struct batch b = {0};
    fix_open("db");
    for (int i = 0; i < 7; i++) {
        char name[2] = {(char)('0' + i), '\0'};
        batch_add(&b, ST_META_PUT);
        batch_str(&b, name);
        if (i == 0)
            batch_int(&b, INT64_MIN);
        else if (i == 1)
            batch_null(&b);
        else if (i == 2)
            batch_real(&b, 0.1);
        else if (i == 3)
            batch_text(&b, "käsexx", 5);
        else if (i == 4)
            batch_blob(&b, "\0x\xff", 3);
        else if (i == 5)
            batch_str(&b, "");
        /* 6: left out */
    }
    ck_assert_uint_eq(b.statements, 7);
    fix_commit(&b);
    fix_close();
    fix_open("db");
    batch_add(&b, ST_POOL_ALL);
    batch_add(&b, ST_META_ALL);
    ck_assert(store_scan(fix_store, &b, on_typed_row, NULL, &fix_err));
    ck_assert_int_eq(rows_seen, 7);
    batch_release(&b);
}
END_TEST

static bool stop_at_first(void *arg, size_t set, const struct rows *row, struct err *err)
{
    (void)arg;
    (void)set;
    (void)row;
    rows_seen++;
    return err_set(err, 77, "enough");
}

START_TEST(a_scan_stops_when_told_and_sees_the_last_value)
{
    struct batch b = {0};
    char value[32];
    fix_open("db");
    for (int i = 0; i < 1000; i++) {
        snprintf(value, sizeof value, "%d", i);
        fix_put(&b, "same", value);
    }
    fix_put(&b, "other", "1");
    fix_commit(&b);
    ck_assert_int_eq(fix_count("same", "999"), 1);
    ck_assert_int_eq(fix_count("same", "998"), 0);
    batch_add(&b, ST_META_ALL);
    ck_assert(!store_scan(fix_store, &b, stop_at_first, NULL, &fix_err));
    ck_assert_int_eq(fix_err.code, 77);
    ck_assert_int_eq(rows_seen, 1);
    batch_clear(&b);
    fix_put(&b, "same", "x"); /* a scan that was stopped holds nothing back */
    fix_commit(&b);
    ck_assert_int_eq(fix_count("same", "x"), 1);
    batch_release(&b);
}
END_TEST

/* Reading beside the loop. */

static int answers, wanted;
static int64_t last_value;

static bool all_answered(void)
{
    return answers == wanted;
}

static void on_rows(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    ck_assert_ptr_null(err);
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(sets[1].columns, 2);
    for (size_t i = 0; i < sets[1].n; i++) {
        if (strcmp(cell_str(&sets[1], i, 0), "k") == 0)
            last_value = atoll(cell_str(&sets[1], i, 1));
    }
    (void)arg;
    answers++;
}

static bool ask(void)
{
    struct batch q = {0};
    batch_add(&q, ST_POOL_ALL);
    batch_add(&q, ST_META_ALL);
    bool ok = store_read(fix_store, &q, on_rows, NULL, &fix_err);
    batch_release(&q);
    return ok;
}

START_TEST(many_may_ask_but_not_too_many)
{
    struct batch b = {0};
    fix_open("db");
    fix_put(&b, "k", "7");
    fix_commit(&b);
    for (wanted = 0; ask(); wanted++)
        ck_assert_int_lt(wanted, 1000);
    ck_assert_int_eq(fix_err.code, EBUSY);
    ck_assert_int_eq(wanted, 1000);
    fix_until(all_answered);
    ck_assert_int_eq((int)last_value, 7);
    ck_assert(ask());
    batch_release(&b);
}
END_TEST

START_TEST(reads_see_what_is_committed_while_others_write)
{
    struct batch b = {0};
    char value[32];
    fix_open("db");
    for (int i = 1; i <= 200; i++) {
        snprintf(value, sizeof value, "%d", i);
        fix_put(&b, "k", value);
        fix_commit(&b);
        wanted++;
        ck_assert(ask());
        fix_until(all_answered);
        ck_assert_int_eq((int)last_value, i);
    }
    struct store_stats st;
    store_get_stats(fix_store, &st);
    ck_assert_uint_eq(st.commits, 200);
    ck_assert_uint_eq(st.statements, 200);
    ck_assert_int_gt(st.max_commit_us, 0);
    ck_assert_int_ge(st.max_commit_us, st.last_commit_us);
    ck_assert_int_gt(st.wal_bytes, 0);
    batch_release(&b);
}
END_TEST

static void on_error(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    (void)arg;
    ck_assert_ptr_nonnull(err);
    ck_assert_ptr_null(sets);
    ck_assert_uint_eq(n, 0);
    answers++;
}

START_TEST(a_question_that_cannot_be_answered_is_an_error_not_the_end)
{
    struct batch b = {0};
    struct db d;
    int fd;
    bool unchecked;
    ck_assert(db_open_file(&d, "db", &fd, &unchecked, &fix_err));
    ck_assert(
        db_exec(&d,
                "INSERT INTO job(id, uuid, uid, gid, priority, labels, program, state, created)"
                " VALUES(1, 'u', 0, 0, 0, 'this is no JSON', 1, 1, 1)",
                &fix_err));
    db_release(&d);
    close(fd);
    fix_open("db");
    batch_add(&b, ST_JOB_LIST);
    for (int i = 1; i <= 11; i++) {
        if (i == 2 || i == 11)
            batch_int(&b, 0);
        else if (i == 5)
            batch_str(&b, "key");
        else if (i == 9)
            batch_int(&b, 10);
        else
            batch_null(&b);
    }
    wanted = 1;
    ck_assert(store_read(fix_store, &b, on_error, NULL, &fix_err));
    fix_until(all_answered);
    batch_release(&b);
}
END_TEST

static void on_never(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    (void)arg;
    (void)sets;
    (void)n;
    (void)err;
    ck_abort_msg("called after store_close()");
}

START_TEST(closing_forgets_who_asked)
{
    struct batch q = {0};
    fix_open("db");
    batch_add(&q, ST_META_ALL);
    for (int i = 0; i < 500; i++)
        ck_assert(store_read(fix_store, &q, on_never, NULL, &fix_err));
    fix_close();
    ck_assert(!fix_exists("db-wal"));
    ck_assert(!fix_exists("db-shm"));
    batch_release(&q);
}
END_TEST

START_TEST(draining_commits_and_tells)
{
    struct batch b = {0};
    fix_open("db");
    fix_put(&b, "k", "v");
    store_commit(fix_store, &b);
    ck_assert(store_is_committing(fix_store));
    ck_assert(store_drain(fix_store));
    ck_assert(!store_is_committing(fix_store));
    ck_assert_int_eq(fix_committed, 1);
    ck_assert(store_drain(fix_store)); /* nothing to do */
    ck_assert_int_eq(fix_committed, 1);
    batch_clear(&b);
    fix_put(&b, "k", "w");
    store_commit(fix_store, &b);
    fix_close(); /* what was handed over is still written */
    batch_release(&b);
    fix_open("db");
    ck_assert_int_eq(fix_count("k", "w"), 1);
}
END_TEST

static bool is_moved(void)
{
    struct stat st;
    return stat("db", &st) == 0 && st.st_size > 4 << 20;
}

static void look_again(void *arg)
{
    alarm_start(*(struct alarm **)arg, 1000);
}

START_TEST(the_log_is_moved_beside_the_commits)
{
    static char text[6 << 20];
    struct batch b = {0};
    memset(text, 'x', sizeof text - 1);
    fix_open("db");
    fix_put(&b, "k", text);
    fix_commit(&b);
    struct alarm *again = alarm_new(fix_loop, look_again, &again);
    alarm_start(again, 0);
    fix_until(is_moved);
    alarm_free(again);
    batch_release(&b);
}
END_TEST

/* 300 KB each; sanitizers make them slow. */
#ifdef COROD_SANITIZERS
#define STREAM_COMMITS 200
#else
#define STREAM_COMMITS 1000
#endif

/* Two batches in turns, so that the writer never rests. */
static struct {
    struct batch batches[2];
    size_t text_bytes;
    int next, left, begun_anew;
    int64_t log_bytes;
    off_t longest_bytes;
} stream;

static void look_at_log(void)
{
    struct stat st;
    struct store_stats stats;
    if (stat("db-wal", &st) == 0 && st.st_size > stream.longest_bytes)
        stream.longest_bytes = st.st_size;
    store_get_stats(fix_store, &stats);
    stream.begun_anew += stats.wal_bytes < stream.log_bytes;
    stream.log_bytes = stats.wal_bytes;
}

static bool stream_on(void)
{
    static char text[100000];
    if (store_is_committing(fix_store))
        return false;
    look_at_log();
    struct batch *b = &stream.batches[stream.next ^= 1];
    memset(text, 'x', sizeof text);
    batch_clear(b);
    for (int i = 0; i < 3; i++) {
        batch_add(b, ST_META_PUT);
        batch_int(b, (3 * stream.left + i) % 50);
        batch_text(b, text, stream.text_bytes);
    }
    store_commit(fix_store, b);
    return --stream.left == 0;
}

static void stream_run(int commits, size_t text_bytes)
{
    fix_open("db");
    stream.left = commits;
    stream.text_bytes = text_bytes;
    fix_until(stream_on);
    fix_close();
    batch_release(&stream.batches[0]);
    batch_release(&stream.batches[1]);
}

START_TEST(the_log_is_moved_and_stays_short)
{
    struct stat st;
    stream_run(STREAM_COMMITS, 100000);
    ck_assert_int_gt(stream.longest_bytes, 1 << 20);
    ck_assert_int_lt(stream.longest_bytes, 100 << 20);
    ck_assert_int_eq(stat("db", &st), 0);
    ck_assert_int_gt(st.st_size, 4 << 20);
}
END_TEST

/* Small commits that never pause, 14,000 pages: it is written over instead of growing. */
START_TEST(the_log_begins_anew_under_load)
{
    stream_run(2000, 3000);
    ck_assert_int_ge(stream.begun_anew, 4);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    tcase_add_checked_fixture(t, fix_enter, fix_leave);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_statement_fits_the_schema);
    tcase_add_test(t, every_type_comes_back);
    tcase_add_test(t, a_scan_stops_when_told_and_sees_the_last_value);
    tcase_add_test(t, many_may_ask_but_not_too_many);
    tcase_add_test(t, reads_see_what_is_committed_while_others_write);
    tcase_add_test(t, a_question_that_cannot_be_answered_is_an_error_not_the_end);
    tcase_add_test(t, closing_forgets_who_asked);
    tcase_add_test(t, draining_commits_and_tells);
    tcase_add_test(t, the_log_is_moved_beside_the_commits);
    tcase_add_test(t, the_log_is_moved_and_stays_short);
    tcase_add_test(t, the_log_begins_anew_under_load);
    suite_add_tcase(s, t);
    return s;
}
