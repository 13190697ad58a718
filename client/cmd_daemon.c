#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/command.h"
#include "client/get.h"
#include "client/screen.h"
#include "client/spawn.h"
#include "client/start.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

#define STOP_PATIENCE_MS 30000

/* The result of a method; NULL with the connection closed and *err. */
static json_t *ask(struct cli *c, const char *method, struct conn *conn, struct err *err)
{
    json_t *result = conn_open(conn, c, err) ? conn_call(conn, method, NULL, err) : NULL;
    if (result == NULL)
        conn_close(conn);
    return result;
}

static int daemon_start(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    json_t *stats = ask(c, "system.stats", &conn, &err);
    if (stats == NULL)
        return cli_fail(c, &err);
    if (c->json)
        view_json(c, stats);
    else
        cli_note(c, "the daemon runs (pid %lld, %s)", (long long)get_int(stats, "pid"),
                 get_text(stats, "socket"));
    json_decref(stats);
    conn_close(&conn);
    return EXIT_OK;
}

/* Whether a process has ended; one that nobody waits for may stay as a zombie. */
static bool is_gone(pid_t pid)
{
    char text[512];
    cleanup_free char *path = xasprintf("/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (n <= 0)
        return kill(pid, 0) != 0 && errno == ESRCH;
    text[n] = '\0';
    const char *behind = strrchr(text, ')'); /* "pid (name) state …", proc(5) */
    return behind != NULL && strncmp(behind, ") Z", 3) == 0;
}

/* Until the process is gone: its lock on the state is free then. */
static bool await_end(pid_t pid)
{
    for (int left_ms = STOP_PATIENCE_MS; left_ms > 0; left_ms -= 5) {
        if (is_gone(pid))
            return true;
        struct timespec t = {0, 5 * 1000000L};
        nanosleep(&t, NULL);
    }
    return false;
}

static int daemon_stop(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    int fd = start_probe(c, &err);
    if (fd < 0 && (err.code == ENOENT || err.code == ECONNREFUSED)) {
        cli_note(c, "no daemon runs");
        return EXIT_OK;
    }
    close_fd(fd);
    c->no_start = true;
    json_t *stats = ask(c, "system.stats", &conn, &err);
    json_t *stopped = stats == NULL ? NULL : conn_call(&conn, "system.shutdown", NULL, &err);
    pid_t pid = (pid_t)get_int(stats, "pid");
    bool asked = stopped != NULL || (stats != NULL && conn_is_gone(&err));
    conn_close(&conn);
    json_decref(stats);
    json_decref(stopped);
    if (!asked)
        return cli_fail(c, &err);
    if (pid > 0 && !await_end(pid)) {
        cli_problem(c, "the daemon (pid %d) has not ended after %d s", (int)pid,
                    STOP_PATIENCE_MS / 1000);
        return EXIT_COROD;
    }
    cli_note(c, "the daemon has ended; commands that run go on");
    return EXIT_OK;
}

static void add_row(struct table *t, const char *what, struct buf *text)
{
    table_add(t, STYLE_DIM, what);
    table_add(t, STYLE_PLAIN, buf_cstr(text));
    buf_clear(text);
}

static void put_size(struct buf *b, int64_t bytes)
{
    if (bytes < 1000 * 1000)
        buf_printf(b, "%.1f kB", (double)bytes / 1e3);
    else
        buf_printf(b, "%.1f MB", (double)bytes / 1e6);
}

/* What is kept of jobs that have ended, and where. */
static void add_kept(struct table *t, const json_t *stats)
{
    struct buf text = {0};
    const json_t *store = json_object_get(stats, "store"), *kept = json_object_get(stats, "kept");
    const char *swept = get_text(kept, "last_sweep");

    if (json_is_integer(json_object_get(kept, "jobs"))) {
        buf_printf(&text, "%lld kept", (long long)get_int(kept, "jobs"));
        if (get_int(kept, "removed") > 0)
            buf_printf(&text, ", %lld removed since the start",
                       (long long)get_int(kept, "removed"));
        add_row(t, "ended_jobs", &text);
    }
    put_size(&text, get_int(store, "db_bytes"));
    buf_addstr(&text, " and ");
    put_size(&text, get_int(store, "wal_bytes"));
    buf_addstr(&text, " of its log");
    if (get_int(kept, "free_bytes") > 0) {
        buf_addstr(&text, ", ");
        put_size(&text, get_int(kept, "free_bytes"));
        buf_addstr(&text, " free");
    }
    add_row(t, "database", &text);
    if (json_is_integer(json_object_get(kept, "log_bytes"))) {
        put_size(&text, get_int(kept, "log_bytes"));
        add_row(t, "command_logs", &text);
    }
    if (*swept != '\0') {
        buf_addstr(&text, swept);
        add_row(t, "last_sweep", &text);
    }
    buf_release(&text);
}

static void print_status(struct cli *c, const json_t *stats)
{
    struct table t;
    static const char *const heads[] = {"", ""};
    static const char *const members[] = {
        "pid",       "version",    "socket",           "state_dir",
        "live_jobs", "live_tasks", "running_commands", "trouble"};
    struct buf up = {0};

    table_init(&t, &c->out, 2, heads, 1);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        const json_t *v = json_object_get(stats, members[i]);
        cleanup_free char *number = json_is_integer(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
        const char *text = number != NULL ? number : get_text(stats, members[i]);
        if (*text == '\0')
            continue;
        table_add(&t, STYLE_DIM, members[i]);
        table_add(&t, strcmp(members[i], "trouble") == 0 ? STYLE_RED : STYLE_PLAIN, text);
    }
    text_put_duration(&up, get_real(stats, "uptime"));
    table_add(&t, STYLE_DIM, "uptime");
    table_add(&t, STYLE_PLAIN, buf_cstr(&up));
    add_kept(&t, stats);
    if (json_is_true(json_object_get(stats, "draining"))) {
        table_add(&t, STYLE_DIM, "draining");
        table_add(&t, STYLE_YELLOW, "no new jobs are accepted");
    }
    table_print(&t, false);
    buf_release(&up);
}

static int daemon_status(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    c->no_start = true;
    json_t *stats = ask(c, "system.stats", &conn, &err);
    if (stats == NULL)
        return cli_fail(c, &err);
    if (c->json)
        view_json(c, stats);
    else
        print_status(c, stats);
    json_decref(stats);
    conn_close(&conn);
    return EXIT_OK;
}

static int daemon_drain(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o, (void)argc, (void)argv;

    c->no_start = true;
    json_t *result = ask(c, "system.drain", &conn, &err);
    if (result == NULL)
        return cli_fail(c, &err);
    cli_note(c, "no new job is accepted until the daemon is started again; what runs goes on");
    json_decref(result);
    conn_close(&conn);
    return EXIT_OK;
}

/* Has the user's systemd run without a login, if it does not yet. */
static bool linger(struct err *err)
{
    const struct passwd *pw = getpwuid(geteuid());
    if (pw == NULL)
        return err_set(err, ENOENT, "user %d has no name", (int)geteuid());
    const char *const step[] = {"loginctl", "enable-linger", pw->pw_name, NULL};
    cleanup_free char *mark = xasprintf("/var/lib/systemd/linger/%s", pw->pw_name);
    if (access(mark, F_OK) == 0 || spawn_wait(step, err))
        return true;
    return err_set(err, EPERM,
                   "the daemon is enabled, but runs only while you are logged in: root "
                   "can change that with `loginctl enable-linger %s`",
                   pw->pw_name);
}

/* The user's systemd starts the daemon at boot, and keeps running without a login. */
static int daemon_enable(struct cli *c, const struct options *o, int argc, char **argv)
{
    static const char *const steps[][6] = {
        {"systemctl", "--user", "daemon-reload", NULL},
        {"systemctl", "--user", "enable", "--now", "corod.service", NULL},
    };
    (void)argc, (void)argv;

    if (access("/run/systemd/system", F_OK) != 0) {
        cli_problem(c, "systemd does not run here: start `corod` at boot some other way, for "
                       "example with an @reboot line in crontab(5)");
        return EXIT_COROD;
    }
    /* One daemon at a time: its own unit takes over from one that coro started. */
    int status = daemon_stop(c, o, 0, NULL);
    for (size_t i = 0; status == EXIT_OK && i < ARRAY_LEN(steps); i++) {
        struct err err = {0};
        if (!spawn_wait(steps[i], &err))
            return cli_fail(c, &err);
    }
    struct err err = {0};
    if (!linger(&err))
        return cli_fail(c, &err);
    if (status == EXIT_OK)
        cli_note(c, "the daemon now starts with the machine (systemctl --user status corod)");
    return status;
}

static const struct option none[] = {OPTIONS_END};
const struct command command_daemon_start = {
    .name = "daemon start",
    .args = "",
    .summary = "start a personal daemon unless one answers",
    .options = none,
    .run = daemon_start,
};
const struct command command_daemon_stop = {
    .name = "daemon stop",
    .args = "",
    .summary = "end the daemon and wait until it is gone; commands go on",
    .options = none,
    .run = daemon_stop,
};
const struct command command_daemon_status = {
    .name = "daemon status",
    .args = "",
    .summary = "how the daemon is",
    .options = none,
    .examples = "coro daemon status --json | jq .pid\n",
    .run = daemon_status,
};
const struct command command_daemon_enable = {
    .name = "daemon enable",
    .args = "",
    .summary = "start the personal daemon with the machine (systemd)",
    .options = none,
    .run = daemon_enable,
};
const struct command command_daemon_drain = {
    .name = "daemon drain",
    .args = "",
    .summary = "accept no new jobs",
    .options = none,
    .run = daemon_drain,
};
