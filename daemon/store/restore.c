/*
 * A backup in the place of the database.
 *
 * It is copied and checked first. While the old database is put aside the copy has a name at which
 * a daemon refuses to start, so that an interrupted restore is not taken for an empty database.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store/db.h"
#include "proto/errinj.h"
#include "proto/mem.h"

enum { COPY_BYTES = 256 * 1024, RESTORE_CACHE_KIB = 4096 };

/* What is no database, as /dev/zero, is not copied to its end: its start is refused later. */
static bool copy_bytes(int from, int to, const char *name, struct err *err)
{
    cleanup_free char *data = xmalloc(COPY_BYTES);
    for (bool is_one = true, first = true; is_one; first = false) {
        ssize_t n = read(from, data, COPY_BYTES);
        if (n < 0)
            return err_errno(err, "cannot read %s", name);
        if (n == 0)
            break;
        is_one = !first || memcmp(data, "SQLite", n < 6 ? (size_t)n : 6) == 0;
        for (ssize_t done = 0; done < n;) {
            ssize_t w = write(to, data + done, (size_t)(n - done));
            if (w < 0)
                return err_errno(err, "cannot copy %s", name);
            done += w;
        }
    }
    return fsync(to) == 0 || err_errno(err, "cannot copy %s", name);
}

static int copy_to(const char *from, const char *path, struct err *err)
{
    bool is_input = strcmp(from, "-") == 0;
    cleanup_close int in = is_input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                    : open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (in < 0) {
        err_errno(err, "cannot read %s", from);
        return -1;
    }
    unlink(path);
    cleanup_close int out = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (out < 0) {
        err_errno(err, "cannot create %s", path);
        return -1;
    }
    return copy_bytes(in, out, is_input ? "standard input" : from, err) ? steal_fd(&out) : -1;
}

/* The highest id of a job that the old database gave; 0 when that cannot be read. */
static int64_t highest_job(const char *path)
{
    struct db d;
    struct err err;
    if (access(path, F_OK) < 0 || !db_connect(&d, path, RESTORE_CACHE_KIB, &err))
        return 0;
    /* It stays as it is. */
    sqlite3_db_config(d.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int64_t highest = 0;
    if (!db_number(&d, statement_sql(ST_HIGHEST), &highest, &err))
        highest = 0;
    db_release(&d);
    return highest;
}

/* Ids of jobs are not given again. Numbers of attempts are the executor's to know: it must see that
 * this database is one of an earlier time. */
static bool raise_highest(struct db *d, int64_t least, struct err *err)
{
    char sql[300];
    snprintf(sql, sizeof sql,
             "INSERT INTO meta(name, value) VALUES('highest_job', %lld)"
             " ON CONFLICT(name) DO UPDATE SET value = max(value, excluded.value)",
             (long long)least);
    return db_exec(d, sql, err);
}

/* Checks the copy and makes it ready. */
static bool prepare(const char *copy, int fd, const char *from, const char *old, struct err *err)
{
    /* What an interrupted restore left knows of a database that is aside already. */
    cleanup_free char *interrupted = xasprintf("%s%s", old, RESTORE_SUFFIX);
    struct db d;
    if (!db_check_header(fd, from, err) || !db_connect(&d, copy, RESTORE_CACHE_KIB, err))
        return false;
    bool ok = db_check_whole(&d, from, err) &&
              db_exec(&d, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA", err) &&
              raise_highest(&d, highest_job(old), err) &&
              raise_highest(&d, highest_job(interrupted), err);
    db_release(&d);
    return ok;
}

static bool move(const char *from, const char *from_suffix, const char *to, const char *to_suffix,
                 struct err *err)
{
    cleanup_free char *a = xasprintf("%s%s", from, from_suffix);
    cleanup_free char *b = xasprintf("%s%s", to, to_suffix);
    if (rename(a, b) == 0)
        return true;
    return errno == ENOENT || err_errno(err, "cannot rename %s to %s", a, b);
}

static char *kept_name(const char *path)
{
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof when, "%Y%m%dT%H%M%S", localtime_r(&now, &tm));
    char *name = xasprintf("%s.before-%s", path, when);
    for (int i = 2; access(name, F_OK) == 0; i++) {
        free(name);
        name = xasprintf("%s.before-%s-%d", path, when, i);
    }
    return name;
}

static bool put_in_place(const char *copy, const char *path, char **ret_kept, struct err *err)
{
    cleanup_free char *wal = xasprintf("%s-wal", path), *shm = xasprintf("%s-shm", path);
    bool is_there = access(path, F_OK) == 0 || access(wal, F_OK) == 0;
    cleanup_free char *kept = is_there ? kept_name(path) : NULL;
    if (!move(copy, "", path, RESTORE_SUFFIX, err) || !db_sync_dir(path, err))
        return false;
    errinj(ERRINJ_STORE_IN_RESTORE);
    unlink(shm);
    if (kept && (!move(path, "-wal", kept, "-wal", err) || !move(path, "", kept, "", err)))
        return false;
    if (!move(path, RESTORE_SUFFIX, path, "", err) || !db_sync_dir(path, err))
        return false;
    *ret_kept = steal(&kept);
    return true;
}

bool store_restore(const char *path, const char *from, char **ret_kept, struct err *err)
{
    cleanup_free char *copy = xasprintf("%s.copy", path);
    cleanup_close int fd = copy_to(from, copy, err);
    bool ok =
        fd >= 0 && prepare(copy, fd, from, path, err) && put_in_place(copy, path, ret_kept, err);
    if (!ok)
        unlink(copy);
    return ok;
}
