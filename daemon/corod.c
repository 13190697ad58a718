#include "daemon/corod.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/files.h"
#include "daemon/base/listen.h"
#include "daemon/base/loop.h"
#include "daemon/config.h"
#include "daemon/core/engine.h"
#include "daemon/rpc/server.h"
#include "daemon/sd.h"
#include "proto/log.h"
#include "proto/mem.h"
#include "proto/paths.h"
#include <config.h>

enum { EXIT_USAGE = 2 };
/* Answers that are on their way at the stop are waited for so long. */
#define STOP_PATIENCE_MS 2000

struct corod {
    int argc;
    char **argv;
    struct config config;
    struct loop *loop;
    struct engine *engine;
    struct server *server;
    struct alarm *watchdog;
    char *exec_program; /* found beside this program */
    int lock_fd;
    bool is_stopping;
    bool owns_socket; /* made here, not passed by systemd */
};

/* The executor that was built or installed with this program, when it is not where it should be. */
static void find_executor(struct corod *c, struct config *config)
{
    if (config->exec_program && !*config->exec_program)
        config->exec_program = NULL;
    if (config->exec_program && access(config->exec_program, X_OK) < 0 && c->exec_program)
        config->exec_program = c->exec_program;
}

static bool on_reload(void *arg, struct buf *changed, struct err *err)
{
    struct corod *c = arg;
    struct config fresh;
    struct buf ignored = {0}, list = {0};
    if (!config_load(&fresh, c->argc - 1, c->argv + 1, err))
        return false;
    find_executor(c, &fresh);
    config_take_over(&c->config, &fresh, &list, &ignored);
    config_release(&fresh);
    log_set_level((enum log_level)c->config.log_level);
    engine_reloaded(c->engine);
    log_notice("configuration read again: changed %s, needs a restart %s", buf_cstr(&list),
               buf_cstr(&ignored));
    buf_add(changed, list.data, list.len);
    buf_release(&list);
    buf_release(&ignored);
    return true;
}

static void on_quiet(void *arg)
{
    struct corod *c = arg;
    loop_stop(c->loop);
}

/* Asked a second time it does not wait for HTTP requests. */
static void on_shutdown(void *arg)
{
    struct corod *c = arg;
    if (c->is_stopping)
        on_quiet(c);
    else
        engine_wind_down(c->engine, on_quiet, c);
    c->is_stopping = true;
}

static void on_stop_signal(void *arg, int signo)
{
    log_notice("stopping: %s; commands go on", strsignal(signo));
    on_shutdown(arg);
}

static void on_hangup(void *arg, int signo)
{
    struct buf changed = {0};
    struct err err;
    (void)signo;
    if (!on_reload(arg, &changed, &err))
        log_error("the configuration keeps its values: %s", err.text);
    buf_release(&changed);
}

static void on_watchdog(void *arg)
{
    struct corod *c = arg;
    sd_notify_lines("WATCHDOG=1");
    alarm_start(c->watchdog, sd_watchdog_us());
}

static void on_event(void *arg, const struct event *e)
{
    struct corod *c = arg;
    if (c->server)
        server_on_event(c->server, e);
}

/* Requests, then the engine's turn, which answers them, then the answers. */
static bool on_turn(void *arg)
{
    struct corod *c = arg;
    server_work(c->server);
    bool more = engine_turn(c->engine);
    return server_flush(c->server) || more;
}

/* One daemon a state: the lock goes with the process, however it ends. */
static bool lock_state(struct corod *c, struct err *err)
{
    const char *dir = c->config.state_dir;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char pid[32] = "";
    if (!paths_make_private_dir(dir, err))
        return false;
    cleanup_free char *path = xasprintf("%s/corod.lock", dir);
    c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->lock_fd < 0)
        return err_errno(err, "cannot open %s", path);
    /* The process's, not the open file's: else an executor that is just being started (between fork
     * and exec) would hold it for a moment when the daemon has been killed. */
    if (fcntl(c->lock_fd, F_SETLK, &whole) < 0) {
        if (errno != EAGAIN && errno != EACCES)
            return err_errno(err, "cannot lock %s", path);
        ssize_t n = pread(c->lock_fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? n : 0] = '\0';
        pid[strcspn(pid, "\n")] = '\0';
        return err_set(err, EBUSY, "another corod%s%s already uses %s", *pid ? ", process " : "",
                       pid, dir);
    }
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(c->lock_fd, 0) < 0 || pwrite(c->lock_fd, pid, (size_t)n, 0) != n)
        return err_errno(err, "cannot write %s", path);
    return true;
}

static bool find_admin_group(const struct config *config, uint32_t *ret, struct err *err)
{
    *ret = UINT32_MAX;
    if (!config->admin_group || !*config->admin_group)
        return true;
    const struct group *g = getgrnam(config->admin_group);
    if (!g)
        return err_set(err, EINVAL, "admin_group: there is no group \"%s\"", config->admin_group);
    *ret = g->gr_gid;
    return true;
}

/* The sockets that systemd passed, or our own: the state is locked, so nobody else's is replaced.
 */
static bool open_sockets(struct corod *c, struct err *err)
{
    int first;
    size_t n = sd_listen_fds(&first);
    for (size_t i = 0; i < n; i++) {
        int fd = first + (int)i;
        if (!sd_check_socket(fd, err) || !server_listen(c->server, fd, err))
            return false;
    }
    if (n > 0)
        return true;
    if (!paths_check_socket(c->config.socket, err))
        return false;
    /* Who may do what is decided for each peer; a personal daemon is nobody else's business. */
    cleanup_close int fd = listen_unix(c->config.socket, c->config.is_system ? 0666 : 0600, err);
    if (fd < 0)
        return false;
    c->owns_socket = true;
    if (!server_listen(c->server, fd, err))
        return false;
    steal_fd(&fd);
    return true;
}

static bool watch_signals(struct corod *c, struct err *err)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* RLIMIT_FSIZE is then an error like a full disk */
    return loop_on_signal(c->loop, SIGTERM, on_stop_signal, c, err) &&
           loop_on_signal(c->loop, SIGINT, on_stop_signal, c, err) &&
           loop_on_signal(c->loop, SIGHUP, on_hangup, c, err);
}

/* The executor beside this program; NULL: there is none. */
static char *executor_beside(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    char *path = xasprintf("%s/corod-exec", self);
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

static bool start(struct corod *c, struct err *err)
{
    struct server_options options = {
        .config = &c->config,
        .owner_uid = c->config.is_system ? UINT32_MAX : (uint32_t)geteuid(),
        .on_reload = on_reload,
        .on_shutdown = on_shutdown,
        .arg = c,
    };
    if (!find_admin_group(&c->config, &options.admin_gid, err) || !lock_state(c, err))
        return false;
    c->exec_program = executor_beside();
    find_executor(c, &c->config);
    c->loop = loop_new(err);
    if (!c->loop || !watch_signals(c, err))
        return false;
    c->engine = engine_new(c->loop, &c->config, on_event, c, err);
    if (!c->engine)
        return false;
    c->server = server_new(c->loop, c->engine, &options);
    return open_sockets(c, err);
}

/* A line to who started us. */
static void tell_starter(int fd, const char *line, const char *text)
{
    if (fd < 0)
        return;
    dprintf(fd, "%s%s\n", line, text);
    close(fd);
}

static void say_ready(struct corod *c)
{
    if (c->config.paths.why)
        log_notice("%s", c->config.paths.why);
    log_notice("version %s serves at %s, state in %s", PACKAGE_VERSION, c->config.socket,
               c->config.state_dir);
    tell_starter(c->config.ready_fd, "ready ", c->config.socket);
    sd_notify_lines("READY=1");
    if (sd_watchdog_us() > 0) {
        c->watchdog = alarm_new(c->loop, on_watchdog, c);
        on_watchdog(c);
    }
}

/* What was asked before the stop is committed and answered. */
static void stop(struct corod *c)
{
    if (c->server)
        server_stop_listening(c->server);
    if (c->owns_socket)
        unlink(c->config.socket);
    if (c->server && c->engine)
        server_work(c->server);
    engine_free(c->engine);
    if (c->server)
        server_drain(c->server, STOP_PATIENCE_MS);
    server_free(c->server);
    alarm_free(c->watchdog);
    loop_free(c->loop);
    close_fd(c->lock_fd);
    free(c->exec_program);
}

/* Descriptors 0 to 2 are there, whatever they are; many more may be opened; nothing is held of
 * where we were started. */
static void settle(const struct config *config)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    close_fd(fd);
    for (int i = 0; i <= 2; i++) /* those just opened stay for what we start */
        fcntl(i, F_SETFD, 0);
    files_raise();
    umask(077);
    if (*config->state_dir == '/' && *config->socket == '/' && *config->exec_state == '/' &&
        *config->exec_socket == '/' && (!config->file || *config->file == '/') && chdir("/") < 0)
        log_warning("cannot go to /: %s", strerror(errno));
}

static void print_help(void)
{
    struct buf b = {0};
    buf_addstr(&b, "Usage: corod [OPTION]…\n\nThe daemon of corod: runs jobs of commands.\n\n");
    options_help(config_line_rows, 80, &b);
    buf_addstr(&b, "\nSettings, also of the configuration file:\n");
    options_help(config_rows, 80, &b);
    fwrite(b.data, 1, b.len, stdout);
    buf_release(&b);
}

/* --ready-fd, even where the rest of the command line or the file has mistakes. */
static int starter_fd(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ready-fd") == 0 && argv[i + 1])
            return atoi(argv[i + 1]);
        if (strncmp(argv[i], "--ready-fd=", 11) == 0)
            return atoi(argv[i] + 11);
    }
    return -1;
}

/* Puts a backup in the database's place, with no daemon running there. */
static int restore(struct corod *c)
{
    struct err err;
    cleanup_free char *path = xasprintf("%s/corod.db", c->config.state_dir), *kept = NULL;
    umask(077);
    if (lock_state(c, &err) && store_restore(path, c->config.restore, &kept, &err)) {
        printf("restored%s%s\n", kept ? "; what was there before is kept as " : "",
               kept ? kept : "");
        close_fd(c->lock_fd);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "corod: %s\n", err.text);
    close_fd(c->lock_fd);
    return EXIT_FAILURE;
}

static int run(struct corod *c)
{
    struct err err;
    settle(&c->config);
    log_set_level((enum log_level)c->config.log_level);
    if (c->config.ready_fd >= 0)
        fcntl(c->config.ready_fd, F_SETFD, FD_CLOEXEC);
    if (!start(c, &err)) {
        log_error("%s", err.text);
        tell_starter(c->config.ready_fd, "error: ", err.text);
        stop(c);
        return EXIT_FAILURE;
    }
    say_ready(c);
    loop_run(c->loop, on_turn, c);
    sd_notify_lines("STOPPING=1");
    stop(c);
    return EXIT_SUCCESS;
}

/* What a burst took goes back to the system when it is freed. By itself glibc learns from it to
 * keep tens of megabytes. */
static void keep_heap_small(void)
{
    mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
    mallopt(M_TRIM_THRESHOLD, 4 * 1024 * 1024);
}

int corod_main(int argc, char **argv)
{
    struct corod c = {.argc = argc, .argv = argv, .lock_fd = -1};
    struct err err;
    int status = EXIT_SUCCESS;
    keep_heap_small();
    log_init("corod", LOG_LEVEL_INFO);
    sd_init();
    if (!config_load(&c.config, argc - 1, argv + 1, &err)) {
        fprintf(stderr, "corod: %s\n", err.text);
        tell_starter(starter_fd(argc, argv), "error: ", err.text);
        return EXIT_USAGE;
    }
    if (c.config.show_help)
        print_help();
    else if (c.config.show_version)
        printf("corod %s\n", PACKAGE_VERSION);
    else if (c.config.restore && !c.config.check_only)
        status = restore(&c);
    else if (!c.config.check_only)
        status = run(&c);
    config_release(&c.config);
    return status;
}
