#ifndef COROD_EXECUTOR_PROCTREE_H
#define COROD_EXECUTOR_PROCTREE_H
/*
 * Finding and signalling processes: by descent, by session, by $CORO_ATTEMPT, by cgroup. Only for
 * what a command leaves behind and for stops; a command that ends by itself costs none of this.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_NAME_BYTES 32

struct proc {
    pid_t pid, ppid, sid;
    char state;
    uint64_t start; /* clock ticks since boot */
};

struct proc_list {
    struct proc *v; /* ascending pids */
    size_t n, cap;
};

/* Reads one process's /proc/PID/stat. */
bool proc_read(pid_t pid, struct proc *ret);
/* All processes that /proc shows. */
void proc_list_read(struct proc_list *l);
void proc_list_release(struct proc_list *l);

/* Keeps only the descendants of `root` (without it). */
void proc_list_keep_descendants(struct proc_list *l, pid_t root);

/* SIGSTOP to all descendants of `root`, also to those that they make meanwhile. */
void proc_stop_descendants(pid_t root);

/* Sends signo to a process of the list unless its pid is another's by now. */
bool proc_kill(const struct proc *p, int signo);

/* $CORO_ATTEMPT of a process whose environment has id_setting ("CORO_EXECUTOR=…"); 0 when it has
 * not, or it cannot be read. */
uint64_t proc_attempt(pid_t pid, const char *id_setting);

/*
 * Whether anything is in a cgroup (directory name in dirfd), signalling each process in it with
 * signo unless that is 0. -1: it cannot be read.
 */
int cgroup_signal(int dirfd, const char *name, int signo);
/* Kills all of a cgroup at once. */
bool cgroup_kill(int dirfd, const char *name);
/* Freezes all of a cgroup, or lets it go on; what is born in it meanwhile is frozen, too. */
bool cgroup_freeze(int dirfd, const char *name, bool frozen);
/* The name of the cgroup of a monitor's commands. */
void cgroup_name(char name[CGROUP_NAME_BYTES], int64_t monitor_pid);
/* Removes it if nothing is in it; dirfd may be -1. */
void cgroup_remove(int dirfd, int64_t monitor_pid);
/* Removes all of them in which nothing is. */
void cgroup_sweep(int dirfd);

#endif
