#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/executor/ledger.h"
#include "daemon/executor/proctree.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/exec_journal.XXXXXX", path[64];
static int dirfd_;
static struct segment segment;
static struct journal_pen pen;

static void setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state", dir);
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert(segment_create(dirfd_, 1, 0, &segment, &pen, NULL));
}

static void teardown(void)
{
    char rm[80];
    close(pen.fd);
    close(dirfd_);
    snprintf(rm, sizeof rm, "rm -rf %s", dir);
    ck_assert_int_eq(system(rm), 0);
}

struct seen {
    size_t n;
    uint64_t numbers[64];
    size_t lens[64];
};

static void on_record(void *arg, struct segment *s, const struct journal_record *r)
{
    struct seen *seen = arg;
    (void)s;
    ck_assert_uint_lt(seen->n, 64);
    seen->lens[seen->n] = r->len;
    seen->numbers[seen->n++] = r->number;
}

static struct seen scan(struct segment *s)
{
    struct seen seen = {0};
    ck_assert(segment_scan(dirfd_, s, on_record, &seen, NULL));
    return seen;
}

START_TEST(records_come_back_in_order)
{
    char big[60000];
    memset(big, 'x', sizeof big);
    for (uint64_t n = 1; n <= 40; n++)
        ck_assert(journal_append(&pen, JOURNAL_END, n, big, n % 2 ? sizeof big : n));
    struct segment s;
    ck_assert(segment_open(dirfd_, 1, &s, NULL));
    struct seen seen = scan(&s);
    ck_assert_uint_eq(seen.n, 40);
    for (size_t i = 0; i < 40; i++) {
        ck_assert_uint_eq(seen.numbers[i], i + 1);
        ck_assert_uint_eq(seen.lens[i], (i + 1) % 2 ? sizeof big : i + 1);
    }
    ck_assert_uint_eq(scan(&s).n, 0); /* from where it was */
    ck_assert(journal_append(&pen, JOURNAL_END, 41, "", 0));
    ck_assert_uint_eq(scan(&s).n, 1);
}
END_TEST

/* A record that is torn at any byte hides nothing that comes behind it. */
START_TEST(torn_at_every_byte)
{
    char bytes[256];
    struct stat st;
    fstat(pen.fd, &st);
    off_t begin = st.st_size;
    ck_assert(journal_append(&pen, JOURNAL_END, 7, "payload", 7));
    fstat(pen.fd, &st);
    size_t len = (size_t)(st.st_size - begin);
    ck_assert_int_eq(pread(pen.fd, bytes, len, begin), (ssize_t)len);
    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(ftruncate(pen.fd, begin), 0);
        struct segment s = segment;
        ck_assert_int_eq(write(pen.fd, bytes, cut), (ssize_t)cut);
        ck_assert_uint_eq(scan(&s).n, 0);
        ck_assert(journal_append(&pen, JOURNAL_END, 8, "next", 4));
        struct seen seen = scan(&s);
        ck_assert_uint_eq(seen.n, 1);
        ck_assert_uint_eq(seen.numbers[0], 8);
    }
}
END_TEST

/* Torn records of all sizes around the reader's window. */
START_TEST(torn_at_the_window)
{
    static char big[65000];
    memset(big, 'y', sizeof big);
    for (size_t extra = 0; extra < 40; extra++) {
        struct segment s;
        struct journal_pen p;
        unsigned id = (unsigned)(10 + extra);
        ck_assert(segment_create(dirfd_, id, 0, &s, &p, NULL));
        /* Garbage up to just before the end of the first MiB, then records across it. */
        size_t garbage = 1024 * 1024 - 36 - 20 + extra;
        char *g = calloc(1, garbage);
        ck_assert_int_eq(write(p.fd, g, garbage), (ssize_t)garbage);
        free(g);
        ck_assert(journal_append(&p, JOURNAL_END, 1, big, extra % 2 ? sizeof big : 3));
        ck_assert(journal_append(&p, JOURNAL_END, 2, big, 5));
        ck_assert_uint_eq(scan(&s).n, 2);
        close(p.fd);
    }
}
END_TEST

START_TEST(a_header_is_checked)
{
    struct segment s;
    struct err err;
    int fd = openat(dirfd_, "00000001", O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "\1", 1, 20), 1); /* of the highest number */
    close(fd);
    ck_assert(!segment_open(dirfd_, 1, &s, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "header"));
    unsigned id;
    ck_assert(segment_name_parse("00000012", &id));
    ck_assert_uint_eq(id, 12);
    ck_assert(!segment_name_parse("00000012.bad", &id));
    ck_assert(!segment_name_parse("12", &id));
}
END_TEST

static int begin(struct ledger *l, uint64_t number, struct attempt **a)
{
    int fd = ledger_begin(l, number, a);
    ck_assert_int_ge(fd, 0);
    return fd;
}

START_TEST(a_ledger_remembers)
{
    struct statedir d;
    struct ledger l = {0};
    struct attempt *a;
    ck_assert(statedir_open(&d, path, NULL));
    ck_assert(ledger_open(&l, &d, NULL));
    int five = begin(&l, 5, &a), six = begin(&l, 6, &a);
    struct exec_end end = {.number = 6, .outcome = EXEC_EXITED, .text = ""};
    ck_assert(ledger_write_end(&l, a, &end));
    struct exec_end tomb = {.number = 9, .outcome = EXEC_NOT_STARTED, .text = "no"};
    ck_assert(ledger_tombstone(&l, &tomb));
    close(six);
    ck_assert_int_eq(ledger_is_locked(&l, 5), 1);
    ck_assert_int_eq(ledger_is_locked(&l, 6), 0);
    ck_assert_int_eq(statedir_lock(&d, 5), -1); /* its byte is another description's */
    ledger_close(&l);

    ck_assert(ledger_open(&l, &d, NULL));
    ck_assert_uint_eq(l.highest, 6);
    ck_assert_int_eq(ledger_find(&l, 5)->state, ATTEMPT_RUNNING);
    ck_assert_int_eq(ledger_find(&l, 6)->state, ATTEMPT_ENDED);
    a = ledger_find(&l, 9);
    ck_assert_int_eq(a->state, ATTEMPT_ENDED);
    struct buf b = {0};
    const char *payload;
    size_t len;
    ck_assert(ledger_read_end(&l, a, &b, &payload, &len));
    ck_assert(exec_get_end(payload, len, &end, NULL));
    ck_assert_str_eq(end.text, "no");
    buf_release(&b);
    for (uint64_t n = 5; n < 10; n++) {
        if (ledger_find(&l, n))
            ledger_settle(&l, ledger_find(&l, n));
    }
    ck_assert_uint_eq(l.n_attempts, 0);
    ck_assert_ptr_eq(l.segments, l.current); /* the old one is gone */
    ledger_close(&l);

    ck_assert(ledger_open(&l, &d, NULL));
    ck_assert_uint_eq(l.highest, 6);
    ck_assert_uint_eq(l.n_attempts, 0);
    ledger_close(&l);
    close(five);
    statedir_close(&d);
}
END_TEST

START_TEST(many_attempts)
{
    struct statedir d;
    struct ledger l = {0};
    struct attempt *a;
    ck_assert(statedir_open(&d, path, NULL));
    ck_assert(ledger_open(&l, &d, NULL));
    for (uint64_t n = 1; n <= 3000; n++)
        close(begin(&l, n, &a));
    for (uint64_t n = 1; n <= 3000; n++)
        ck_assert_uint_eq(ledger_find(&l, n)->number, n);
    for (uint64_t n = 3000; n >= 1; n--)
        ledger_settle(&l, ledger_find(&l, n));
    ck_assert_ptr_null(ledger_find(&l, 17));
    ledger_close(&l);
    statedir_close(&d);
}
END_TEST

START_TEST(a_directory_that_others_write_is_refused)
{
    struct statedir d;
    struct err err;
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(chmod(path, 0777), 0);
    ck_assert(!statedir_open(&d, path, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "others"));
    ck_assert_int_eq(chmod(path, 0700), 0);
    /* Its parts are never symbolic links. */
    ck_assert_int_eq(mkdirat(dirfd_, "elsewhere", 0700), 0);
    char link[80];
    snprintf(link, sizeof link, "%s/log", path);
    ck_assert_int_eq(symlink("../elsewhere", link), 0);
    ck_assert(!statedir_open(&d, path, &err));
}
END_TEST

START_TEST(processes_of_this_one)
{
    struct proc self;
    struct proc_list l = {0};
    ck_assert(proc_read(getpid(), &self));
    ck_assert_int_eq(self.ppid, getppid());
    ck_assert_int_eq(self.sid, getsid(0));
    ck_assert_uint_gt(self.start, 0);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    proc_list_read(&l);
    proc_list_keep_descendants(&l, getpid());
    ck_assert_uint_eq(l.n, 1);
    ck_assert_int_eq(l.v[0].pid, child);
    struct proc other = l.v[0];
    other.start++; /* another process with this pid */
    ck_assert(!proc_kill(&other, 9));
    ck_assert(proc_kill(&l.v[0], 9));
    proc_list_release(&l);
    ck_assert_uint_eq(proc_attempt(getpid(), "CORO_EXECUTOR=x"), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("exec journal");
    TCase *t = tcase_create("journal");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, records_come_back_in_order);
    tcase_add_test(t, torn_at_every_byte);
    tcase_add_test(t, torn_at_the_window);
    tcase_add_test(t, a_header_is_checked);
    tcase_add_test(t, a_ledger_remembers);
    tcase_add_test(t, many_attempts);
    tcase_add_test(t, a_directory_that_others_write_is_refused);
    tcase_add_test(t, processes_of_this_one);
    suite_add_tcase(s, t);
    return s;
}
