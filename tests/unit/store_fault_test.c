/* What goes wrong: files that are not ours, full disks, the process killed. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "proto/mem.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/unit.h"

static bool has_trouble(void)
{
    return fix_troubles > 0;
}

static void raw_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &why) == SQLITE_OK, "%s", why);
    sqlite3_close(db);
}

/* A database of ours with some rows. */
static void make_database(void)
{
    struct batch b = {0};
    fix_open("db");
    for (int i = 0; i < 200; i++) {
        char name[200];
        snprintf(name, sizeof name, "%0180d", i);
        fix_put(&b, name, name);
    }
    fix_commit(&b);
    fix_close();
    batch_release(&b);
}

static void expect_refusal(const char *says)
{
    size_t before_n, after_n;
    cleanup_free char *before = fix_read_file("db", &before_n);
    struct stat st1, st2;
    stat("db", &st1);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_msg(strstr(fix_err.text, says) != NULL, "%s", fix_err.text);
    ck_assert_msg(strstr(fix_err.text, "db") != NULL, "%s", fix_err.text);
    cleanup_free char *after = fix_read_file("db", &after_n);
    stat("db", &st2);
    ck_assert_uint_eq(after_n, before_n);
    ck_assert_mem_eq(after, before, after_n);
    ck_assert_int_eq(st1.st_mtim.tv_nsec, st2.st_mtim.tv_nsec);
    ck_assert_uint_eq(st1.st_mode, st2.st_mode);
    ck_assert(!fix_exists("db-wal"));
    ck_assert(!fix_exists("db-shm"));
    ck_assert(!fix_exists("db-journal"));
}

START_TEST(a_text_file_is_refused)
{
    static const char text[] = "Dear diary, today I was nearly overwritten by a daemon.\n";
    fix_write_file("db", text, sizeof text - 1);
    expect_refusal("not a SQLite file");
    fix_write_file("db", "x", 1);
    expect_refusal("not a SQLite file");
}
END_TEST

START_TEST(another_programs_database_is_refused)
{
    raw_sql("db", "CREATE TABLE bookmarks(url)");
    expect_refusal("another program");
    raw_sql("db", "PRAGMA application_id = 7; PRAGMA journal_mode = WAL");
    expect_refusal("another program");
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    make_database();
    raw_sql("db", "PRAGMA user_version = 9999");
    expect_refusal("newer corod");
}
END_TEST

START_TEST(a_short_file_is_refused)
{
    size_t n;
    make_database();
    cleanup_free char *all = fix_read_file("db", &n);
    size_t cut[] = {99, 100, 4096, n / 2, n - 1};
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        fix_write_file("db", all, cut[i]);
        expect_refusal(cut[i] < 100 ? "not a SQLite file" : "is damaged");
    }
    fix_write_file("db", all, n);
    fix_open("db");
}
END_TEST

START_TEST(a_damaged_page_is_refused)
{
    size_t n;
    make_database();
    cleanup_free char *all = fix_read_file("db", &n);
    memset(all + n - 8192, 0x5a, 4096);
    fix_write_file("db", all, n);
    expect_refusal("is damaged");
    ck_assert_ptr_nonnull(strstr(fix_err.text, "backup"));
}
END_TEST

START_TEST(a_schema_that_somebody_changed_is_refused)
{
    make_database();
    raw_sql("db", "ALTER TABLE task RENAME COLUMN frame TO picture");
    expect_refusal("is damaged");
}
END_TEST

/* After a kill the log lies beside the file, and is not lost with the refusal. */
static void leave_log(void)
{
    struct batch b = {0};
    fix_open("db");
    fix_put(&b, "k", "in the log");
    fix_commit(&b);
    kill(getpid(), SIGKILL);
}

START_TEST(a_refusal_keeps_the_log)
{
    size_t n, wal_n, after_n;
    make_database();
    ck_assert(WIFSIGNALED(fix_in_child(NULL, leave_log)));
    cleanup_free char *all = fix_read_file("db", &n), *damaged = xmemdup(all, n);
    cleanup_free char *wal = fix_read_file("db-wal", &wal_n);
    ck_assert_uint_gt(wal_n, 0);
    memset(damaged + n - 8192, 0x5a, 4096);
    fix_write_file("db", damaged, n);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_ptr_nonnull(strstr(fix_err.text, "is damaged"));
    cleanup_free char *wal_after = fix_read_file("db-wal", &after_n);
    ck_assert_uint_eq(after_n, wal_n);
    ck_assert_mem_eq(wal_after, wal, wal_n);
    cleanup_free char *db_after = fix_read_file("db", &after_n);
    ck_assert_uint_eq(after_n, n);
    ck_assert_mem_eq(db_after, damaged, n);
    fix_write_file("db", all, n);
    fix_open("db");
    ck_assert_int_eq(fix_count("k", "in the log"), 1);
}
END_TEST

START_TEST(a_database_in_use_is_refused)
{
    int fd = open("db", O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(flock(fd, LOCK_EX), 0);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_int_eq(fix_err.code, EBUSY);
    ck_assert_ptr_nonnull(strstr(fix_err.text, "another corod"));
    close(fd);
    fix_open("db");
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    ck_assert_int_eq(mkdir("db", 0700), 0);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_int_eq(rmdir("db"), 0);
    ck_assert_int_eq(mkfifo("db", 0600), 0);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_ptr_nonnull(strstr(fix_err.text, "not a regular file"));
    ck_assert_ptr_null(fix_try_open("no/such/dir/db"));
    ck_assert_int_eq(fix_err.code, ENOENT);
}
END_TEST

START_TEST(the_file_is_its_owners_whatever_the_umask)
{
    static const char *const names[] = {"db", "db-wal", "db-shm", "file:db?mode=memory"};
    static const mode_t umasks[] = {0, 0777};
    struct stat st;
    for (size_t i = 0; i < ARRAY_LEN(umasks); i++) {
        mode_t old = umask(umasks[i]);
        fix_open("db");
        umask(old);
        for (size_t j = 0; j < 3; j++) {
            ck_assert_msg(stat(names[j], &st) == 0, "%s", names[j]);
            ck_assert_uint_eq(st.st_mode & 07777, 0600);
        }
        fix_close();
        unlink("db");
    }
    fix_open(names[3]); /* a path, not a URI */
    ck_assert(fix_exists(names[3]));
}
END_TEST

#ifdef COROD_ERRINJ
/* Killed. */

static void commit_three(void)
{
    struct batch b = {0};
    fix_open("db");
    static const char *const values[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        fix_put(&b, values[i], "v");
        fix_put(&b, "last", values[i]);
        fix_commit(&b);
    }
}

static void expect_last(const char *errinj, const char *last)
{
    int status = fix_in_child(errinj, commit_three);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fix_open("db");
    ck_assert_int_eq(fix_count("last", last), 1);
    ck_assert_int_eq(fix_count(last, "v"), 1);
    ck_assert_int_eq(fix_count("three", "v"), 0);
    fix_close();
}

/* One each: a process reads its fault points once, and opening a file passes some. */
START_TEST(killed_before_a_commit)
{
    expect_last("STORE_BEFORE_COMMIT=2", "one");
}
END_TEST

START_TEST(killed_after_a_commit)
{
    expect_last("STORE_AFTER_COMMIT=2", "two");
}
END_TEST

START_TEST(killed_while_the_schema_is_made)
{
    int status = fix_in_child("STORE_IN_MIGRATION", commit_three);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    fix_open("db");
    ck_assert_int_eq(fix_count("last", "one"), 0);
}
END_TEST

static bool is_committed(void)
{
    return fix_committed > 0;
}

static void fail_once(const char *errinj, int code)
{
    struct batch b = {0};
    setenv("COROD_ERRINJ", errinj, 1);
    fix_open("db");
    fix_put(&b, "k", "v");
    store_commit(fix_store, &b);
    fix_until(has_trouble);
    ck_assert_int_eq(fix_trouble.code, code);
    ck_assert_msg(strstr(fix_trouble.text, "cannot write the database db") != NULL, "%s",
                  fix_trouble.text);
    ck_assert_int_eq(fix_committed, 0);
    ck_assert(store_is_committing(fix_store));
    ck_assert_int_eq(fix_count("k", "v"), 0);
    fix_until(is_committed);
    ck_assert_int_eq(fix_troubles, 1);
    ck_assert_int_eq(fix_recovered, 1);
    ck_assert_int_eq(fix_committed, 1);
    ck_assert_int_eq(fix_count("k", "v"), 1);
    batch_release(&b);
}

START_TEST(a_full_disk_is_waited_for)
{
    fail_once("STORE_COMMIT_FULL:fail", ENOSPC);
}
END_TEST

START_TEST(an_io_error_is_waited_for)
{
    fail_once("STORE_COMMIT_IOERR:fail", EIO);
}
END_TEST

START_TEST(a_drain_in_trouble_tries_once_more_at_once)
{
    struct batch b = {0};
    setenv("COROD_ERRINJ", "STORE_COMMIT_FULL:fail", 1);
    fix_open("db");
    fix_put(&b, "k", "v");
    store_commit(fix_store, &b);
    fix_until(has_trouble);
    ck_assert(store_drain(fix_store));
    ck_assert_int_eq(fix_committed, 1);
    ck_assert_int_eq(fix_recovered, 1);
    batch_release(&b);
}
END_TEST
#endif /* COROD_ERRINJ */

/* A file system of our own; false: not allowed here. */
static bool mount_tmpfs(const char *options)
{
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", ".", "tmpfs", 0, options) < 0) {
        fprintf(stderr, "cannot mount a tmpfs (%s): not tested\n", strerror(errno));
        return false;
    }
    cleanup_free char *here = getcwd(NULL, 0);
    ck_assert_int_eq(chdir(here), 0);
    return true;
}

static void unmount(void)
{
    cleanup_free char *here = getcwd(NULL, 0);
    fix_close();
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(umount2(here, MNT_DETACH), 0);
}

static bool fix_recovered_once(void)
{
    return fix_recovered > 0;
}

static void fill_disk(void)
{
    static const char zeros[4096];
    int fd = open("ballast", O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

START_TEST(a_really_full_disk)
{
    struct batch b = {0};
    static char text[20000];
    memset(text, 'x', sizeof text - 1);
    if (!mount_tmpfs("size=2m"))
        return;
    fix_open("db");
    fix_put(&b, "first", "v");
    fix_commit(&b);
    fill_disk();
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d", i);
        fix_put(&b, name, text);
    }
    fix_put(&b, "second", "v");
    store_commit(fix_store, &b);
    fix_until(has_trouble);
    ck_assert_msg(fix_trouble.code == ENOSPC, "%s", fix_trouble.text);
    ck_assert(!store_drain(fix_store));
    ck_assert_int_eq(fix_committed, 1);
    ck_assert_int_eq(fix_count("first", "v"), 1);
    ck_assert_int_eq(fix_count("second", "v"), 0);
    ck_assert_int_eq(unlink("ballast"), 0);
    fix_until(fix_recovered_once);
    ck_assert_int_eq(fix_committed, 2);
    ck_assert_int_eq(fix_troubles, 1);
    ck_assert_int_eq(fix_count("second", "v"), 1);
    unmount();
    batch_release(&b);
}
END_TEST

START_TEST(no_room_to_create)
{
    if (!mount_tmpfs("size=64k"))
        return;
    fill_disk();
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_msg(fix_err.code == ENOSPC, "%s", fix_err.text);
    ck_assert(!fix_exists("db"));
    ck_assert(!fix_exists("db-journal"));
    ck_assert_int_eq(unlink("ballast"), 0);
    unmount();
}
END_TEST

START_TEST(a_read_only_file_system)
{
    if (!mount_tmpfs("size=2m"))
        return;
    make_database();
    cleanup_free char *here = getcwd(NULL, 0);
    ck_assert_int_eq(mount("none", here, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    ck_assert_ptr_null(fix_try_open("db"));
    ck_assert_msg(fix_err.code == EROFS, "%s", fix_err.text);
    ck_assert_ptr_null(fix_try_open("new"));
    ck_assert_msg(fix_err.code == EROFS, "%s", fix_err.text);
    unmount();
}
END_TEST

static void open_as_nobody(void)
{
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
        _exit(3);
    if (fix_try_open("db") || fix_err.code != EACCES)
        _exit(4);
}

START_TEST(a_directory_that_may_not_be_written)
{
    ck_assert_int_eq(chmod(".", 0555), 0);
    int status = fix_in_child(NULL, open_as_nobody);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert(!fix_exists("db"));
    ck_assert_int_eq(chmod(".", 0755), 0);
    make_database();
    ck_assert_int_eq(chmod("db", 0666), 0);
    ck_assert_int_eq(chmod(".", 0555), 0);
    status = fix_in_child(NULL, open_as_nobody);
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert(!fix_exists("db-wal"));
    ck_assert_int_eq(chmod(".", 0755), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("store_fault");
    TCase *t = tcase_create("refused");
    tcase_add_checked_fixture(t, fix_enter, fix_leave);
    tcase_add_test(t, a_text_file_is_refused);
    tcase_add_test(t, another_programs_database_is_refused);
    tcase_add_test(t, a_newer_schema_is_refused);
    tcase_add_test(t, a_short_file_is_refused);
    tcase_add_test(t, a_damaged_page_is_refused);
    tcase_add_test(t, a_schema_that_somebody_changed_is_refused);
    tcase_add_test(t, a_refusal_keeps_the_log);
    tcase_add_test(t, a_database_in_use_is_refused);
    tcase_add_test(t, what_is_no_file_is_refused);
    tcase_add_test(t, the_file_is_its_owners_whatever_the_umask);
    tcase_add_test(t, a_read_only_file_system);
    tcase_add_test(t, no_room_to_create);
    tcase_add_test(t, a_directory_that_may_not_be_written);
    suite_add_tcase(s, t);
    t = tcase_create("fails later");
    tcase_add_checked_fixture(t, fix_enter, fix_leave);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_really_full_disk);
#ifdef COROD_ERRINJ
    tcase_add_test(t, killed_before_a_commit);
    tcase_add_test(t, killed_after_a_commit);
    tcase_add_test(t, killed_while_the_schema_is_made);
    tcase_add_test(t, a_full_disk_is_waited_for);
    tcase_add_test(t, an_io_error_is_waited_for);
    tcase_add_test(t, a_drain_in_trouble_tries_once_more_at_once);
#endif
    suite_add_tcase(s, t);
    return s;
}
