#ifndef COROD_EXECUTOR_MONITOR_PRIV_H
#define COROD_EXECUTOR_MONITOR_PRIV_H
/* A monitor's state, shared by the files of the monitor. */
#include <sys/resource.h>
#include <sys/types.h>

#include "daemon/executor/monitor.h"
#include "daemon/executor/output.h"
#include "daemon/executor/proctree.h"

enum phase {
    PHASE_IDLE,
    PHASE_STARTING,  /* no process could be made, or P not be written: tried again */
    PHASE_RUNNING,   /* the command's process lives */
    PHASE_DRAINING,  /* it is dead, its pipes may not be at their ends */
    PHASE_CLEANING,  /* what it left behind is being killed */
    PHASE_RECORDING, /* E could not be written: tried again */
};

/* Of the command at hand; zeroed for each. */
struct command {
    struct exec_start start;
    struct user user; /* valid with has_user: the command's own */
    bool has_user;
    int pipes[2]; /* stdout's and stderr's reading ends, -1 when closed */
    pid_t pid;
    int wait_status;
    struct rusage rusage;
    int64_t started_us, ended_us;           /* CLOCK_REALTIME */
    int64_t started_boot_us, ended_boot_us; /* CLOCK_BOOTTIME */
    struct launch_result failure;           /* stage ≠ LAUNCH_DONE: it was not started */
    char failure_text[480];
    bool tree_empty; /* no descendant is left: the kernel said ECHILD */
    bool stopped, told_started, told_stuck;
    bool paused;        /* it is to be frozen, or is */
    bool sent_stop;     /* by signal: SIGCONT undoes it */
    uint64_t committed; /* credit: output is taken up to here */
    /* Deadlines of CLOCK_BOOTTIME, 0: none. */
    int64_t tell_at_us, drain_until_us, kill_at_us, retry_at_us, stuck_at_us;
};

struct monitor {
    struct monitor_setup setup;
    bool alone; /* the executor is gone */
    bool retire;
    pid_t pid;
    uint64_t start_time; /* clock ticks since boot */
    int signal_fd;
    int lock_fd;
    int cgroup_fd; /* of this monitor's commands, -1: none */
    char cgroup[CGROUP_NAME_BYTES];
    bool cgroup_killed; /* see monitor_signal_tree() */
    struct journal_pen pen;
    char *message; /* of the command at hand: what command.start points into */
    size_t message_cap;
    enum phase phase;
    struct command c;
    struct output out;
    gid_t groups[USER_GROUPS_MAX];
};

/* monitor_command.c: takes a command packet if there is one; false: the executor is gone. */
bool monitor_receive(struct monitor *m);
/* Starts the command at hand (again); sets the phase. */
void monitor_start(struct monitor *m, int64_t now_us);

/* monitor_kill.c: signals the whole tree of the command. */
void monitor_signal_tree(struct monitor *m, int signo);
/* The command's process runs: freezes it if it is to be. */
void monitor_freeze(struct monitor *m);
/* Reaps what has died. */
void monitor_reap(struct monitor *m);
/* Does what a steering signal says. */
void monitor_steer(struct monitor *m, uint64_t value, int64_t now_us);
/* SIGKILL to what is left, again and again. */
void monitor_kill_due(struct monitor *m, int64_t now_us);

/* monitor_report.c */
void monitor_tell_started(struct monitor *m);
void monitor_notice(struct monitor *m, const char *text);
/* Writes E, releases the lock, reports; or sets the phase to try again. */
void monitor_record(struct monitor *m, int64_t now_us);

#endif
