#include "daemon/executor/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/pool.h"
#include "daemon/executor/proctree.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { AGAIN_US = 20 * 1000, AGAIN_LATER_US = 1000 * 1000, STUCK_US = 5 * 1000 * 1000 };

static void check_again(struct verdict *v, struct attempt *a, int64_t in_us)
{
    int64_t at = boot_us() + in_us;
    if (!v->again_at_us || at < v->again_at_us)
        v->again_at_us = at;
    if (a->to_check)
        return;
    a->to_check = true;
    v->again = xgrow(v->again, &v->cap_again, v->n_again + 1, sizeof *v->again);
    v->again[v->n_again++] = a->number;
}

static void let_go(struct verdict *v, struct attempt *a)
{
    struct adopted *d = a->adopted;
    if (!d)
        return;
    a->adopted = NULL;
    reactor_remove(v->reactor, &d->death);
    close_fd(d->pidfd);
    free(d);
}

static void decide(struct verdict *v, struct attempt *a, enum attempt_state state)
{
    let_go(v, a);
    a->state = state;
    v->on_verdict(v->arg, a);
}

static void on_adopted_death(void *arg, uint32_t events)
{
    struct adopted *d = arg;
    struct verdict *v = d->verdict;
    struct attempt *a = ledger_find(v->ledger, d->number);
    (void)events;
    if (!a)
        fatal("an adopted monitor without an attempt");
    int64_t pid = a->pid.monitor_pid;
    let_go(v, a);
    verdict_check(v, a);
    cgroup_remove(v->cgroup_dirfd, pid);
}

static int64_t ticks_to_us(uint64_t ticks)
{
    return (int64_t)(ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Watches the monitor that P names, if it is still that process. */
static bool adopt(struct verdict *v, struct attempt *a)
{
    struct proc now;
    pid_t pid = (pid_t)a->pid.monitor_pid;
    cleanup_close int fd = pidfd_open(pid, 0);
    if (fd < 0 || !proc_read(pid, &now) || now.start != a->pid.monitor_start)
        return false;
    /* The process was the right one when its descriptor was opened; the lock says it still is. */
    if (ledger_is_locked(v->ledger, a->number) != 1)
        return false;
    struct adopted *d = xcalloc(1, sizeof *d);
    *d = (struct adopted){v, a->number, fd, {fd, on_adopted_death, d}};
    if (!reactor_add(v->reactor, &d->death, EPOLLIN)) {
        free(d);
        return false;
    }
    steal_fd(&fd);
    a->adopted = d;
    return true;
}

/*
 * Whether a process is what a dead monitor left behind. A session's id is not given to another
 * process while the session has members, but it may be after: then its leader is younger.
 */
static bool is_left(const struct verdict *v, const struct attempt *a, const struct proc *p,
                    const struct proc_list *l)
{
    uint64_t marked = proc_attempt(p->pid, v->ledger->dir->id_setting);
    if (marked)
        return marked == a->number;
    if (!a->has_pid || p->sid != (pid_t)a->pid.sid || p->pid == getpid())
        return false;
    for (size_t i = 0; i < l->n; i++) {
        int64_t off = ticks_to_us(l->v[i].start) - a->pid.started_boot_us;
        if (l->v[i].pid == p->sid)
            return off < 1000000 && off > -1000000;
    }
    return true;
}

/* Kills what is left of an attempt; returns whether anything is. */
static bool kill_left(struct verdict *v, struct attempt *a)
{
    struct proc_list l = {0};
    bool left = false;
    char name[CGROUP_NAME_BYTES];

    if (v->cgroup_dirfd >= 0 && a->has_pid) {
        cgroup_name(name, a->pid.monitor_pid);
        if (cgroup_signal(v->cgroup_dirfd, name, 0) == 1) {
            if (!cgroup_kill(v->cgroup_dirfd, name))
                cgroup_signal(v->cgroup_dirfd, name, SIGKILL);
            return true;
        }
        cgroup_remove(v->cgroup_dirfd, a->pid.monitor_pid);
    }
    proc_list_read(&l);
    for (size_t i = 0; i < l.n; i++) {
        if (l.v[i].state == 'Z' || l.v[i].state == 'X' || !is_left(v, a, &l.v[i], &l))
            continue;
        left = true;
        proc_kill(&l.v[i], SIGKILL);
    }
    proc_list_release(&l);
    return left;
}

static void lose(struct verdict *v, struct attempt *a)
{
    int64_t now_us = boot_us();
    if (!a->same_boot || !kill_left(v, a)) {
        log_warning("attempt %llu is lost: %s", (unsigned long long)a->number,
                    a->same_boot ? "its monitor died" : "the machine was started anew");
        decide(v, a, ATTEMPT_LOST);
        return;
    }
    if (a->state != ATTEMPT_LOSING)
        a->losing_since_us = now_us;
    a->state = ATTEMPT_LOSING;
    bool stuck = now_us - a->losing_since_us > STUCK_US;
    if (stuck && !a->told_stuck) {
        a->told_stuck = true;
        v->on_notice(v->arg, a,
                     "its monitor died and a process of it cannot be killed; its slot stays taken "
                     "until it is gone");
    }
    check_again(v, a, stuck ? AGAIN_LATER_US : AGAIN_US);
}

/* What could not be told before: there was no monitor yet, or its queue of signals was full. */
static void steer_as_wanted(struct verdict *v, struct attempt *a)
{
    uint64_t stop = monitor_signal_pack(MONITOR_STOP, a->number, a->stop_grace_ms);
    uint64_t credit = monitor_signal_pack(MONITOR_CREDIT, a->number, a->credit_wanted);
    uint64_t pause = monitor_signal_pack(MONITOR_PAUSE, a->number, a->pause_wanted == PAUSE_FREEZE);
    if (a->pause_wanted && verdict_steer(a, pause))
        a->pause_wanted = PAUSE_AS_IT_IS;
    if (a->stop_wanted && verdict_steer(a, stop))
        a->stop_wanted = false;
    if (a->credit_wanted && verdict_steer(a, credit))
        a->credit_wanted = 0;
    if (a->stop_wanted || a->credit_wanted || a->pause_wanted)
        check_again(v, a, AGAIN_US);
}

void verdict_check(struct verdict *v, struct attempt *a)
{
    if (a->state == ATTEMPT_ENDED || a->state == ATTEMPT_LOST)
        return;
    if (a->monitor || a->adopted) { /* its death will be heard of */
        steer_as_wanted(v, a);
        return;
    }
    int locked = ledger_is_locked(v->ledger, a->number);
    bool known = ledger_refresh(v->ledger, a);
    if (a->end_offset) {
        decide(v, a, ATTEMPT_ENDED);
    } else if (locked == 0 && known) {
        lose(v, a);
    } else if (locked == 1 && a->has_pid && adopt(v, a)) {
        a->state = ATTEMPT_RUNNING;
        steer_as_wanted(v, a);
    } else {
        /* Its P is on its way, or its monitor is just dying, or the disk fails. */
        check_again(v, a, AGAIN_US);
    }
}

void verdict_again(struct verdict *v, int64_t now_us)
{
    if (!v->again_at_us || v->again_at_us > now_us)
        return;
    cleanup_free uint64_t *numbers = steal(&v->again);
    size_t n = v->n_again;
    v->n_again = v->cap_again = 0;
    v->again_at_us = 0;
    for (size_t i = 0; i < n; i++) {
        struct attempt *a = ledger_find(v->ledger, numbers[i]);
        if (!a)
            continue;
        a->to_check = false;
        verdict_check(v, a);
    }
}

bool verdict_steer(struct attempt *a, uint64_t packed)
{
    if (a->monitor)
        return monitor_signal(a->monitor->pidfd, packed);
    return a->adopted && monitor_signal(a->adopted->pidfd, packed);
}

void verdict_stop(struct verdict *v, struct attempt *a, uint32_t grace_ms)
{
    if (a->state != ATTEMPT_RUNNING)
        return;
    if (!a->stop_wanted || grace_ms < a->stop_grace_ms)
        a->stop_grace_ms = grace_ms;
    a->stop_wanted = true;
    steer_as_wanted(v, a);
}

void verdict_credit(struct verdict *v, struct attempt *a, uint64_t position)
{
    if (a->state != ATTEMPT_RUNNING)
        return;
    if (position > a->credit_wanted)
        a->credit_wanted = position;
    steer_as_wanted(v, a);
}

void verdict_pause(struct verdict *v, struct attempt *a, bool paused)
{
    if (a->state != ATTEMPT_RUNNING)
        return;
    a->pause_wanted = paused ? PAUSE_FREEZE : PAUSE_THAW;
    steer_as_wanted(v, a);
}

void verdict_forget(struct verdict *v, struct attempt *a)
{
    let_go(v, a); /* a number on the list that is no attempt any more is skipped */
}

void verdict_release(struct verdict *v)
{
    free(v->again);
    v->again = NULL;
    v->n_again = v->cap_again = 0;
}
