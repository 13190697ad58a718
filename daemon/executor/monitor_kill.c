#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/monitor_priv.h"
#include "daemon/executor/proctree.h"

enum { AGAIN_US = 50 * 1000, AGAIN_LATER_US = 1000 * 1000, STUCK_US = 5 * 1000 * 1000 };

/*
 * The process group first, by one call; then whoever left it. The monitor is a subreaper, so every
 * process of the command is a descendant, and none of its children's pids can be another's before
 * it reaps them.
 *
 * A cgroup that was killed once is not used again: newer kernels (seen with 6.18) kill every
 * process that is cloned into it from another one (clone(2), CLONE_INTO_CGROUP).
 */
void monitor_signal_tree(struct monitor *m, int signo)
{
    if (m->cgroup_fd >= 0) {
        /* Root may have moved some out of it, so for a kill all are looked for. */
        if (signo == SIGKILL && cgroup_kill(m->setup.cgroup_dirfd, m->cgroup))
            m->cgroup_killed = true;
        else if (cgroup_signal(m->setup.cgroup_dirfd, m->cgroup, signo) > 0 && signo != SIGKILL)
            return;
    }
    struct proc_list l = {0};
    bool group = m->phase == PHASE_RUNNING && kill(-m->c.pid, signo) == 0;
    proc_list_read(&l);
    proc_list_keep_descendants(&l, m->pid);
    for (size_t i = 0; i < l.n; i++) {
        if (!(group && getpgid(l.v[i].pid) == m->c.pid))
            proc_kill(&l.v[i], signo);
    }
    proc_list_release(&l);
}

/* A command notices nothing of the cgroup's freezer; SIGSTOP is seen by who waits for a child. */
static void freeze(struct monitor *m)
{
    if (m->cgroup_fd >= 0 && cgroup_freeze(m->setup.cgroup_dirfd, m->cgroup, true))
        return;
    m->c.sent_stop = true;
    proc_stop_descendants(m->pid);
}

static void thaw(struct monitor *m)
{
    m->c.paused = false;
    if (m->cgroup_fd >= 0) /* the next command is in it, too */
        cgroup_freeze(m->setup.cgroup_dirfd, m->cgroup, false);
    if (m->c.sent_stop)
        monitor_signal_tree(m, SIGCONT);
    m->c.sent_stop = false;
}

void monitor_freeze(struct monitor *m)
{
    if (m->c.paused)
        freeze(m);
}

void monitor_reap(struct monitor *m)
{
    struct rusage ru;
    int status;
    pid_t pid;

    while ((pid = wait4(-1, &status, WNOHANG, &ru)) > 0) {
        if (pid != m->c.pid || m->phase != PHASE_RUNNING)
            continue;
        m->c.wait_status = status;
        m->c.rusage = ru;
        m->c.ended_us = real_us();
        m->c.ended_boot_us = boot_us();
        m->phase = PHASE_DRAINING;
        if (m->c.paused) /* killed by somebody: what it left is dealt with as ever */
            thaw(m);
    }
    m->c.tree_empty = pid < 0;
}

static void stop(struct monitor *m, uint64_t grace_ms, int64_t now_us)
{
    struct command *c = &m->c;
    int64_t kill_at = now_us + (int64_t)grace_ms * 1000;
    bool first = !c->stopped;

    c->stopped = true;
    if (m->phase == PHASE_STARTING || m->phase == PHASE_RECORDING)
        return;
    if (!c->kill_at_us || kill_at < c->kill_at_us)
        c->kill_at_us = kill_at;
    if (c->paused && grace_ms > 0) /* SIGKILL takes who is frozen, too */
        thaw(m);
    if (grace_ms > 0 && first) {
        monitor_signal_tree(m, SIGTERM);
        monitor_signal_tree(m, SIGCONT); /* a stopped process takes SIGTERM when it goes on */
    }
}

void monitor_steer(struct monitor *m, uint64_t packed, int64_t now_us)
{
    struct command *c = &m->c;
    uint64_t value = packed >> 20;

    if (m->phase == PHASE_IDLE || (packed >> 4 & 0xffff) != (c->start.number & 0xffff))
        return; /* meant for a command that has ended */
    switch ((enum monitor_op)(packed & 15)) {
    case MONITOR_STOP:
        stop(m, value, now_us);
        break;
    case MONITOR_FLUSH:
        if (m->phase != PHASE_RECORDING) /* it is decided where its output is */
            output_flush(&m->out, now_us);
        break;
    case MONITOR_CREDIT:
        if (value > c->committed)
            c->committed = value;
        break;
    case MONITOR_PAUSE:
        if (c->stopped || (value != 0) == c->paused || m->phase > PHASE_RUNNING)
            break; /* who is to end is not held up */
        c->paused = value != 0;
        if (m->phase == PHASE_RUNNING && value)
            freeze(m);
        else if (m->phase == PHASE_RUNNING)
            thaw(m);
        break;
    }
}

void monitor_kill_due(struct monitor *m, int64_t now_us)
{
    struct command *c = &m->c;
    monitor_signal_tree(m, SIGKILL);
    if (!c->stuck_at_us)
        c->stuck_at_us = now_us + STUCK_US;
    bool stuck = now_us >= c->stuck_at_us;
    c->kill_at_us = now_us + (stuck ? AGAIN_LATER_US : AGAIN_US);
    if (stuck && !c->told_stuck) {
        c->told_stuck = true;
        monitor_notice(m, "a process of it cannot be killed (it may wait for a device or a network "
                          "file system); its slot stays taken until it is gone");
    }
}
