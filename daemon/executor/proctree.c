#include "daemon/executor/proctree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "proto/buf.h"
#include "proto/mem.h"

#define ENVIRON_MAX_BYTES (4u * 1024 * 1024)

/* proc(5): "pid (comm) state ppid pgrp session …", starttime is field 22; comm may hold anything.
 */
bool proc_read(pid_t pid, struct proc *ret)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    int ppid, sid;
    char state;
    unsigned long long start;
    if (!p || sscanf(p + 1,
                     " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                     "%llu",
                     &state, &ppid, &sid, &start) != 4)
        return false;
    *ret = (struct proc){pid, ppid, sid, state, start};
    return true;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct proc *)a)->pid, y = ((const struct proc *)b)->pid;
    return (x > y) - (x < y);
}

void proc_list_read(struct proc_list *l)
{
    l->n = 0;
    DIR *d = opendir("/proc");
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        struct proc p;
        pid_t pid = (pid_t)atol(e->d_name);
        if (pid <= 0 || !proc_read(pid, &p))
            continue;
        l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
        l->v[l->n++] = p;
    }
    closedir(d);
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_pid);
}

void proc_list_release(struct proc_list *l)
{
    free(l->v);
    *l = (struct proc_list){0};
}

void proc_list_keep_descendants(struct proc_list *l, pid_t root)
{
    cleanup_free bool *in = xcalloc(l->n + 1, sizeof *in);
    bool more = l->n > 0;
    while (more) { /* as often as the tree is deep */
        more = false;
        for (size_t i = 0; i < l->n; i++) {
            if (in[i])
                continue;
            struct proc key = {.pid = l->v[i].ppid};
            struct proc *parent = bsearch(&key, l->v, l->n, sizeof *l->v, by_pid);
            if (l->v[i].ppid == root || (parent && in[parent - l->v]))
                more = in[i] = true;
        }
    }
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (in[i])
            l->v[n++] = l->v[i];
    }
    l->n = n;
}

bool proc_kill(const struct proc *p, int signo)
{
    struct proc now;
    cleanup_close int fd = pidfd_open(p->pid, 0);
    /* The descriptor is of whoever has the pid now; it is ours if it began when ours did. */
    if (fd < 0 || !proc_read(p->pid, &now) || now.start != p->start)
        return false;
    return pidfd_send_signal(fd, signo, NULL, 0) == 0;
}

/*
 * A process with a signal pending cannot fork: fork(2) begins anew when it has been taken. So once
 * a look finds only processes that were sent one before, there are no others.
 */
void proc_stop_descendants(pid_t root)
{
    enum { LOOKS_MAX = 50 };
    struct proc_list l = {0}, before = {0};
    bool more = true;
    for (int look = 0; more && look < LOOKS_MAX; look++) {
        proc_list_read(&l);
        proc_list_keep_descendants(&l, root);
        more = false;
        for (size_t i = 0; i < l.n; i++) {
            const struct proc *old =
                before.n ? bsearch(&l.v[i], before.v, before.n, sizeof *l.v, by_pid) : NULL;
            if (old && old->start == l.v[i].start)
                continue;
            more = true;
            proc_kill(&l.v[i], SIGSTOP);
        }
        struct proc_list t = before;
        before = l;
        l = t;
    }
    proc_list_release(&l);
    proc_list_release(&before);
}

uint64_t proc_attempt(pid_t pid, const char *id_setting)
{
    static const char name[] = "CORO_ATTEMPT=";
    char path[64];
    struct buf b = {0};
    uint64_t found = 0;
    bool ours = false;

    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    for (ssize_t n = 1; n > 0 && b.len < ENVIRON_MAX_BYTES;) {
        n = read(fd, buf_reserve(&b, 65536), 65536);
        b.len += n > 0 ? (size_t)n : 0;
    }
    buf_cstr(&b);
    for (const char *p = b.data; p < b.data + b.len; p += strlen(p) + 1) {
        ours = ours || strcmp(p, id_setting) == 0;
        if (strncmp(p, name, sizeof name - 1) == 0)
            found = strtoull(p + sizeof name - 1, NULL, 10);
    }
    buf_release(&b);
    return ours ? found : 0;
}

struct pids {
    struct pid_fd {
        pid_t pid;
        int fd;
    } * v;
    size_t n, cap;
};

/* The pids in a cgroup; false: it cannot be read. */
static bool read_pids(int dirfd, const char *name, struct pids *ret)
{
    char path[CGROUP_NAME_BYTES + 16];
    snprintf(path, sizeof path, "%s/cgroup.procs", name);
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
    if (!f) {
        close_fd(fd);
        return false;
    }
    for (int pid; fscanf(f, "%d", &pid) == 1;) {
        ret->v = xgrow(ret->v, &ret->cap, ret->n + 1, sizeof *ret->v);
        ret->v[ret->n++] = (struct pid_fd){pid, -1};
    }
    fclose(f);
    return true;
}

static bool has_pid(const struct pids *p, pid_t pid)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->v[i].pid == pid)
            return true;
    }
    return false;
}

/* A pid that is read may be another's a moment later. One that is still in the group after a
 * descriptor for it was opened is of the group, and so is the descriptor. */
static void signal_pids(int dirfd, const char *name, struct pids *first, int signo)
{
    struct pids second = {0};
    for (size_t i = 0; i < first->n; i++)
        first->v[i].fd = first->v[i].pid > 0 ? pidfd_open(first->v[i].pid, 0) : -1;
    read_pids(dirfd, name, &second);
    for (size_t i = 0; i < first->n; i++) {
        if (first->v[i].fd >= 0 && has_pid(&second, first->v[i].pid))
            pidfd_send_signal(first->v[i].fd, signo, NULL, 0);
        close_fd(first->v[i].fd);
    }
    free(second.v);
}

int cgroup_signal(int dirfd, const char *name, int signo)
{
    struct pids p = {0};
    if (!read_pids(dirfd, name, &p))
        return -1;
    bool found = p.n > 0;
    if (signo && found)
        signal_pids(dirfd, name, &p, signo);
    free(p.v);
    return found;
}

static bool cgroup_write(int dirfd, const char *name, const char *file, const char *text)
{
    char path[CGROUP_NAME_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", name, file);
    cleanup_close int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && write(fd, text, 1) == 1;
}

bool cgroup_kill(int dirfd, const char *name)
{
    return cgroup_write(dirfd, name, "cgroup.kill", "1");
}

bool cgroup_freeze(int dirfd, const char *name, bool frozen)
{
    return cgroup_write(dirfd, name, "cgroup.freeze", frozen ? "1" : "0");
}

void cgroup_name(char name[CGROUP_NAME_BYTES], int64_t monitor_pid)
{
    snprintf(name, CGROUP_NAME_BYTES, "m%lld", (long long)monitor_pid);
}

void cgroup_remove(int dirfd, int64_t monitor_pid)
{
    char name[CGROUP_NAME_BYTES];
    cgroup_name(name, monitor_pid);
    if (dirfd >= 0)
        unlinkat(dirfd, name, AT_REMOVEDIR);
}

void cgroup_sweep(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        close_fd(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == 'm' && e->d_name[1] >= '0' && e->d_name[1] <= '9')
            unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
    }
    closedir(d);
}
