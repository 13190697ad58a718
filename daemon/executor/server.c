#include "daemon/executor/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/executor/statedir.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { READ_BYTES = 256 * 1024, KEEP_BYTES = 1024 * 1024 };

static void drop(struct server *s, const char *why)
{
    if (s->conn.fd < 0)
        return;
    if (why)
        log_warning("the daemon's connection is dropped: %s", why);
    reactor_remove(s->reactor, &s->conn);
    s->conn.fd = close_fd(s->conn.fd);
    buf_release(&s->in); /* what was not taken of it is not taken any more */
    buf_release(&s->out);
    s->greeted = s->writing = s->held = false;
    s->on_gone(s->arg);
}

static void set_events(struct server *s)
{
    if (s->conn.fd >= 0)
        reactor_change(s->reactor, &s->conn,
                       (s->held ? 0 : (uint32_t)EPOLLIN) | (s->writing ? (uint32_t)EPOLLOUT : 0));
}

void server_hold(struct server *s, bool held)
{
    if (s->held == held)
        return;
    s->held = held;
    set_events(s);
}

struct buf *server_out(struct server *s)
{
    return s->conn.fd >= 0 && s->greeted ? &s->out : NULL;
}

void server_flush(struct server *s)
{
    if (s->reserve_fd < 0)
        s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (s->conn.fd >= 0 && s->out.len > 0) {
        ssize_t n = send(s->conn.fd, s->out.data, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            buf_consume(&s->out, (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            drop(s, strerror(errno));
            return;
        }
        if (s->out.len > SERVER_OUT_MAX_BYTES) {
            drop(s, "it does not read");
            return;
        }
        break;
    }
    bool writing = s->conn.fd >= 0 && s->out.len > 0;
    if (writing == s->writing)
        return;
    s->writing = writing;
    set_events(s);
}

/* Takes whole messages off s->in. */
static void take_messages(struct server *s)
{
    struct exec_frame f;
    struct err err;
    size_t done = 0;
    ssize_t n;

    while ((n = exec_frame_parse(s->in.data + done, s->in.len - done, &f, &err)) > 0) {
        if (!s->greeted && f.type != EXEC_MSG_HELLO) {
            drop(s, "it did not say hello first");
            return;
        }
        s->greeted = true;
        if (!s->on_message(s->arg, &f, &err)) {
            drop(s, err.text);
            return;
        }
        done += (size_t)n;
    }
    if (n < 0) {
        drop(s, err.text);
        return;
    }
    buf_consume(&s->in, done);
    if (s->in.len == 0 && s->in.cap > KEEP_BYTES)
        buf_release(&s->in);
}

static void on_conn(void *arg, uint32_t events)
{
    struct server *s = arg;
    if (events & EPOLLOUT)
        server_flush(s);
    if (s->conn.fd < 0 || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    ssize_t n = recv(s->conn.fd, buf_reserve(&s->in, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
    if (n > 0) {
        s->in.len += (size_t)n;
        take_messages(s);
    } else if (n == 0) {
        drop(s, NULL);
    } else if (errno != EAGAIN && errno != EINTR) {
        drop(s, strerror(errno));
    }
}

static bool may_speak(const struct server *s, int fd)
{
    struct ucred c;
    socklen_t len = sizeof c;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) < 0)
        return false;
    if (c.uid == 0 || c.uid == s->own || (s->daemon != (uid_t)-1 && c.uid == s->daemon))
        return true;
    log_warning("user %u may not speak to corod-exec", (unsigned)c.uid);
    return false;
}

/* A connection that cannot be taken would wake us for ever. */
static int take_connection(struct server *s)
{
    int fd = accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
        return fd;
    drop(s, "no descriptor is left, and another one has come");
    s->reserve_fd = close_fd(s->reserve_fd);
    return accept4(s->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void on_listener(void *arg, uint32_t events)
{
    struct server *s = arg;
    (void)events;
    cleanup_close int fd = take_connection(s);
    if (fd < 0 || !may_speak(s, fd))
        return;
    /* The newest one counts: the old one may be of a daemon that is dead, or stopped. */
    drop(s, "another one has come");
    s->conn.fd = steal_fd(&fd);
    if (!reactor_add(s->reactor, &s->conn, EPOLLIN))
        s->conn.fd = close_fd(s->conn.fd);
}

static bool is_answered(const struct sockaddr_un *a)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN);
}

/* Removes the socket of one who is dead; one who answers keeps it. */
static bool remove_stale(const struct sockaddr_un *a, int dirfd, const char *name, struct err *err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT || err_errno(err, "%s", name);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EEXIST, "%s is there and is not a socket", name);
    int64_t since_us = 0;
    while (is_answered(a)) {
        if (!statedir_wait(&since_us))
            return err_set(err, EADDRINUSE, "another program listens on %s", name);
    }
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return err_errno(err, "remove %s", name);
    return true;
}

/*
 * Bound by way of the directory's descriptor, so that nothing is resolved twice; its group is given
 * by the process's effective group, so that nothing is changed by a path.
 */
static int bind_socket(const struct sockaddr_un *a, gid_t group, struct err *err)
{
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_errno(err, "socket");
        return -1;
    }
    gid_t before = getegid();
    mode_t mask = umask(group == (gid_t)-1 ? 0177 : 0117);
    bool ok = group == (gid_t)-1 || setegid(group) == 0;
    ok = ok && bind(fd, (const struct sockaddr *)a, sizeof *a) == 0;
    int e = errno;
    umask(mask);
    if (group != (gid_t)-1 && setegid(before) < 0)
        fatal("setegid: %s", strerror(errno));
    errno = e;
    if (!ok || listen(fd, 16) < 0) {
        err_errno(err, "bind");
        return -1;
    }
    return steal_fd(&fd);
}

bool server_listen(struct server *s, const char *path, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    s->listener = (struct watch){-1, on_listener, s};
    s->conn = (struct watch){-1, on_conn, s};
    s->reserve_fd = -1;
    s->dirfd = open_parent(path, &s->name, err);
    if (s->dirfd < 0)
        return false;
    int n = snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", s->dirfd, s->name);
    if (n >= (int)sizeof a.sun_path)
        return err_set(err, ENAMETOOLONG, "%s: the socket's name is too long", path);
    if (!remove_stale(&a, s->dirfd, s->name, err))
        return err_prefix(err, "socket %s", path);
    s->listener.fd = bind_socket(&a, s->group, err);
    if (s->listener.fd < 0)
        return err_prefix(err, "socket %s", path);
    if (!reactor_add(s->reactor, &s->listener, EPOLLIN))
        return err_errno(err, "epoll");
    return true;
}

void server_close(struct server *s)
{
    if (s->listener.fd >= 0 && s->dirfd >= 0)
        unlinkat(s->dirfd, s->name, 0);
    s->listener.fd = close_fd(s->listener.fd);
    s->conn.fd = close_fd(s->conn.fd);
    s->dirfd = close_fd(s->dirfd);
    s->reserve_fd = close_fd(s->reserve_fd);
    buf_release(&s->in);
    buf_release(&s->out);
}
