#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/monitor_priv.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { MAX_FDS = 3, KEEP_MESSAGE_BYTES = 256 * 1024, RETRY_US = 100 * 1000 };

/* The descriptors of a packet, in order; returns their count. */
static int take_fds(struct msghdr *h, int fds[MAX_FDS])
{
    int n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)n * sizeof(int));
    }
    return n;
}

/* Receives a packet into m->message: its length, 0 when the executor is gone, -1 when there is
 * none. */
static ssize_t receive_packet(struct monitor *m, int fds[MAX_FDS], int *n_fds)
{
    union {
        char buf[CMSG_SPACE(MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec v = {m->message, m->message_cap};
    struct msghdr h = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof control.buf};
    ssize_t n = recvmsg(m->setup.sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    *n_fds = take_fds(&h, fds);
    return n;
}

static void grow_message(struct monitor *m, size_t need)
{
    m->message = xgrow(m->message, &m->message_cap, need, 1);
}

/* A large START comes in a memfd. */
static size_t read_memfd(struct monitor *m, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        fatal("a start in memory: %s", strerror(errno));
    grow_message(m, (size_t)st.st_size);
    size_t len = 0;
    while (len < (size_t)st.st_size) {
        ssize_t n = pread(fd, m->message + len, (size_t)st.st_size - len, (off_t)len);
        if (n <= 0)
            fatal("a start in memory: %s", n < 0 ? strerror(errno) : "too short");
        len += (size_t)n;
    }
    return len;
}

/* The executor has checked all of it: what does not fit here is a fault of ours. */
static void accept_command(struct monitor *m, size_t len, int *fds, int n_fds)
{
    struct reader r = READER(m->message, len);
    struct err err;
    unsigned flags = get_u8(&r);
    uint64_t sync = get_u64(&r);
    int i = 0;

    m->c = (struct command){.pipes = {-1, -1}, .has_user = flags & MONITOR_HAS_USER};
    if (m->c.has_user && !user_get(&r, &m->c.user, m->groups))
        fatal("a start's user");
    m->lock_fd = i < n_fds ? fds[i++] : -1;
    if (flags & MONITOR_HAS_JOURNAL && i < n_fds) {
        close_fd(m->pen.fd);
        m->pen.fd = fds[i++];
    }
    m->pen.sync = sync;
    const char *payload = (const char *)r.p;
    size_t payload_len = (size_t)(r.end - r.p);
    if (flags & MONITOR_HAS_MEMFD && i < n_fds) {
        payload_len = read_memfd(m, fds[i]);
        payload = m->message;
        close(fds[i]);
    }
    if (r.failed || m->lock_fd < 0 || m->pen.fd < 0 ||
        !exec_get_start(payload, payload_len, &m->c.start, &err))
        fatal("a start that cannot be read");
}

bool monitor_receive(struct monitor *m)
{
    int fds[MAX_FDS], n_fds = 0;
    if (m->message_cap > KEEP_MESSAGE_BYTES) {
        free(m->message);
        m->message = NULL;
        m->message_cap = 0;
    }
    grow_message(m, MONITOR_PACKET_MAX_BYTES);
    ssize_t n = receive_packet(m, fds, &n_fds);
    if (n <= 0)
        return n < 0;
    accept_command(m, (size_t)n, fds, n_fds);
    errinj(ERRINJ_EXEC_MONITOR_GOT_START);
    const struct exec_start *s = &m->c.start;
    output_begin(&m->out, m->setup.log_dirfd, s->number, s->log_cap_bytes, s->window_bytes != 0);
    monitor_start(m, boot_us());
    return true;
}

/* What the command reads: /dev/null, or a file in memory that holds the given bytes. */
static int open_input(const struct exec_start *s)
{
    cleanup_close int fd = memfd_create("stdin", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    for (size_t done = 0; done < s->input_len;) {
        ssize_t n = write(fd, (const char *)s->input + done, s->input_len - done);
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return steal_fd(&fd);
}

/* A pipe whose writing end the command's user may open again (/dev/stdout). */
static bool make_pipe(const struct command *c, int p[2])
{
    if (pipe2(p, O_CLOEXEC) < 0)
        return false;
    if (c->has_user && c->user.uid != geteuid() && fchown(p[1], c->user.uid, c->user.gid) < 0) {
        int e = errno;
        close(p[0]);
        close(p[1]);
        errno = e;
        return false;
    }
    return true;
}

/* Sets NAME=… in an environment that has room for one more. */
static void set_env(const char **env, const char *setting)
{
    size_t name = strcspn(setting, "=") + 1, i = 0;
    while (env[i] && strncmp(env[i], setting, name) != 0)
        i++;
    if (!env[i])
        env[i + 1] = NULL;
    env[i] = setting;
}

/* The command's environment is the given one and these two, by which its processes can be found. */
static void mark_env(const struct monitor *m, char *text, size_t size)
{
    const char **env = (const char **)(uintptr_t)m->c.start.env;
    snprintf(text, size, "CORO_ATTEMPT=%llu", (unsigned long long)m->c.start.number);
    set_env(env, text);
    set_env(env, m->setup.defaults->id_setting);
}

static void try_launch(struct monitor *m, struct launch_result *r)
{
    struct command *c = &m->c;
    cleanup_close int in = -1, out_w = -1, err_w = -1;
    int out[2], err[2];
    static char attempt[40];

    *r = (struct launch_result){.stage = LAUNCH_FORK};
    if (c->start.input_len > 0 && (in = open_input(&c->start)) < 0) {
        r->error = errno;
        return;
    }
    if (!make_pipe(c, out)) {
        r->error = errno;
        return;
    }
    c->pipes[0] = out[0];
    out_w = out[1];
    if (!c->start.merge_stderr) {
        if (!make_pipe(c, err)) {
            r->error = errno;
            return;
        }
        c->pipes[1] = err[0];
        err_w = err[1];
    }
    mark_env(m, attempt, sizeof attempt);
    struct launch l = {.start = &c->start,
                       .env = c->start.env,
                       .user = c->has_user ? &c->user : NULL,
                       .defaults = m->setup.defaults,
                       .pen = &m->pen,
                       .pid = {.monitor_pid = m->pid, .monitor_start = m->start_time},
                       .in = in >= 0 ? in : m->setup.null_fd,
                       .out = out_w,
                       .err = err_w >= 0 ? err_w : out_w,
                       .cgroup = m->cgroup_fd};
    c->started_boot_us = boot_us();
    launch(&l, r);
    c->started_us = l.pid.started_us ? l.pid.started_us : real_us();
    if (r->stage > LAUNCH_RECORD) {
        struct err why;
        launch_explain(&l, r, &why);
        snprintf(c->failure_text, sizeof c->failure_text, "%s", why.text);
    }
}

static void close_pipes(struct command *c)
{
    for (int i = 0; i < 2; i++)
        c->pipes[i] = close_fd(c->pipes[i]);
}

void monitor_start(struct monitor *m, int64_t now_us)
{
    struct command *c = &m->c;
    struct launch_result r;

    c->retry_at_us = 0;
    if (c->stopped) { /* while it could not be started */
        r = (struct launch_result){.stage = LAUNCH_SETUP, .error = ECANCELED};
        snprintf(c->failure_text, sizeof c->failure_text, "stopped before it was started");
    } else {
        try_launch(m, &r);
        if (r.stage == LAUNCH_DONE) {
            errinj(ERRINJ_EXEC_AFTER_START);
            c->pid = r.pid;
            c->tell_at_us = now_us + MONITOR_STARTED_US;
            m->phase = PHASE_RUNNING;
            monitor_freeze(m);
            return;
        }
        if (r.stage != LAUNCH_FORK)
            waitpid(r.pid, NULL, 0);
        close_pipes(c);
        if (r.stage == LAUNCH_FORK && m->cgroup_fd >= 0 && r.error != EAGAIN && r.error != ENOMEM) {
            log_warning("cgroup %s cannot be used: %s", m->cgroup, strerror(r.error));
            m->cgroup_fd = close_fd(m->cgroup_fd);
        }
        if (r.stage == LAUNCH_FORK || r.stage == LAUNCH_RECORD) {
            if (m->phase != PHASE_STARTING)
                log_warning("attempt %llu: cannot start it now: %s: trying again",
                            (unsigned long long)c->start.number, strerror(r.error));
            m->phase = PHASE_STARTING;
            c->retry_at_us = now_us + RETRY_US;
            return;
        }
    }
    c->failure = r;
    c->ended_us = real_us();
    monitor_record(m, now_us);
}
