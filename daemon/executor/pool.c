#include "daemon/executor/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/proctree.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { REPORT_MAX_BYTES = 64 * 1024 };

bool monitor_signal(int pidfd, uint64_t value)
{
    _Static_assert(sizeof(union sigval) >= sizeof value, "a signal's value holds 64 bits");
    siginfo_t info = {.si_signo = MONITOR_SIGNAL, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(uintptr_t)value;
    return pidfd_send_signal(pidfd, MONITOR_SIGNAL, &info, 0) == 0;
}

static int by_value(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* In the new process: keeps 0, 1, 2 and the monitor's descriptors, nothing else. Makes none,
 * because there may be none left. */
static void become_monitor(const struct monitor_setup *s) __attribute__((noreturn));
static void become_monitor(const struct monitor_setup *s)
{
    int keep[] = {2, s->sock, s->log_dirfd, s->null_fd, s->cgroup_dirfd >= 0 ? s->cgroup_dirfd : 2};
    qsort(keep, ARRAY_LEN(keep), sizeof *keep, by_value);
    for (size_t i = 0; i + 1 < ARRAY_LEN(keep); i++) {
        if (keep[i + 1] > keep[i] + 1)
            close_range((unsigned)keep[i] + 1, (unsigned)keep[i + 1] - 1, 0);
    }
    close_range((unsigned)keep[ARRAY_LEN(keep) - 1] + 1, ~0u, 0);
    monitor_main(s);
}

static void close_sock(struct worker *w)
{
    reactor_remove(w->pool->reactor, &w->sock);
    w->sock.fd = close_fd(w->sock.fd);
}

static void link_worker(struct pool *p, struct worker *w)
{
    w->next = p->all;
    w->prev = &p->all;
    if (w->next)
        w->next->prev = &w->next;
    p->all = w;
}

/* Its process goes on, or is dead. */
static void free_worker(struct worker *w)
{
    close_sock(w);
    reactor_remove(w->pool->reactor, &w->death);
    close_fd(w->pidfd);
    *w->prev = w->next;
    if (w->next)
        w->next->prev = w->prev;
    free(w);
}

void pool_release(struct pool *p)
{
    while (p->all)
        free_worker(p->all);
    p->idle = NULL;
    p->n_idle = 0;
}

static void take_from_idle(struct pool *p, struct worker *w)
{
    for (struct worker **at = &p->idle; *at; at = &(*at)->next_idle) {
        if (*at == w) {
            *at = w->next_idle;
            p->n_idle--;
            return;
        }
    }
}

void pool_give_up(struct worker *w)
{
    w->going = true;
    close_sock(w); /* it sees the end of its socket */
}

void pool_give_back(struct pool *p, struct worker *w, int64_t now_us)
{
    w->idle_since_us = now_us;
    w->next_idle = p->idle;
    p->idle = w;
    if (++p->n_idle <= POOL_IDLE_MAX)
        return;
    take_from_idle(p, w);
    pool_give_up(w);
}

static void on_report(struct worker *w, const char *data, size_t len)
{
    struct pool *p = w->pool;
    struct reader r = READER(data, len);
    unsigned type = get_u8(&r);
    struct attempt *a = w->attempt;

    if (!a)
        return;
    if (type == MONITOR_STARTED) {
        get_u64(&r);
        int64_t pid = (int64_t)get_u64(&r), started_us = (int64_t)get_u64(&r);
        p->events.on_started(p->arg, a, pid, started_us);
    } else if (type == MONITOR_NOTICE) {
        get_u64(&r);
        cleanup_free char *text = xstrndup((const char *)r.p, (size_t)(r.end - r.p));
        p->events.on_notice(p->arg, a, text);
    } else if (type == MONITOR_ENDED) {
        bool retiring = get_u8(&r);
        w->attempt = NULL;
        a->monitor = NULL;
        if (retiring)
            pool_give_up(w);
        else
            pool_give_back(p, w, boot_us());
        p->events.on_end(p->arg, a, r.p, (size_t)(r.end - r.p));
    }
}

/* Takes one report; false: there is none now. */
static bool take_report(struct worker *w)
{
    static char data[REPORT_MAX_BYTES];
    ssize_t n = recv(w->sock.fd, data, sizeof data, MSG_DONTWAIT);
    if (n > 0)
        on_report(w, data, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        close_sock(w); /* what that means is known when the process is dead */
    return n > 0;
}

static void on_sock(void *arg, uint32_t events)
{
    (void)events;
    take_report(arg);
}

/* A monitor is dead. Its last reports may still be in the socket. */
static void on_death(void *arg, uint32_t events)
{
    struct worker *w = arg;
    struct pool *p = w->pool;

    (void)events;
    while (w->sock.fd >= 0 && take_report(w))
        ;
    take_from_idle(p, w);
    waitpid(w->pid, NULL, WNOHANG);
    struct attempt *a = w->attempt;
    if (a)
        a->monitor = NULL;
    cgroup_remove(p->setup.cgroup_dirfd, w->pid);
    free_worker(w);
    if (a)
        p->events.on_death(p->arg, a);
}

static struct worker *spawn(struct pool *p)
{
    int pair[2];
    if (errinj(ERRINJ_EXEC_FORK)) {
        errno = EAGAIN;
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return NULL;
    cleanup_close int mine = pair[0], theirs = pair[1];
    pid_t pid = fork();
    if (pid < 0)
        return NULL;
    if (pid == 0) {
        struct monitor_setup setup = p->setup;
        setup.sock = theirs;
        become_monitor(&setup);
    }
    struct worker *w = xcalloc(1, sizeof *w);
    *w = (struct worker){.pool = p, .pid = pid, .pidfd = pidfd_open(pid, 0)};
    w->sock = (struct watch){steal_fd(&mine), on_sock, w};
    w->death = (struct watch){w->pidfd, on_death, w};
    link_worker(p, w);
    if (w->pidfd < 0 || !reactor_add(p->reactor, &w->sock, EPOLLIN) ||
        !reactor_add(p->reactor, &w->death, EPOLLIN)) {
        int e = errno;
        free_worker(w);
        errno = e;
        return NULL;
    }
    return w;
}

struct worker *pool_take(struct pool *p)
{
    struct worker *w = p->idle;
    if (!w)
        return spawn(p);
    p->idle = w->next_idle;
    p->n_idle--;
    return w;
}

static int put_in_memory(const void *data, size_t len)
{
    cleanup_close int fd = memfd_create("start", MFD_CLOEXEC);
    for (size_t done = 0; fd >= 0 && done < len;) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return steal_fd(&fd);
}

static bool send_packet(int sock, const struct buf *b, const int *fds, size_t n_fds)
{
    union {
        char buf[CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {b->data, b->len};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = CMSG_SPACE(n_fds * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    ssize_t n;
    do {
        n = sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)b->len;
}

bool worker_start(struct worker *w, struct attempt *a, int lock_fd, const struct journal_pen *pen,
                  const struct user *user, const void *payload, size_t len)
{
    struct buf b = {0};
    int fds[3] = {lock_fd};
    size_t n_fds = 1;
    cleanup_close int memory = -1;
    unsigned flags = user ? MONITOR_HAS_USER : 0;

    if (w->segment_id != a->segment->id) {
        flags |= MONITOR_HAS_JOURNAL;
        fds[n_fds++] = pen->fd;
    }
    size_t head = 64 + (user ? user->n_groups * 4 : 0);
    if (head + len > MONITOR_PACKET_MAX_BYTES) {
        flags |= MONITOR_HAS_MEMFD;
        memory = put_in_memory(payload, len);
        if (memory < 0)
            return false;
        fds[n_fds++] = memory;
        len = 0;
    }
    put_u8(&b, (uint8_t)flags);
    put_u64(&b, pen->sync);
    if (user)
        user_put(&b, user);
    buf_add(&b, payload, len);
    bool ok = send_packet(w->sock.fd, &b, fds, n_fds);
    buf_release(&b);
    if (!ok)
        return false;
    w->segment_id = a->segment->id;
    w->attempt = a;
    a->monitor = w;
    return true;
}

int64_t pool_retire_idle(struct pool *p, int64_t now_us)
{
    struct worker **at = &p->idle;
    int64_t due = 0;
    while (*at) {
        struct worker *w = *at;
        if (now_us - w->idle_since_us >= POOL_IDLE_US) {
            *at = w->next_idle;
            p->n_idle--;
            pool_give_up(w);
        } else {
            due = w->idle_since_us + POOL_IDLE_US; /* the last of the stack waits longest */
            at = &w->next_idle;
        }
    }
    return due;
}
