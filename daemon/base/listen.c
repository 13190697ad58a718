#include "daemon/base/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/mem.h"

enum {
    ACCEPTS_A_TURN = 64, /* so that a flood of connections leaves time for those that are here */
    REST_US = 200000,
    BACKLOG = SOMAXCONN, /* the kernel cuts it to net.core.somaxconn */
};

struct listener {
    int fd, reserve_fd;
    struct io *io;
    struct alarm *rest;
    bool is_told;                /* that accepting fails, until it works again */
    bool is_accepting, is_freed; /* freed by on_accept: on_ready does the rest */
    void (*on_accept)(void *arg, int fd);
    void *arg;
};

static bool fill_address(struct sockaddr_un *a, const char *path, struct err *err)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (!*path || strlen(path) >= sizeof a->sun_path)
        return err_set(err, ENAMETOOLONG, "the socket's path %s is too long: at most %zu bytes",
                       path, sizeof a->sun_path - 1);
    memcpy(a->sun_path, path, strlen(path) + 1);
    return true;
}

/* Removes the socket file of a dead listener; anything else stays. */
static bool remove_stale(const struct sockaddr_un *a, struct err *err)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0)
        return errno == ENOENT || err_errno(err, "stat %s", a->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EADDRINUSE, "%s exists and is not a socket", a->sun_path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, "socket");
    /* EAGAIN: its queue is full; there is somebody. */
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN)
        return err_set(err, EADDRINUSE, "another daemon listens on %s", a->sun_path);
    if (errno != ECONNREFUSED && errno != ENOENT)
        return err_errno(err, "connect to %s", a->sun_path);
    if (unlink(a->sun_path) < 0 && errno != ENOENT)
        return err_errno(err, "remove %s", a->sun_path);
    return true;
}

int listen_unix(const char *path, mode_t mode, struct err *err)
{
    struct sockaddr_un a;
    if (!fill_address(&a, path, err) || !remove_stale(&a, err))
        return -1;
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        err_errno(err, "socket");
        return -1;
    }
    /* Linux gives the file the socket's own mode less the umask, so it is never wider than asked;
     * the chmod then gives back what the umask took. Nobody can connect before listen(). */
    if (fchmod(fd, mode) < 0 || bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ||
        chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
        err_errno(err, "cannot listen on %s", path);
        return -1;
    }
    return steal_fd(&fd);
}

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Nothing can be accepted: those who wait are let go, and the listener rests. */
static void give_up(struct listener *n, int why)
{
    if (!n->is_told)
        log_warning("cannot accept connections: %s; those that wait are closed", strerror(why));
    n->is_told = true;
    n->reserve_fd = close_fd(n->reserve_fd);
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(n->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        close_fd(fd);
    }
    n->reserve_fd = open_reserve();
    io_want(n->io, 0);
    alarm_start(n->rest, REST_US);
}

static void on_rested(void *arg)
{
    struct listener *n = arg;
    if (n->reserve_fd < 0)
        n->reserve_fd = open_reserve();
    io_want(n->io, IO_READ);
}

/* Linux passes on what happened to the connection that would be accepted: accept(2), "Error
 * handling". */
static bool is_the_peers(int e)
{
    switch (e) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static void release(struct listener *n)
{
    io_free(n->io);
    alarm_free(n->rest);
    close_fd(n->reserve_fd);
    close_fd(n->fd);
    free(n);
}

static void on_ready(void *arg, unsigned what)
{
    struct listener *n = arg;
    (void)what;
    n->is_accepting = true;
    for (int i = 0; i < ACCEPTS_A_TURN && !n->is_freed; i++) {
        int fd = accept4(n->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            n->is_told = false;
            n->on_accept(n->arg, fd);
        } else if (errno == EAGAIN) {
            break;
        } else if (!is_the_peers(errno)) {
            give_up(n, errno);
            break;
        }
    }
    n->is_accepting = false;
    if (n->is_freed)
        release(n);
}

struct listener *listener_new(struct loop *l, int fd, void (*on_accept)(void *arg, int fd),
                              void *arg, struct err *err)
{
    int reserve = open_reserve();
    if (reserve < 0) {
        err_errno(err, "open /dev/null");
        return NULL;
    }
    struct listener *n = xcalloc(1, sizeof *n);
    n->fd = fd;
    n->reserve_fd = reserve;
    n->on_accept = on_accept;
    n->arg = arg;
    n->rest = alarm_new(l, on_rested, n);
    n->io = io_new(l, fd, IO_READ, on_ready, n);
    return n;
}

void listener_free(struct listener *n)
{
    if (!n)
        return;
    n->is_freed = true;
    if (!n->is_accepting)
        release(n);
}
