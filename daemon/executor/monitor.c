#include "daemon/executor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/monitor_priv.h"
#include "daemon/executor/proctree.h"
#include "proto/log.h"
#include "proto/mem.h"

static const enum outlog_stream stream_of_pipe[2] = {OUTLOG_STDOUT, OUTLOG_STDERR};

/* Moves itself out of the executor's cgroup, and makes one for its commands. Without them it goes
 * on. */
static void enter_cgroup(struct monitor *m)
{
    int dir = m->setup.cgroup_dirfd;
    if (dir < 0)
        return;
    cleanup_close int procs = openat(dir, "monitors/cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (procs < 0 || write(procs, "0", 1) != 1)
        log_warning("cannot move a monitor to its cgroup: %s", strerror(errno));
    cgroup_name(m->cgroup, m->pid);
    /* One of an earlier process of this pid goes, unless something is still in it. */
    unlinkat(dir, m->cgroup, AT_REMOVEDIR);
    if (mkdirat(dir, m->cgroup, 0755) < 0)
        log_warning("cannot make the cgroup %s: %s", m->cgroup, strerror(errno));
    else
        m->cgroup_fd = openat(dir, m->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static void init(struct monitor *m, const struct monitor_setup *setup)
{
    struct err err;
    struct proc self;
    sigset_t mask;

    *m = (struct monitor){.setup = *setup,
                          .pid = getpid(),
                          .lock_fd = -1,
                          .cgroup_fd = -1,
                          .pen = {.fd = -1},
                          .out = {.fd = -1}};
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, MONITOR_SIGNAL);
    m->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m->signal_fd < 0 || !proc_read(m->pid, &self))
        fatal("a monitor cannot begin: %s", strerror(errno));
    m->start_time = self.start;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        fatal("prctl: %s", strerror(errno));
    prctl(PR_SET_NAME, "corod-monitor");
    /* What it frees of large buffers goes back: glibc would raise this by itself. */
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    setsid();
    if (!launch_init(&err))
        fatal("%s", err.text);
    enter_cgroup(m);
}

static bool wants_output(const struct monitor *m)
{
    const struct command *c = &m->c;
    if (m->phase != PHASE_RUNNING && m->phase != PHASE_DRAINING && m->phase != PHASE_CLEANING)
        return false;
    uint64_t window = c->start.window_bytes;
    return !output_full(&m->out) && (!window || m->out.position < c->committed + window);
}

static void earliest(int64_t *at, int64_t deadline)
{
    if (deadline && (!*at || deadline < *at))
        *at = deadline;
}

/* Waits for something to do; what became ready is in p[]. */
static void wait_events(struct monitor *m, struct pollfd p[4], int64_t now_us)
{
    const struct command *c = &m->c;
    struct timespec ts, *timeout = NULL;
    bool output = wants_output(m);
    int64_t at = 0;

    p[0] = (struct pollfd){.fd = m->signal_fd, .events = POLLIN};
    p[1] = (struct pollfd){.fd = m->alone ? -1 : m->setup.sock, .events = POLLIN};
    for (int i = 0; i < 2; i++)
        p[2 + i] = (struct pollfd){.fd = output ? c->pipes[i] : -1, .events = POLLIN};
    if (m->phase != PHASE_IDLE) {
        earliest(&at, m->phase == PHASE_RUNNING ? c->tell_at_us : 0);
        earliest(&at, c->drain_until_us);
        earliest(&at, c->kill_at_us);
        earliest(&at, c->retry_at_us);
        earliest(&at, m->out.flush_at_us);
    }
    if (at) {
        int64_t left = at > now_us ? at - now_us : 0;
        ts = (struct timespec){.tv_sec = left / 1000000, .tv_nsec = left % 1000000 * 1000};
        timeout = &ts;
    }
    if (ppoll(p, 4, timeout, NULL) < 0)
        for (int i = 0; i < 4; i++)
            p[i].revents = 0;
}

static void on_signals(struct monitor *m)
{
    struct signalfd_siginfo s[8];
    ssize_t n = read(m->signal_fd, s, sizeof s);
    bool child = false;
    for (ssize_t i = 0; i < n / (ssize_t)sizeof *s; i++) {
        if (s[i].ssi_signo == SIGCHLD) {
            child = true;
            continue;
        }
        /* The command it is meant for may still be in the socket. */
        if (m->phase == PHASE_IDLE && !m->alone && !monitor_receive(m))
            m->alone = true;
        monitor_steer(m, s[i].ssi_ptr, boot_us());
    }
    if (child)
        monitor_reap(m);
}

static void on_pipe(struct monitor *m, int i, short what, int64_t now_us)
{
    int *fd = &m->c.pipes[i];
    ssize_t n = 0;
    if (what & POLLIN)
        n = output_read(&m->out, *fd, stream_of_pipe[i], now_us);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        *fd = close_fd(*fd);
}

static bool pipes_closed(const struct command *c)
{
    return c->pipes[0] < 0 && c->pipes[1] < 0;
}

static void finish(struct monitor *m, int64_t now_us)
{
    for (int i = 0; i < 2; i++)
        m->c.pipes[i] = close_fd(m->c.pipes[i]);
    /* That nothing is left has been shown only by the kernel's ECHILD. */
    m->retire = m->retire || !m->c.tree_empty || m->cgroup_killed;
    monitor_record(m, now_us);
}

/* The command's process is dead. */
static void after_death(struct monitor *m, int64_t now_us)
{
    struct command *c = &m->c;
    bool keep = c->start.keep_leftovers && !c->stopped;

    if (m->phase == PHASE_DRAINING) {
        if (!c->drain_until_us)
            c->drain_until_us = now_us + MONITOR_DRAIN_US;
        bool drained = pipes_closed(c);
        if (drained && c->tree_empty) {
            finish(m, now_us);
            return;
        }
        if (!drained && !wants_output(m) && !c->stopped) /* held back by us: it may not be lost */
            c->drain_until_us = now_us + MONITOR_DRAIN_US;
        if (!drained && now_us < c->drain_until_us)
            return;
        c->drain_until_us = 0;
        if (c->tree_empty || keep) {
            finish(m, now_us);
            return;
        }
        m->phase = PHASE_CLEANING;
        if (!c->kill_at_us) {
            c->kill_at_us = now_us + (int64_t)c->start.grace_ms * 1000;
            if (c->start.grace_ms > 0) {
                monitor_signal_tree(m, SIGTERM);
                monitor_signal_tree(m, SIGCONT);
            }
        }
    }
    if (m->phase == PHASE_CLEANING && c->tree_empty)
        finish(m, now_us);
}

static void advance(struct monitor *m, int64_t now_us)
{
    struct command *c = &m->c;
    if (m->phase == PHASE_IDLE)
        return;
    if (c->retry_at_us && c->retry_at_us <= now_us) {
        if (m->phase == PHASE_STARTING)
            monitor_start(m, now_us);
        else
            monitor_record(m, now_us);
        return;
    }
    if (c->kill_at_us && c->kill_at_us <= now_us)
        monitor_kill_due(m, now_us);
    if (m->phase == PHASE_RUNNING && c->tell_at_us && c->tell_at_us <= now_us)
        monitor_tell_started(m);
    if (output_should_flush(&m->out, now_us))
        output_flush(&m->out, now_us);
    if (m->phase == PHASE_DRAINING || m->phase == PHASE_CLEANING)
        after_death(m, now_us);
}

void monitor_main(const struct monitor_setup *setup)
{
    static struct monitor m;
    struct pollfd p[4];

    init(&m, setup);
    while (!(m.phase == PHASE_IDLE && (m.alone || m.retire))) {
        wait_events(&m, p, m.phase == PHASE_IDLE ? 0 : boot_us());
        int64_t now_us = boot_us();
        for (int i = 0; i < 2; i++) {
            if (p[2 + i].revents && m.c.pipes[i] >= 0)
                on_pipe(&m, i, p[2 + i].revents, now_us);
        }
        if (p[0].revents)
            on_signals(&m);
        if (p[1].revents && m.phase == PHASE_IDLE) {
            if (!monitor_receive(&m))
                m.alone = true;
        } else if (p[1].revents & (POLLHUP | POLLERR)) {
            m.alone = true;
        }
        advance(&m, now_us);
    }
    _exit(0);
}
