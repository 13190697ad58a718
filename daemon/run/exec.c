#include "daemon/run/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/files.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { RETRY_FIRST_US = 50 * 1000, RETRY_MOST_US = 2000 * 1000 };
enum { READ_BYTES = 256 * 1024, READS_A_TURN = 8, KEEP_BYTES = 1024 * 1024 };

struct exec_client {
    struct loop *loop;
    char *socket_path, *state_dir, *spawn;
    struct exec_events events;
    void *arg;
    uint64_t our_highest;
    int fd; /* -1: not connected */
    struct io *io;
    struct alarm *retry;
    int64_t retry_us;
    bool up, told_down;
    pid_t child;     /* the executor that was spawned last, 0: none */
    int spawn_error; /* that was logged */
    struct buf in, out;
    bool busy, dead; /* freed by a callback of its own: done when that returns */
};

static void try_connect(void *arg);
static void on_ready(void *arg, unsigned what);

static void disconnect(struct exec_client *c)
{
    io_free(c->io);
    c->io = NULL;
    c->fd = close_fd(c->fd);
    buf_release(&c->in);
    buf_release(&c->out);
}

static void retry_later(struct exec_client *c)
{
    alarm_start(c->retry, c->retry_us);
    c->retry_us = c->retry_us * 2 < RETRY_MOST_US ? c->retry_us * 2 : RETRY_MOST_US;
}

/* The caller hears once of each time that it is down. It may free the client. */
static void go_down(struct exec_client *c, const struct err *why)
{
    bool tell = c->up || !c->told_down;
    if (c->up)
        c->retry_us = RETRY_FIRST_US;
    disconnect(c);
    c->up = false;
    c->told_down = true;
    retry_later(c);
    if (tell && c->events.on_down)
        c->events.on_down(c->arg, why);
}

/* An executor that this daemon started ends so many seconds after it, when no command runs. */
#define IDLE_EXIT_S "10"

/*
 * Nobody answers: starts the executor in a session of its own, with nothing of ours but stderr.
 * False: it was started before, or cannot be.
 */
static bool spawn_executor(struct exec_client *c)
{
    char *argv[] = {c->spawn,
                    (char *)(uintptr_t) "--socket",
                    c->socket_path,
                    (char *)(uintptr_t) "--state",
                    c->state_dir,
                    (char *)(uintptr_t) "--idle-exit",
                    (char *)(uintptr_t)IDLE_EXIT_S,
                    NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;

    if (c->child > 0 && waitpid(c->child, NULL, WNOHANG) == 0)
        return false; /* it is on its way */
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, 0, 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    files_restore();
    int e = posix_spawn(&c->child, c->spawn, &files, &attr, argv, environ);
    files_raise();
    if (e) {
        if (e != c->spawn_error)
            log_error("cannot start %s: %s", c->spawn, strerror(e));
        c->child = 0;
    }
    c->spawn_error = e;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&files);
    return e == 0;
}

static int open_socket(const char *path, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path) {
        err_set(err, ENAMETOOLONG, "%s: the socket's path is too long", path);
        return -1;
    }
    strcpy(a.sun_path, path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        err_errno(err, "connect to corod-exec at %s", path);
        return -1;
    }
    return steal_fd(&fd);
}

static void try_connect(void *arg)
{
    struct exec_client *c = arg;
    struct err err;
    struct buf open = {0};

    if (c->fd >= 0)
        return;
    c->fd = open_socket(c->socket_path, &err);
    if (c->fd < 0) {
        /* It takes a moment to start: no reason to speak of it yet. */
        if (c->spawn && (err.code == ENOENT || err.code == ECONNREFUSED) && spawn_executor(c))
            retry_later(c);
        else
            go_down(c, &err);
        return;
    }
    c->io = io_new(c->loop, c->fd, IO_READ, on_ready, c);
    c->events.list_open(c->arg, &open);
    exec_put_hello(&c->out, c->our_highest, open.data, open.len / sizeof(uint64_t));
    buf_release(&open);
    exec_flush(c);
}

/* Its frame is good: the rest is the caller's. False: the payload is malformed. */
static bool on_frame(struct exec_client *c, const struct exec_frame *f, struct err *err)
{
    const struct exec_events *ev = &c->events;
    struct reader r = READER(f->payload, f->len);
    struct exec_end end;
    uint64_t number, highest;
    const char *text;

    switch (f->type) {
    case EXEC_MSG_HELLO:
        if (!exec_get_hello_back(f->payload, f->len, &highest, &text, err))
            return false;
        c->up = true;
        c->told_down = false;
        c->retry_us = RETRY_FIRST_US;
        ev->on_up(c->arg, highest);
        return true;
    case EXEC_MSG_END:
        if (!exec_get_end(f->payload, f->len, &end, err))
            return false;
        ev->on_end(c->arg, &end);
        return true;
    case EXEC_MSG_NOTICE:
        if (!exec_get_notice(f->payload, f->len, &number, &text))
            break;
        ev->on_notice(c->arg, number, text);
        return true;
    case EXEC_MSG_LOG_REMOVED:
        number = get_u64(&r);
        if (!reader_done(&r))
            break;
        if (ev->on_log_removed)
            ev->on_log_removed(c->arg, number);
        return true;
    case EXEC_MSG_STARTED: {
        number = get_u64(&r);
        int64_t pid = (int64_t)get_u64(&r), started_us = (int64_t)get_u64(&r);
        if (!reader_done(&r))
            break;
        ev->on_started(c->arg, number, pid, started_us);
        return true;
    }
    case EXEC_MSG_STATE: {
        number = get_u64(&r);
        unsigned state = get_u8(&r);
        if (!reader_done(&r) || (state != EXEC_RUNNING && state != EXEC_UNKNOWN))
            break;
        ev->on_resolved(c->arg, number, (enum exec_state)state);
        return true;
    }
    default:
        break;
    }
    return err_set(err, EPROTO, "corod-exec sent a malformed message of type %u",
                   (unsigned)f->type);
}

/* False: the client is gone or down. */
static bool take_frames(struct exec_client *c)
{
    struct exec_frame f;
    struct err err;
    size_t done = 0;
    ssize_t n;

    c->busy = true;
    while ((n = exec_frame_parse(c->in.data + done, c->in.len - done, &f, &err)) > 0) {
        if (!on_frame(c, &f, &err)) {
            n = -1;
            break;
        }
        if (c->dead)
            break;
        done += (size_t)n;
    }
    c->busy = false;
    if (c->dead) {
        exec_client_free(c);
        return false;
    }
    if (n < 0) {
        go_down(c, &err);
        return false;
    }
    buf_consume(&c->in, done);
    if (c->in.len == 0 && c->in.cap > KEEP_BYTES)
        buf_release(&c->in);
    return true;
}

static void on_ready(void *arg, unsigned what)
{
    struct exec_client *c = arg;
    struct err err;

    if (what & IO_WRITE)
        exec_flush(c);
    for (int i = 0; i < READS_A_TURN && what & IO_READ && c->fd >= 0; i++) {
        ssize_t n = recv(c->fd, buf_reserve(&c->in, READ_BYTES), READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            if (n < 0)
                err_errno(&err, "corod-exec");
            else
                err_set(&err, ECONNRESET, "corod-exec closed the connection");
            go_down(c, &err);
            return;
        }
        c->in.len += (size_t)n;
        if (!take_frames(c) || n < READ_BYTES)
            return;
    }
}

struct exec_client *exec_client_new(struct loop *l, const char *socket_path, const char *state_dir,
                                    const char *spawn, const struct exec_events *events, void *arg)
{
    struct exec_client *c = xcalloc(1, sizeof *c);
    *c = (struct exec_client){.loop = l,
                              .socket_path = xstrdup(socket_path),
                              .state_dir = xstrdup(state_dir),
                              .spawn = spawn ? xstrdup(spawn) : NULL,
                              .events = *events,
                              .arg = arg,
                              .fd = -1,
                              .retry_us = RETRY_FIRST_US};
    c->retry = alarm_new(l, try_connect, c);
    alarm_start(c->retry, 0);
    return c;
}

void exec_client_free(struct exec_client *c)
{
    if (!c)
        return;
    c->dead = true;
    if (c->busy)
        return;
    disconnect(c);
    alarm_free(c->retry);
    free(c->socket_path);
    free(c->state_dir);
    free(c->spawn);
    free(c);
}

bool exec_client_up(const struct exec_client *c)
{
    return c->up;
}

void exec_client_set_highest(struct exec_client *c, uint64_t our_highest)
{
    c->our_highest = our_highest;
}

void exec_start(struct exec_client *c, const struct exec_start *start)
{
    if (c->up)
        exec_put_start(&c->out, start);
}

void exec_stop(struct exec_client *c, uint64_t number, uint32_t grace_ms)
{
    if (c->up)
        exec_put_stop(&c->out, number, grace_ms);
}

void exec_resolve(struct exec_client *c, uint64_t number, bool same_boot)
{
    if (c->up)
        exec_put_resolve(&c->out, number, same_boot);
}

static void put_number(struct exec_client *c, enum exec_message type, uint64_t number)
{
    if (c->up)
        exec_put_number(&c->out, type, number);
}

void exec_settle(struct exec_client *c, uint64_t number)
{
    put_number(c, EXEC_MSG_SETTLE, number);
}

void exec_flush_output(struct exec_client *c, uint64_t number)
{
    if (c->out.len < KEEP_BYTES)
        put_number(c, EXEC_MSG_FLUSH, number);
}

void exec_remove_log(struct exec_client *c, uint64_t number)
{
    put_number(c, EXEC_MSG_REMOVE_LOG, number);
}

void exec_credit(struct exec_client *c, uint64_t number, uint64_t position)
{
    if (c->up)
        exec_put_credit(&c->out, number, position);
}

void exec_pause(struct exec_client *c, uint64_t number, bool paused)
{
    if (c->up)
        exec_put_pause(&c->out, number, paused);
}

void exec_flush(struct exec_client *c)
{
    while (c->fd >= 0 && c->out.len > 0) {
        bool dies = errinj(ERRINJ_RUN_TORN_FRAME);
        ssize_t n = send(c->fd, c->out.data, dies ? c->out.len / 2 : c->out.len,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (dies)
            kill(getpid(), SIGKILL);
        if (n > 0)
            buf_consume(&c->out, (size_t)n);
        else if (n < 0 && errno != EINTR)
            break; /* when it is broken, reading will say so */
    }
    if (c->io)
        io_want(c->io, c->out.len > 0 ? IO_READ | IO_WRITE : IO_READ);
    if (c->out.len == 0 && c->out.cap > KEEP_BYTES)
        buf_release(&c->out);
}
