/*
 * The bare limit: runs PROGRAM `count` times, `width` at once, and does nothing else.
 *
 *   bare_loop COUNT WIDTH [-p] PROGRAM [ARG…]     -p: with two pipes each, read to their end, as
 * corod-exec does
 *
 * Prints the seconds it took.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { MAX_WIDTH = 256 };

struct slot {
    pid_t pid;
    int fds[2];
};

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static pid_t start(char **argv, const int out[2])
{
    pid_t pid = vfork();
    if (pid < 0)
        die("vfork");
    if (pid == 0) {
        if (out) {
            dup2(out[0], STDOUT_FILENO);
            dup2(out[1], STDERR_FILENO);
        }
        execve(argv[0], argv, environ);
        _exit(127);
    }
    return pid;
}

static void run_plain(long count, int width, char **argv)
{
    long started = 0, running = 0;
    while (started < count || running) {
        if (started < count && running < width) {
            start(argv, NULL);
            started++;
            running++;
            continue;
        }
        if (wait(NULL) < 0)
            die("wait");
        running--;
    }
}

static void start_piped(struct slot *s, char **argv)
{
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        die("pipe2");
    s->pid = start(argv, (int[2]){out[1], err[1]});
    close(out[1]);
    close(err[1]);
    s->fds[0] = out[0];
    s->fds[1] = err[0];
}

/* True when the command of this slot is over. */
static bool serve(struct slot *s, struct pollfd *p)
{
    char data[65536];
    for (int i = 0; i < 2; i++) {
        if (s->fds[i] >= 0 && p[i].revents && read(s->fds[i], data, sizeof data) <= 0) {
            close(s->fds[i]);
            s->fds[i] = -1;
        }
    }
    if (s->fds[0] >= 0 || s->fds[1] >= 0)
        return false;
    waitpid(s->pid, NULL, 0);
    return true;
}

static void run_piped(long count, int width, char **argv)
{
    struct slot slots[MAX_WIDTH];
    struct pollfd p[2 * MAX_WIDTH];
    long started = 0;
    int n = 0;
    while (started < count || n) {
        while (started < count && n < width) {
            start_piped(&slots[n++], argv);
            started++;
        }
        for (int i = 0; i < n; i++) {
            p[2 * i] = (struct pollfd){slots[i].fds[0], POLLIN, 0};
            p[2 * i + 1] = (struct pollfd){slots[i].fds[1], POLLIN, 0};
        }
        if (poll(p, (nfds_t)(2 * n), -1) < 0)
            die("poll");
        for (int i = n - 1; i >= 0; i--) {
            if (serve(&slots[i], &p[2 * i]))
                slots[i] = slots[--n];
        }
    }
}

int main(int argc, char **argv)
{
    bool pipes = argc > 3 && strcmp(argv[3], "-p") == 0;
    int first = pipes ? 4 : 3;
    if (argc <= first) {
        fprintf(stderr, "usage: bare_loop COUNT WIDTH [-p] PROGRAM [ARG...]\n");
        return 2;
    }
    long count = atol(argv[1]);
    int width = atoi(argv[2]);
    if (count < 0 || width < 1 || width > MAX_WIDTH) {
        fprintf(stderr, "bare_loop: at most %d at once\n", MAX_WIDTH);
        return 2;
    }
    double began = now_s();
    if (pipes)
        run_piped(count, width, argv + first);
    else
        run_plain(count, width, argv + first);
    printf("%.6f\n", now_s() - began);
    return 0;
}
