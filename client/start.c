#include "client/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/start_log.h"
#include "proto/mem.h"
#include "proto/paths.h"

#define SYSTEM_PATIENCE_MS 5000
#define READY_PATIENCE_MS  60000 /* recovery of a big state takes its time */

enum who { WHO_GIVEN, WHO_SYSTEM, WHO_PERSONAL };

/* Which daemon is meant: its paths. A personal socket that is named is still the personal one. */
static bool choose(struct cli *c, enum who *ret_who, struct paths *ret, struct err *err)
{
    const char *given = c->socket != NULL ? c->socket : getenv("CORO_SOCKET");
    cleanup(paths_release) struct paths personal = {0};

    if (given != NULL && *given != '\0') {
        *ret_who = WHO_GIVEN;
        if (paths_user(&personal, NULL) && strcmp(personal.socket, given) == 0) {
            *ret_who = WHO_PERSONAL;
            *ret = personal;
            personal = (struct paths){0};
        } else {
            *ret = (struct paths){.socket = xstrdup(given)};
        }
        return true;
    }
    if (access(PATHS_SYSTEM_RUN_DIR, F_OK) == 0) {
        paths_system(ret);
        *ret_who = WHO_SYSTEM;
        return true;
    }
    *ret_who = WHO_PERSONAL;
    return paths_user(ret, err);
}

static int connect_to(const char *path, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (!paths_check_socket(path, err))
        return -1;
    strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        err_errno(err, "no daemon answers at %s", path);
        return -1;
    }
    return steal_fd(&fd);
}

static bool nobody(const struct err *err)
{
    return err->code == ENOENT || err->code == ECONNREFUSED;
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* Connects again and again while nobody is there. */
static int connect_patiently(const char *path, int patience_ms, struct err *err)
{
    for (int left_ms = patience_ms;; left_ms -= 50) {
        struct err last = {0};
        int fd = connect_to(path, &last);
        if (fd >= 0)
            return fd;
        if (left_ms <= 0 || !nobody(&last)) {
            if (err != NULL)
                *err = last;
            return -1;
        }
        pause_ms(50);
    }
}

/* corod: $COROD, next to coro itself (an installation in one directory, a build tree), where it was
 * configured to be, in $PATH. */
static char *find_daemon(void)
{
    const char *named = getenv("COROD");
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    static const char *const beside[] = {"corod", "../sbin/corod"};

    if (named != NULL && *named != '\0')
        return xstrdup(named);
    if (n > 0) {
        self[n] = '\0';
        char *slash = strrchr(self, '/');
        *slash = '\0';
        for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
            cleanup_free char *path = xasprintf("%s/%s", self, beside[i]);
            if (access(path, X_OK) == 0)
                return steal(&path);
        }
    }
    if (access(COROD_SBINDIR "/corod", X_OK) == 0)
        return xstrdup(COROD_SBINDIR "/corod");
    return xstrdup("corod");
}

/* In the daemon-to-be: nothing of the caller's terminal, directory or descriptors stays. */
static void become_daemon(const char *program, int log, int ready)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* 3 is the pipe, all above is closed. */
    if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
        (ready != 3 ? dup2(ready, 3) : fcntl(3, F_SETFD, 0)) < 0)
        _exit(127);
    close_range(4, ~0U, 0);
    if (chdir("/") != 0)
        _exit(127);
    umask(077);
    execlp(program, program, "--user", "--ready-fd", "3", (char *)NULL);
    dprintf(2, "coro: %s: %s\n", program, strerror(errno));
    _exit(127);
}

/* Forks twice, so that the daemon is nobody's child that someone would have to wait for. */
static bool fork_daemon(const char *program, int log, int ready, struct err *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return err_errno(err, "cannot start %s", program);
    if (pid == 0) {
        pid_t inner = fork();
        if (inner == 0)
            become_daemon(program, log, ready);
        _exit(inner < 0 ? 1 : 0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0 || err_set(err, EAGAIN, "cannot start %s: no more processes", program);
}

/* The line that the daemon writes when it serves ("ready …") or cannot ("error: …"): whether it is
 * ready; else *err says why, if it said so. */
static bool await_ready(int fd, struct err *err)
{
    char line[600];
    size_t n = 0;

    while (n < sizeof(line) - 1) {
        struct pollfd p = {fd, POLLIN, 0};
        int got = poll(&p, 1, READY_PATIENCE_MS);
        if (got < 0 && errno == EINTR)
            continue;
        ssize_t r = got > 0 ? read(fd, line + n, sizeof(line) - 1 - n) : 0;
        if (r <= 0)
            break;
        n += (size_t)r;
        if (line[n - 1] == '\n')
            break;
    }
    line[n] = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "ready ", 6) == 0)
        return true;
    if (n > 0)
        err_set(err, ECONNREFUSED, "the daemon does not start: %s",
                strncmp(line, "error: ", 7) == 0 ? line + 7 : line);
    return false;
}

static int start_locked(struct cli *c, const struct paths *p, struct err *err)
{
    cleanup_free char *program = find_daemon();
    cleanup_free char *log_path = xasprintf("%s/corod.log", p->state_dir);
    cleanup_close int log =
        open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    int ready[2];

    if (log < 0)
        return err_errno(err, "%s", log_path) ? 0 : -1;
    off_t before = lseek(log, 0, SEEK_END);
    if (pipe2(ready, O_CLOEXEC) != 0)
        return err_errno(err, "pipe") ? 0 : -1;
    cleanup_close int ready_read = ready[0];
    cleanup_close int ready_write = ready[1];
    if (!fork_daemon(program, log, ready_write, err))
        return -1;
    ready_write = close_fd(ready_write);
    if (p->why != NULL)
        cli_note(c, "%s", p->why);
    struct err why = {0};
    if (await_ready(ready_read, &why))
        return connect_to(p->socket, err);
    /* Perhaps because another one has just come up: then that one answers. */
    int fd = connect_patiently(p->socket, 1000, NULL);
    if (fd < 0 && why.code == 0)
        start_log_explain(log_path, before, program, err);
    else if (fd < 0)
        *err = why;
    return fd;
}

/* Nobody answers: starts one, but for the case that somebody else just did. */
static int start_personal(struct cli *c, const struct paths *p, struct err *err)
{
    cleanup_free char *lock_path = xasprintf("%s/start.lock", p->state_dir);

    if (!paths_make_private_dir(p->state_dir, err))
        return -1;
    cleanup_close int lock = open(lock_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0) {
        err_errno(err, "%s", lock_path);
        return -1;
    }
    while (flock(lock, LOCK_EX) != 0 && errno == EINTR)
        continue;
    int fd = connect_to(p->socket, NULL);
    return fd >= 0 ? fd : start_locked(c, p, err);
}

int start_connect(struct cli *c, struct err *err)
{
    cleanup(paths_release) struct paths p = {0};
    enum who who;

    if (!choose(c, &who, &p, err))
        return -1;
    if (who == WHO_SYSTEM)
        return connect_patiently(p.socket, SYSTEM_PATIENCE_MS, err);
    struct err why = {0};
    int fd = connect_to(p.socket, &why);
    if (fd < 0 && who == WHO_PERSONAL && nobody(&why) && !c->no_start)
        return start_personal(c, &p, err);
    if (fd < 0)
        *err = why;
    return fd;
}

int start_probe(struct cli *c, struct err *err)
{
    cleanup(paths_release) struct paths p = {0};
    enum who who;
    return choose(c, &who, &p, err) ? connect_to(p.socket, err) : -1;
}

bool start_which(struct cli *c, struct start_daemon *ret, struct err *err)
{
    cleanup(paths_release) struct paths p = {0};
    enum who who;
    if (!choose(c, &who, &p, err))
        return false;
    if (who == WHO_GIVEN)
        return err_set(
            err, EINVAL,
            "where the daemon of %s has its state cannot be told: see corod(8), --restore",
            p.socket);
    *ret = (struct start_daemon){.program = find_daemon(),
                                 .state_dir = steal(&p.state_dir),
                                 .mode = who == WHO_SYSTEM ? "--system" : "--user"};
    return true;
}

void start_daemon_release(struct start_daemon *d)
{
    free(d->program);
    free(d->state_dir);
}
