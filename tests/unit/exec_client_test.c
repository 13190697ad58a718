#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/executor/proctree.h"
#include "daemon/run/exec.h"
#include "daemon/run/outlog.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

enum { DEADLINE_US = 20 * 1000 * 1000 };

static char dir[] = "/tmp/exec_client.XXXXXX", socket_path[64], state[64], log_dir[80];
static struct loop *loop;
static struct exec_client *client;
static struct alarm *deadline;
static bool late;

/* What the client told. */
static int ups, downs;
static uint64_t highest;
static uint64_t open_numbers[8];
static size_t n_open;
static struct exec_end last_end;
static char end_text[480];
static struct buf end_output;
static int64_t started_pid;
static enum exec_state state_told;
static uint64_t grown;

static void on_up(void *arg, uint64_t h)
{
    (void)arg;
    ups++;
    highest = h;
    loop_stop(loop);
}

static void on_down(void *arg, const struct err *why)
{
    (void)arg;
    ck_assert_str_ne(why->text, "");
    downs++;
    loop_stop(loop);
}

static void list_open(void *arg, struct buf *b)
{
    (void)arg;
    for (size_t i = 0; i < n_open; i++)
        put_u64(b, open_numbers[i]);
}

static void on_started(void *arg, uint64_t number, int64_t pid, int64_t started_us)
{
    (void)arg;
    (void)number;
    ck_assert_int_gt(started_us, 0);
    started_pid = pid;
    loop_stop(loop);
}

static void on_end(void *arg, const struct exec_end *end)
{
    (void)arg;
    last_end = *end;
    snprintf(end_text, sizeof end_text, "%s", end->text);
    buf_clear(&end_output);
    buf_add(&end_output, end->output, end->output_len);
    loop_stop(loop);
}

static void on_resolved(void *arg, uint64_t number, enum exec_state s)
{
    (void)arg;
    (void)number;
    state_told = s;
    loop_stop(loop);
}

static void on_late(void *arg)
{
    (void)arg;
    late = true;
    loop_stop(loop);
}

static const struct exec_events events = {.on_up = on_up,
                                          .on_down = on_down,
                                          .list_open = list_open,
                                          .on_started = on_started,
                                          .on_end = on_end,
                                          .on_resolved = on_resolved};

static bool on_turn(void *arg)
{
    (void)arg;
    if (client)
        exec_flush(client);
    return false;
}

/* Sends what was put, and runs the loop until `what` is true. */
#define RUN_UNTIL(what)                                                                            \
    do {                                                                                           \
        late = false;                                                                              \
        alarm_start(deadline, DEADLINE_US);                                                        \
        exec_flush(client);                                                                        \
        while (!(what) && !late)                                                                   \
            loop_run(loop, on_turn, NULL);                                                         \
        ck_assert_msg(!late, "waited too long for: %s", #what);                                    \
    } while (0)

static void setup(void)
{
    struct err err;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(socket_path, sizeof socket_path, "%s/sock", dir);
    snprintf(state, sizeof state, "%s/state", dir);
    snprintf(log_dir, sizeof log_dir, "%s/log", state);
    loop = loop_new(&err);
    ck_assert_ptr_nonnull(loop);
    deadline = alarm_new(loop, on_late, NULL);
    client = exec_client_new(loop, socket_path, state, EXEC_PROGRAM, &events, NULL);
}

/* The client starts it as a child; a monitor of its own is not. */
static pid_t executor_pid(void)
{
    struct proc_list l = {0};
    pid_t pid = 0;
    proc_list_read(&l);
    for (size_t i = 0; i < l.n; i++) {
        if (l.v[i].ppid == getpid() && l.v[i].state != 'Z')
            pid = l.v[i].pid;
    }
    proc_list_release(&l);
    ck_assert_int_gt(pid, 0);
    return pid;
}

static void teardown(void)
{
    char rm[80];
    pid_t pid = executor_pid();
    exec_client_free(client);
    client = NULL;
    kill(pid, SIGTERM);
    alarm_free(deadline);
    loop_free(loop);
    buf_release(&end_output);
    snprintf(rm, sizeof rm, "rm -rf %s", dir);
    ck_assert_int_eq(system(rm), 0);
}

static void start(uint64_t number, const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL}, *env[] = {"PATH=/bin:/usr/bin", NULL};
    struct exec_start s = {.number = number,
                           .uid = getuid(),
                           .argv = argv,
                           .env = env,
                           .umask = 022,
                           .grace_ms = 100,
                           .log_cap_bytes = EXEC_LOG_CAP_BYTES};
    exec_start(client, &s);
}

START_TEST(starts_hears_and_comes_back)
{
    ck_assert(!exec_client_up(client));
    RUN_UNTIL(ups == 1);
    ck_assert(exec_client_up(client));
    ck_assert_int_eq(downs, 0); /* nobody was there at first, but one is started at once */
    start(1, "echo hello; exit 3");
    RUN_UNTIL(last_end.number == 1);
    ck_assert_int_eq(last_end.outcome, EXEC_EXITED);
    ck_assert_int_eq(last_end.status, 3);
    struct buf text = {0};
    outlog_extract(end_output.data, end_output.len, OUTLOG_MASK_ALL, &text, NULL);
    ck_assert_str_eq(buf_cstr(&text), "hello\n");
    buf_release(&text);
    exec_settle(client, 1);

    started_pid = 0; /* the first one may have been slow enough to be told of */
    start(2, "exec sleep 1000");
    RUN_UNTIL(started_pid > 0);
    int64_t pid = started_pid;
    exec_pause(client, 2, true);
    exec_pause(client, 2, false);
    open_numbers[n_open++] = 2;
    exec_client_set_highest(client, 2);
    kill(executor_pid(), SIGKILL);
    RUN_UNTIL(downs == 1);
    ck_assert(!exec_client_up(client));
    start(3, "true"); /* is dropped */
    RUN_UNTIL(ups == 2);
    ck_assert_uint_eq(highest, 2);
    started_pid = 0;
    exec_resolve(client, 2, true);
    exec_resolve(client, 3, true);
    RUN_UNTIL(state_told == EXEC_UNKNOWN);
    RUN_UNTIL(started_pid == pid);
    exec_stop(client, 2, 1000);
    RUN_UNTIL(last_end.number == 2);
    ck_assert_int_eq(last_end.outcome, EXEC_SIGNALED);
    ck_assert(last_end.stopped);
    start(3, "exit 4");
    RUN_UNTIL(last_end.number == 3);
    ck_assert_int_eq(last_end.status, 4);
}
END_TEST

static void on_grown(void *arg, uint64_t number)
{
    (void)arg;
    grown = number;
    loop_stop(loop);
}

START_TEST(logs_are_read_while_they_grow)
{
    struct err err;
    struct outlog_range range;
    struct buf framed = {0}, text = {0};
    char script[200];

    RUN_UNTIL(ups == 1);
    struct outlog_follower *f = outlog_follower_new(loop, log_dir, on_grown, NULL);
    ck_assert(outlog_follower_add(f, 1, &err));
    ck_assert(outlog_follower_add(f, 1, &err));
    outlog_follower_remove(f, 1);
    ck_assert(outlog_read(log_dir, 1, 0, 1000, &framed, &range, &err));
    ck_assert_uint_eq(framed.len, 0);
    snprintf(script, sizeof script, "echo one; until [ -e %s/go ]; do sleep 0.02; done; echo two",
             dir);
    start(1, script);
    RUN_UNTIL(grown == 1);
    while (framed.len == 0) { /* the file may be there before what is in it */
        ck_assert(outlog_read(log_dir, 1, 0, 1000, &framed, &range, &err));
        if (framed.len == 0) {
            grown = 0;
            RUN_UNTIL(grown == 1);
        }
    }
    ck_assert_uint_eq(range.next, framed.len);
    uint64_t first = range.next;
    char go[80];
    snprintf(go, sizeof go, "%s/go", dir);
    close(open(go, O_CREAT | O_WRONLY, 0600));
    RUN_UNTIL(last_end.number == 1);
    ck_assert(last_end.log_in_file);
    ck_assert_uint_eq(last_end.output_len, 0);
    buf_clear(&framed);
    ck_assert(outlog_read(log_dir, 1, first, 1000, &framed, &range, &err));
    outlog_extract(framed.data, framed.len, OUTLOG_MASK_ALL, &text, NULL);
    ck_assert_str_eq(buf_cstr(&text), "two\n");
    ck_assert_uint_eq(range.next, last_end.log_bytes);
    outlog_follower_remove(f, 1);
    outlog_follower_free(f);
    exec_remove_log(client, 1);
    exec_resolve(client, 1, true); /* answered after it */
    last_end.number = 0;
    RUN_UNTIL(last_end.number == 1);
    buf_clear(&framed);
    ck_assert(outlog_read(log_dir, 1, 0, 1000, &framed, &range, &err));
    ck_assert_uint_eq(framed.len, 0);
    buf_release(&framed);
    buf_release(&text);
}
END_TEST

START_TEST(a_capped_log_is_read_over_its_gap)
{
    struct err err;
    struct outlog_range range;
    struct buf framed = {0}, out = {0}, err_out = {0};
    const char *argv[] = {"seq", "-f", "%09.0f", "200000", NULL},
               *env[] = {"PATH=/bin:/usr/bin", NULL};
    struct exec_start s = {
        .number = 1, .uid = getuid(), .argv = argv, .env = env, .log_cap_bytes = 400000};
    uint64_t position = 0, dropped = 0;

    RUN_UNTIL(ups == 1);
    exec_start(client, &s);
    RUN_UNTIL(last_end.number == 1);
    ck_assert_int_eq(last_end.status, 0);
    for (;;) {
        size_t before = framed.len;
        ck_assert(outlog_read(log_dir, 1, position, 10000, &framed, &range, &err));
        if (framed.len == before)
            break;
        position = range.next;
        dropped += range.dropped_bytes;
    }
    ck_assert_uint_eq(position, last_end.log_bytes);
    ck_assert_uint_eq(framed.len + dropped, last_end.log_bytes);
    ck_assert_uint_gt(dropped, 1000000);
    ck_assert_uint_eq(outlog_extract(framed.data, framed.len, OUTLOG_MASK_ALL, &out, NULL),
                      framed.len);
    ck_assert_int_eq(memcmp(out.data, "000000001\n", 10), 0);
    ck_assert_int_eq(memcmp(out.data + out.len - 10, "000200000\n", 10), 0);
    buf_clear(&out);
    bool truncated = false;
    ck_assert(outlog_read_head(log_dir, 1, 5000, &out, &err_out, &truncated, &err));
    ck_assert(truncated);
    ck_assert_uint_eq(out.len, 5000);
    ck_assert_uint_eq(err_out.len, 0);
    ck_assert(!outlog_read("/nonexistent", 1, 0, 10, &framed, &range, &err));
    buf_release(&framed);
    buf_release(&out);
    buf_release(&err_out);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("exec client");
    TCase *t = tcase_create("client");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, starts_hears_and_comes_back);
    tcase_add_test(t, logs_are_read_while_they_grow);
    tcase_add_test(t, a_capped_log_is_read_over_its_gap);
    suite_add_tcase(s, t);
    return s;
}
