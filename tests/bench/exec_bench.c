/*
 * How much of a bare C loop's rate of commands corod-exec reaches: vfork, exec and wait with two
 * pipes, against starts sent to the executor and ends read from it, so many in flight, in turns in
 * one run.
 *
 *   exec_bench CORODEXEC [COMMANDS [IN_FLIGHT [ROUNDS [EXECUTOR'S OPTION…]]]]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/exec.h"
#include "proto/log.h"
#include "proto/mem.h"

static const char *const command[] = {"/bin/true", NULL};
static const char *const environment[] = {"PATH=/usr/bin:/bin", "CORO_JOB=1", "CORO_TASK=1", NULL};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct slot {
    pid_t pid;
    int fds[2];
};

static void bare_start(struct slot *s)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        fatal("pipe2: %s", strerror(errno));
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(out[1], 1);
        dup2(err[1], 2);
        execve(command[0], (char *const *)(uintptr_t)command,
               (char *const *)(uintptr_t)environment);
        _exit(127);
    }
    if (pid < 0)
        fatal("vfork: %s", strerror(errno));
    close(out[1]);
    close(err[1]);
    *s = (struct slot){pid, {out[0], err[0]}};
}

/* Reads one pipe; at the end of both the command is waited for. */
static bool bare_read(struct slot *s, int i)
{
    char data[4096];
    if (read(s->fds[i], data, sizeof data) > 0)
        return false;
    s->fds[i] = close_fd(s->fds[i]);
    if (s->fds[0] >= 0 || s->fds[1] >= 0)
        return false;
    waitpid(s->pid, NULL, 0);
    return true;
}

static double bare(int commands, int in_flight)
{
    struct slot *slots = xcalloc((size_t)in_flight, sizeof *slots);
    struct pollfd *p = xcalloc((size_t)in_flight * 2, sizeof *p);
    double begin = now();
    int started = 0, ended = 0;

    for (; started < in_flight && started < commands; started++)
        bare_start(&slots[started]);
    while (ended < commands) {
        for (int i = 0; i < 2 * in_flight; i++)
            p[i] = (struct pollfd){.fd = slots[i / 2].pid ? slots[i / 2].fds[i % 2] : -1,
                                   .events = POLLIN};
        poll(p, (nfds_t)in_flight * 2, -1);
        for (int i = 0; i < 2 * in_flight; i++) {
            if (!p[i].revents || !bare_read(&slots[i / 2], i % 2))
                continue;
            ended++;
            slots[i / 2].pid = 0;
            if (started < commands) {
                bare_start(&slots[i / 2]);
                started++;
                i |= 1; /* what poll said of its second pipe was of the old one */
            }
        }
    }
    double took = now() - begin;
    free(slots);
    free(p);
    return commands / took;
}

static uint64_t number;

static void put_start(struct buf *b)
{
    struct exec_start s = {.number = ++number,
                           .uid = getuid(),
                           .argv = command,
                           .env = environment,
                           .umask = 022,
                           .grace_ms = 1000,
                           .log_cap_bytes = EXEC_LOG_CAP_BYTES};
    exec_put_start(b, &s);
}

static void send_all(int fd, struct buf *b)
{
    for (size_t done = 0; done < b->len;) {
        ssize_t n = send(fd, b->data + done, b->len - done, MSG_NOSIGNAL);
        if (n < 0)
            fatal("send: %s", strerror(errno));
        done += (size_t)n;
    }
    buf_clear(b);
}

static double through_executor(int fd, int commands, int in_flight)
{
    struct buf in = {0}, out = {0};
    double begin = now();
    int started = 0, ended = 0;

    for (; started < in_flight && started < commands; started++)
        put_start(&out);
    while (ended < commands) {
        struct exec_frame f;
        struct exec_end end;
        struct err err;
        size_t done = 0;
        ssize_t n;
        send_all(fd, &out);
        n = recv(fd, buf_reserve(&in, 65536), 65536, 0);
        if (n <= 0)
            fatal("the executor is gone");
        in.len += (size_t)n;
        while ((n = exec_frame_parse(in.data + done, in.len - done, &f, &err)) > 0) {
            done += (size_t)n;
            if (f.type != EXEC_MSG_END)
                continue;
            if (!exec_get_end(f.payload, f.len, &end, &err) || end.outcome != EXEC_EXITED)
                fatal("a command did not end well");
            exec_put_number(&out, EXEC_MSG_SETTLE, end.number);
            ended++;
            if (started < commands) {
                put_start(&out);
                started++;
            }
        }
        buf_consume(&in, done);
    }
    send_all(fd, &out);
    double took = now() - begin;
    buf_release(&in);
    buf_release(&out);
    return commands / took;
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    for (double until = now() + 10; now() < until; usleep(1000)) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
            return fd;
        close(fd);
    }
    fatal("the executor does not answer");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: exec_bench CORODEXEC [COMMANDS [IN_FLIGHT [ROUNDS [OPTION…]]]]\n");
        return 2;
    }
    int commands = argc > 2 ? atoi(argv[2]) : 3000, in_flight = argc > 3 ? atoi(argv[3]) : 8;
    int rounds = argc > 4 ? atoi(argv[4]) : 5;
    char dir[] = "/tmp/exec_bench.XXXXXX", socket_path[64], state[64], rm[64];
    if (!mkdtemp(dir))
        fatal("mkdtemp: %s", strerror(errno));
    snprintf(socket_path, sizeof socket_path, "%s/sock", dir);
    snprintf(state, sizeof state, "%s/state", dir);

    const char *args[32] = {argv[1], "--socket", socket_path, "--state", state};
    for (int i = 5; i < argc && i < 30; i++)
        args[i] = argv[i];
    pid_t pid;
    if (posix_spawn(&pid, argv[1], NULL, NULL, (char *const *)(uintptr_t)args, environ) != 0)
        fatal("cannot start %s", argv[1]);
    int fd = connect_to(socket_path);
    struct buf b = {0};
    exec_put_hello(&b, 0, NULL, 0);
    send_all(fd, &b);
    buf_release(&b);

    double best_bare = 0, best_exec = 0;
    for (int i = 0; i < rounds; i++) {
        double x = bare(commands, in_flight), y = through_executor(fd, commands, in_flight);
        printf("bare %.0f/s, executor %.0f/s, ratio %.2f\n", x, y, y / x);
        best_bare = x > best_bare ? x : best_bare;
        best_exec = y > best_exec ? y : best_exec;
    }
    printf("best: bare %.0f/s, executor %.0f/s, ratio %.2f\n", best_bare, best_exec,
           best_exec / best_bare);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    snprintf(rm, sizeof rm, "rm -rf %s", dir);
    return system(rm) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
