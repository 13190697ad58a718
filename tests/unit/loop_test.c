#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/base/listen.h"
#include "daemon/base/loop.h"
#include "proto/log.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

static struct loop *loop;
static struct err err;

static void setup(void)
{
    loop = loop_new(&err);
    ck_assert_ptr_nonnull(loop);
}

static void teardown(void)
{
    loop_free(loop);
}

static char order[64];
static char mark[] = "x";

static void note(void *arg)
{
    strncat(order, arg, sizeof order - strlen(order) - 1);
}

static void note_and_stop(void *arg)
{
    note(arg);
    loop_stop(loop);
}

START_TEST(timers_come_in_the_order_of_their_deadlines)
{
    struct alarm *t[5];
    static char names[] = "a\0b\0c\0d\0e";
    static const int64_t delays_us[] = {3000, 1000, 20000, -5, 2000};
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        t[i] = alarm_new(loop, i == 2 ? note_and_stop : note, names + 2 * i);
        alarm_start(t[i], delays_us[i]);
    }
    alarm_start(t[0], 10000); /* moves it */
    alarm_stop(t[4]);
    int64_t begun_us = clock_boot_us();
    loop_run(loop, NULL, NULL);
    ck_assert_int_ge(clock_boot_us() - begun_us, 20000);
    ck_assert_str_eq(order, "dbac");
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        alarm_free(t[i]);
}
END_TEST

enum { MANY = 1000 };
static struct {
    struct alarm *timer;
    int64_t deadline_us;
} many[MANY];
static int due;
static int64_t last_us;

static void on_one_of_many(void *arg)
{
    size_t i = (size_t)(uintptr_t)arg;
    ck_assert_int_ge(clock_boot_us(), many[i].deadline_us);
    /* Read before alarm_start() read the clock: two that are a microsecond apart may change places.
     */
    ck_assert_int_ge(many[i].deadline_us, last_us - 500);
    last_us = many[i].deadline_us;
    alarm_free(many[i].timer);
    many[i].timer = NULL;
    due++;
}

START_TEST(many_timers_some_stopped)
{
    unsigned seed = 1;
    int stopped = 0;
    for (size_t i = 0; i < MANY; i++) {
        int64_t delay_us = rand_r(&seed) % 50 * 1000;
        many[i].timer = alarm_new(loop, on_one_of_many, (void *)(uintptr_t)i);
        many[i].deadline_us = clock_boot_us() + delay_us;
        alarm_start(many[i].timer, delay_us);
    }
    for (size_t i = 0; i < MANY; i += 3, stopped++) {
        alarm_free(many[i].timer);
        many[i].timer = NULL;
    }
    struct alarm *end = alarm_new(loop, note_and_stop, mark);
    alarm_start(end, 100000);
    loop_run(loop, NULL, NULL);
    alarm_free(end);
    ck_assert_int_eq(due, MANY - stopped);
}
END_TEST

static int rounds, turns;

static void on_again(void *arg)
{
    struct alarm **t = arg;
    if (++rounds == 100)
        loop_stop(loop);
    alarm_start(*t, 0);
}

static bool count_turn(void *arg)
{
    (void)arg;
    turns++;
    return false;
}

START_TEST(a_timer_that_starts_itself_does_not_hold_the_loop)
{
    struct alarm *t = alarm_new(loop, on_again, &t);
    alarm_start(t, 0);
    loop_run(loop, count_turn, NULL);
    ck_assert_int_eq(turns, 100);
    alarm_free(t);
}
END_TEST

static bool more_work(void *arg)
{
    int *left = arg;
    if (--*left == 0)
        loop_stop(loop);
    return true;
}

START_TEST(a_turn_with_work_left_does_not_wait)
{
    int left = 1000;
    int64_t begun_us = clock_boot_us();
    struct alarm *t = alarm_new(loop, note, mark); /* wakes the first turn */
    alarm_start(t, 0);
    loop_run(loop, more_work, &left);
    ck_assert_int_eq(left, 0);
    ck_assert_int_lt(clock_boot_us() - begun_us, 5000000);
    alarm_free(t);
}
END_TEST

static struct io *own_io;
static int own_fd;

static void on_readable(void *arg, unsigned what)
{
    char c;
    (void)arg;
    ck_assert_uint_eq(what, IO_READ);
    ck_assert_int_eq(read(own_fd, &c, 1), 1);
    io_free(own_io);
    own_io = NULL;
    loop_stop(loop);
}

static void on_writable(void *arg, unsigned what)
{
    int *fd = arg;
    ck_assert_uint_eq(what, IO_WRITE);
    ck_assert_int_eq(write(*fd, "x", 1), 1);
    note(mark);
}

static struct io *writer_io;

static void on_writable_once(void *arg, unsigned what)
{
    on_writable(arg, what);
    io_want(writer_io, 0);
}

START_TEST(descriptors)
{
    int fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    own_fd = fds[0];
    own_io = io_new(loop, fds[0], IO_READ, on_readable, NULL);
    writer_io = io_new(loop, fds[1], 0, on_writable_once, &fds[1]);
    io_want(writer_io, IO_WRITE);
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(order, "x");
    ck_assert_ptr_null(own_io);
    io_free(writer_io);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

enum { RINGS = 20000 };
static int rung, seen;
static struct wakeup *bell;

static void *ring(void *arg)
{
    for (int i = 0; i < RINGS; i++) {
        __atomic_add_fetch(&rung, 1, __ATOMIC_RELAXED);
        wakeup_send(bell);
    }
    return arg;
}

static void on_bell(void *arg)
{
    (void)arg;
    seen++;
    if (__atomic_load_n(&rung, __ATOMIC_RELAXED) == 2 * RINGS)
        loop_stop(loop);
}

START_TEST(no_wakeup_is_lost)
{
    pthread_t threads[2];
    bell = wakeup_new(loop, on_bell, NULL, &err);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, ring, NULL), 0);
    loop_run(loop, NULL, NULL); /* hangs if the last one is lost */
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_ge(seen, 1);
    ck_assert_int_le(seen, 2 * RINGS);
    wakeup_free(bell);
}
END_TEST

static void on_usr1(void *arg, int signo)
{
    ck_assert_int_eq(signo, SIGUSR1);
    note_and_stop(arg);
}

START_TEST(signals)
{
    ck_assert(loop_on_signal(loop, SIGUSR1, on_usr1, mark, &err));
    raise(SIGUSR1);
    loop_run(loop, NULL, NULL);
    ck_assert_str_eq(order, "x");
}
END_TEST

/* Listening. */

static int accepted, stop_at;
static int accepted_fds[64];

static void on_accept(void *arg, int fd)
{
    (void)arg;
    ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    ck_assert_int_ne(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    accepted_fds[accepted++] = fd;
    if (accepted == stop_at)
        loop_stop(loop);
}

static int dial(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    strcpy(a.sun_path, path);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void in_new_dir(void)
{
    char dir[] = "/tmp/loop_test.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(chdir(dir), 0);
}

static void leave_dir(void)
{
    char dir[4096];
    ck_assert_ptr_nonnull(getcwd(dir, sizeof dir));
    unlink("s");
    ck_assert_int_eq(rmdir(dir), 0);
}

START_TEST(a_listener_accepts_and_takes_over_a_dead_ones_place)
{
    struct stat st;
    in_new_dir();
    umask(0177);
    int fd = listen_unix("s", 0666, &err);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(stat("s", &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0666);
    ck_assert_int_eq(listen_unix("s", 0600, &err), -1);
    ck_assert_int_eq(err.code, EADDRINUSE);
    close(fd); /* as if it had been killed: the file stays */
    fd = listen_unix("s", 0600, &err);
    ck_assert_int_ge(fd, 0);
    struct listener *n = listener_new(loop, fd, on_accept, NULL, &err);
    int c[3];
    for (int i = 0; i < 3; i++)
        c[i] = dial("s");
    stop_at = 3;
    loop_run(loop, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        close(c[i]);
        close(accepted_fds[i]);
    }
    listener_free(n);
    leave_dir();
}
END_TEST

START_TEST(a_listener_replaces_only_sockets)
{
    char longer[200];
    in_new_dir();
    close(open("s", O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(listen_unix("s", 0600, &err), -1);
    ck_assert_int_eq(err.code, EADDRINUSE);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(listen_unix(longer, 0600, &err), -1);
    ck_assert_int_eq(err.code, ENAMETOOLONG);
    leave_dir();
}
END_TEST

static void free_limit(void *arg)
{
    struct rlimit *old = arg;
    ck_assert_int_eq(accepted, 0);
    ck_assert_int_le(turns, 20); /* it rested and did not spin */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, old), 0);
}

START_TEST(without_descriptors_a_listener_rests_and_goes_on)
{
    struct rlimit old, low;
    char c;
    in_new_dir();
    struct listener *n = listener_new(loop, listen_unix("s", 0600, &err), on_accept, NULL, &err);
    int first = dial("s"), gap;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)first + 1;
    while ((gap = dup(first)) < first) /* until every number below is taken */
        ck_assert_int_ge(gap, 0);
    close(gap);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct alarm *t = alarm_new(loop, free_limit, &old),
                 *end = alarm_new(loop, note_and_stop, mark);
    alarm_start(t, 100000);
    alarm_start(end, 150000);
    log_set_level(LOG_LEVEL_ERROR);
    loop_run(loop, count_turn, NULL);
    ck_assert_int_eq((int)read(first, &c, 1), 0); /* not left waiting */
    int second = dial("s");
    stop_at = 1;
    loop_run(loop, NULL, NULL);
    ck_assert_int_eq(accepted, 1);
    close(second);
    alarm_free(t);
    alarm_free(end);
    listener_free(n);
    leave_dir();
}
END_TEST

START_TEST(without_its_reserve_a_listener_rests_too)
{
    struct rlimit old, low;
    in_new_dir();
    struct listener *n = listener_new(loop, listen_unix("s", 0600, &err), on_accept, NULL, &err);
    int client = dial("s");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 3; /* below the reserve's number, too */
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    struct alarm *t = alarm_new(loop, free_limit, &old);
    alarm_start(t, 100000);
    log_set_level(LOG_LEVEL_ERROR);
    stop_at = 1;
    loop_run(loop, count_turn, NULL);
    ck_assert_int_eq(accepted, 1); /* who waited is served after all */
    close(client);
    close(accepted_fds[0]);
    alarm_free(t);
    listener_free(n);
    leave_dir();
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("loop");
    TCase *t = tcase_create("loop");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, timers_come_in_the_order_of_their_deadlines);
    tcase_add_test(t, many_timers_some_stopped);
    tcase_add_test(t, a_timer_that_starts_itself_does_not_hold_the_loop);
    tcase_add_test(t, a_turn_with_work_left_does_not_wait);
    tcase_add_test(t, descriptors);
    tcase_add_test(t, no_wakeup_is_lost);
    tcase_add_test(t, signals);
    tcase_add_test(t, a_listener_accepts_and_takes_over_a_dead_ones_place);
    tcase_add_test(t, a_listener_replaces_only_sockets);
    tcase_add_test(t, without_descriptors_a_listener_rests_and_goes_on);
    tcase_add_test(t, without_its_reserve_a_listener_rests_too);
    suite_add_tcase(s, t);
    return s;
}
