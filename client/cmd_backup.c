/* daemon backup, daemon restore */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/command.h"
#include "client/conn.h"
#include "client/get.h"
#include "client/start.h"
#include "proto/base64.h"
#include "proto/mem.h"

static bool write_all(int fd, const char *p, size_t len, const char *name, struct err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, "cannot write %s", name);
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* Appends a piece of the copy; its length in *ret. */
static bool read_piece(struct conn *conn, int64_t offset, struct buf *piece, struct err *err)
{
    json_t *result = conn_call(conn, "system.backup_read",
                               json_pack("{s:I}", "offset", (json_int_t)offset), err);
    if (result == NULL)
        return false;
    const json_t *data = json_object_get(result, "data");
    bool ok = base64_get(piece, json_string_value(data), json_string_length(data)) ||
              err_set(err, EPROTO, "the daemon sent no part of a backup");
    json_decref(result);
    return ok;
}

static bool receive(struct conn *conn, int fd, const char *name, int64_t bytes, struct err *err)
{
    struct buf piece = {0};
    bool ok = true;
    for (int64_t at = 0; ok && at < bytes; at += (int64_t)piece.len) {
        buf_clear(&piece);
        ok = read_piece(conn, at, &piece, err) &&
             (piece.len > 0 || err_set(err, EPROTO, "the backup ends too early")) &&
             write_all(fd, piece.data, piece.len, name, err);
    }
    buf_release(&piece);
    return ok;
}

/* The file has its name when it is whole and on disk; one that is there is not replaced. */
static bool save(struct conn *conn, const char *path, int64_t bytes, struct err *err)
{
    cleanup_free char *part = xasprintf("%s.part", path), *copy = xstrdup(path);
    const char *dir = dirname(copy);
    cleanup_close int fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot create %s", part);
    bool ok = receive(conn, fd, part, bytes, err) &&
              (fsync(fd) == 0 || err_errno(err, "cannot write %s", part)) &&
              (link(part, path) == 0 || err_errno(err, "cannot create %s", path));
    unlink(part);
    cleanup_close int dir_fd = ok ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return ok && ((dir_fd >= 0 && fsync(dir_fd) == 0) || err_errno(err, "cannot sync %s", dir));
}

static int backup(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    (void)o;

    if (argc != 1)
        return cli_usage(c, "where to? A file that is not there yet, or - for standard output");
    bool is_output = strcmp(argv[0], "-") == 0;
    if (is_output && isatty(STDOUT_FILENO))
        return cli_usage(c, "a backup is nothing for a terminal");
    if (!is_output && access(argv[0], F_OK) == 0)
        return cli_usage(c, "%s is there already", argv[0]);
    json_t *made = conn_open(&conn, c, &err) ? conn_call(&conn, "system.backup", NULL, &err) : NULL;
    int64_t bytes = get_int(made, "bytes");
    bool ok = made != NULL && (is_output ? receive(&conn, STDOUT_FILENO, "it", bytes, &err)
                                         : save(&conn, argv[0], bytes, &err));
    if (ok)
        cli_note(c, "%lld bytes are saved", (long long)bytes);
    json_decref(made);
    conn_close(&conn);
    return ok ? EXIT_OK : cli_fail(c, &err);
}

/* What is in a directory of the daemon's user must be that user's. */
static bool become(const char *dir, struct err *err)
{
    struct stat st;
    if (geteuid() != 0 || stat(dir, &st) < 0 || st.st_uid == 0)
        return true;
    return (setgroups(0, NULL) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0) ||
           err_errno(err, "cannot become the owner of %s", dir);
}

static int run_restore(struct cli *c, const char *file)
{
    struct start_daemon d;
    struct err err = {0};
    int in = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (in < 0) {
        err_errno(&err, "cannot read %s", file);
        return cli_fail(c, &err);
    }
    if (!start_which(c, &d, &err)) {
        close_fd(in);
        return cli_fail(c, &err);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!become(d.state_dir, &err) || dup2(in, STDIN_FILENO) < 0)
            _exit(cli_fail(c, &err));
        execlp(d.program, d.program, d.mode, "--restore", "-", (char *)NULL);
        cli_problem(c, "%s: %s", d.program, strerror(errno));
        _exit(EXIT_COROD);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    start_daemon_release(&d);
    close_fd(in);
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? EXIT_OK : EXIT_COROD;
}

static int restore(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct err err = {0};
    (void)o;

    if (argc != 1)
        return cli_usage(c, "which backup? A file that `coro daemon backup` made");
    cleanup_close int fd = start_probe(c, &err);
    if (fd >= 0) {
        cli_problem(c, "the daemon runs: end it first (coro daemon stop, or systemctl stop "
                       "corod.socket corod.service)");
        return EXIT_COROD;
    }
    return run_restore(c, argv[0]);
}

static const struct option none[] = {OPTIONS_END};
const struct command command_daemon_backup = {
    .name = "daemon backup",
    .args = "FILE|-",
    .summary = "save the daemon's database while it runs",
    .options = none,
    .help =
        "The file has the environments of jobs in it, so it is its owner's alone. What commands\n"
        "wrote, as far as it is in log files, is not in it.",
    .examples = "coro daemon backup corod-$(date +%F).db\n",
    .run = backup,
};
const struct command command_daemon_restore = {
    .name = "daemon restore",
    .args = "FILE",
    .summary = "put a backup in the database's place; the daemon must not run",
    .options = none,
    .help =
        "The database that was there is kept beside it. What has happened since the backup is\n"
        "forgotten: commands that were started since are ended when the daemon starts, and may\n"
        "run again; what ran at the time and has ended since is lost, and told so.",
    .examples = "coro daemon stop\n"
                "coro daemon restore corod-2026-11-20.db\n"
                "coro daemon start\n",
    .run = restore,
};
