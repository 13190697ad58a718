#include "daemon/executor/executor.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/executor_priv.h"
#include "daemon/executor/notify.h"
#include "daemon/executor/proctree.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

static void forget_if_settled(struct executor *e, struct attempt *a)
{
    if (a->settled)
        ledger_settle(&e->ledger, a);
}

static void on_started(void *arg, struct attempt *a, int64_t pid, int64_t started_us)
{
    struct executor *e = arg;
    struct buf *out = server_out(&e->server);
    if (out)
        exec_put_started(out, a->number, pid, started_us);
}

static void on_end(void *arg, struct attempt *a, const void *payload, size_t len)
{
    struct executor *e = arg;
    struct buf *out = server_out(&e->server);
    a->state = ATTEMPT_ENDED;
    errinj(ERRINJ_EXEC_BEFORE_FORWARD);
    if (out && !a->settled)
        exec_put_frame(out, EXEC_MSG_END, payload, len);
    forget_if_settled(e, a);
}

static void on_notice(void *arg, struct attempt *a, const char *text)
{
    struct executor *e = arg;
    struct buf *out = server_out(&e->server);
    cleanup_free char *line = xasprintf("attempt %llu: %s", (unsigned long long)a->number, text);
    log_warning("%s", line);
    if (out)
        exec_put_notice(out, a->number, line);
}

static void on_monitor_death(void *arg, struct attempt *a)
{
    struct executor *e = arg;
    verdict_check(&e->verdict, a);
}

static void on_verdict(void *arg, struct attempt *a)
{
    struct executor *e = arg;
    if (!a->settled)
        executor_tell(e, a);
    forget_if_settled(e, a);
}

static void on_forget(void *arg, struct attempt *a)
{
    struct executor *e = arg;
    verdict_forget(&e->verdict, a);
}

static void reload_policy(struct executor *e)
{
    struct policy new;
    struct err err;
    if (!e->options->policy)
        return;
    if (!policy_read(&new, e->options->policy, e->daemon_uid, &err)) {
        log_error("%s: the old policy stays", err.text);
        return;
    }
    policy_release(&e->policy);
    e->policy = new;
    log_notice("the policy was read again");
}

static void on_signals(void *arg, uint32_t events)
{
    struct executor *e = arg;
    struct signalfd_siginfo s;
    (void)events;
    while (read(e->signal_fd, &s, sizeof s) == sizeof s) {
        if (s.ssi_signo == SIGCHLD) {
            while (waitpid(-1, NULL, WNOHANG) > 0) /* monitors, and what a dead one left */
                ;
        } else if (s.ssi_signo == SIGHUP) {
            reload_policy(e);
        } else {
            e->reactor.stop = true;
        }
    }
}

static bool init_signals(struct executor *e, struct err *err)
{
    sigset_t all, mine;
    for (int i = 1; i < NSIG; i++) /* what the caller ignored, a command would too */
        signal(i, SIG_DFL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigemptyset(&mine);
    sigaddset(&mine, SIGCHLD);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGINT);
    sigaddset(&mine, SIGHUP);
    e->signal_fd = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    if (e->signal_fd < 0)
        return err_errno(err, "signalfd");
    e->signals = (struct watch){e->signal_fd, on_signals, e};
    if (!reactor_add(&e->reactor, &e->signals, EPOLLIN))
        return err_errno(err, "epoll");
    return true;
}

static void init_limits(struct executor *e)
{
    struct rlimit r;
    char text[16] = "";
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        e->defaults.reset_nofile = true;
        e->defaults.nofile_soft = r.rlim_cur;
        e->defaults.nofile_hard = r.rlim_max;
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    cleanup_close int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    e->defaults.reset_oom = n > 0 && atoi(text) != 0;
}

static bool init_users(struct executor *e, struct err *err)
{
    const struct executor_options *o = e->options;
    e->daemon_uid = (uid_t)-1;
    e->daemon_gid = (gid_t)-1;
    e->users = user_cache_new();
    e->system_mode = o->policy && geteuid() == 0;
    if (!e->system_mode) {
        if (o->policy)
            return err_set(err, EPERM, "--policy is for root only");
        policy_init_own(&e->policy, geteuid());
        return true;
    }
    const struct passwd *pw = getpwnam(o->daemon_user);
    if (!pw)
        return err_set(err, ENOENT, "there is no user \"%s\" (--daemon-user)", o->daemon_user);
    e->daemon_uid = pw->pw_uid;
    e->daemon_gid = pw->pw_gid;
    /* What it makes in its directory is for the daemon's group to read. */
    if (setegid(pw->pw_gid) < 0)
        return err_errno(err, "setegid");
    return policy_read(&e->policy, o->policy, e->daemon_uid, err);
}

static void init_cgroup(struct executor *e)
{
    const char *path = e->options->cgroup;
    int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (path && (fd < 0 || (mkdirat(fd, "monitors", 0755) < 0 && errno != EEXIST))) {
        log_warning("cgroup %s: %s: commands are found by their sessions instead", path,
                    strerror(errno));
        fd = close_fd(fd);
    }
    if (fd >= 0)
        cgroup_sweep(fd);
    e->pool.setup.cgroup_dirfd = e->verdict.cgroup_dirfd = fd;
}

static void check_one(void *arg, struct attempt *a)
{
    struct executor *e = arg;
    if (a->state == ATTEMPT_RUNNING)
        verdict_check(&e->verdict, a);
}

static bool on_message(void *arg, const struct exec_frame *f, struct err *err)
{
    return executor_on_message(arg, f, err);
}

static void on_gone(void *arg)
{
    executor_drop_deferred(arg);
}

static void wire(struct executor *e)
{
    e->verdict = (struct verdict){.ledger = &e->ledger,
                                  .reactor = &e->reactor,
                                  .cgroup_dirfd = -1,
                                  .on_verdict = on_verdict,
                                  .on_notice = on_notice,
                                  .arg = e};
    e->pool = (struct pool){.reactor = &e->reactor,
                            .setup = {.sock = -1,
                                      .log_dirfd = e->dir.log_dirfd,
                                      .cgroup_dirfd = -1,
                                      .defaults = &e->defaults},
                            .events = {on_started, on_end, on_notice, on_monitor_death},
                            .arg = e};
    e->server = (struct server){.reactor = &e->reactor,
                                .own = geteuid(),
                                .daemon = e->daemon_uid,
                                .group = e->daemon_gid,
                                .dirfd = -1,
                                .reserve_fd = -1,
                                .on_message = on_message,
                                .on_gone = on_gone,
                                .arg = e};
    e->server.listener.fd = e->server.conn.fd = -1;
    e->ledger.on_forget = on_forget;
    e->ledger.arg = e;
    e->deferred_end = &e->deferred;
}

static bool init(struct executor *e, struct err *err)
{
    umask(027);
    if (!init_users(e, err) || !statedir_open(&e->dir, e->options->state_dir, err) ||
        !reactor_init(&e->reactor, err))
        return false;
    wire(e);
    init_limits(e);
    e->defaults.id_setting = e->dir.id_setting;
    e->pool.setup.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (e->pool.setup.null_fd < 0)
        return err_errno(err, "open /dev/null");
    init_cgroup(e);
    /* What a dead monitor leaves behind comes to us. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_errno(err, "prctl");
    if (!init_signals(e, err) || !ledger_open(&e->ledger, &e->dir, err))
        return false;
    ledger_each(&e->ledger, check_one, e);
    return server_listen(&e->server, e->options->socket_path, err);
}

static void release(struct executor *e)
{
    server_close(&e->server);
    executor_drop_deferred(e);
    pool_release(&e->pool);
    ledger_close(&e->ledger);
    verdict_release(&e->verdict);
    policy_release(&e->policy);
    user_cache_free(e->users);
    close_fd(e->pool.setup.null_fd);
    close_fd(e->pool.setup.cgroup_dirfd);
    close_fd(e->signal_fd);
    statedir_close(&e->dir);
    reactor_release(&e->reactor);
}

static void earliest(int64_t *at, int64_t due)
{
    if (due && (!*at || due < *at))
        *at = due;
}

static void count_running(void *arg, struct attempt *a)
{
    size_t *n = arg;
    *n += a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_LOSING;
}

/* When to end for want of anything to do, 0: not at all. What has ended waits in the journal. */
static int64_t idle_end_us(struct executor *e, int64_t now_us)
{
    size_t running = 0;
    if (e->options->idle_exit_s <= 0 || e->server.conn.fd >= 0) {
        e->idle_since_us = 0;
        return 0;
    }
    ledger_each(&e->ledger, count_running, &running);
    if (running > 0)
        e->idle_since_us = 0;
    else if (!e->idle_since_us)
        e->idle_since_us = now_us;
    return e->idle_since_us ? e->idle_since_us + e->options->idle_exit_s * INT64_C(1000000) : 0;
}

static void turn(struct executor *e)
{
    int64_t now_us = boot_us(), at = pool_retire_idle(&e->pool, now_us);
    executor_try_deferred(e, now_us);
    verdict_again(&e->verdict, now_us);
    server_flush(&e->server);
    earliest(&at, e->deferred_at_us);
    earliest(&at, e->verdict.again_at_us);
    int64_t end_us = idle_end_us(e, now_us);
    if (end_us && end_us <= now_us) {
        e->reactor.stop = true;
        return;
    }
    earliest(&at, end_us);
    now_us = boot_us();
    reactor_turn(&e->reactor, !at ? -1 : at > now_us ? at - now_us : 0);
}

bool executor_run(const struct executor_options *options, struct err *err)
{
    struct executor e = {
        .options = options,
        .dir = {-1, -1, -1, -1, ""},
        .reactor = {.epoll_fd = -1},
        .ledger = {.pen = {.fd = -1}},
        .server = {.dirfd = -1, .reserve_fd = -1, .listener = {.fd = -1}, .conn = {.fd = -1}},
        .pool = {.setup = {.null_fd = -1, .cgroup_dirfd = -1}},
        .signal_fd = -1};
    bool ok = init(&e, err);
    if (ok) {
        notify_ready();
        while (!e.reactor.stop)
            turn(&e);
        notify_stopping();
        server_flush(&e.server);
    }
    release(&e);
    return ok;
}
