/* A copy of the database as it is at one moment, made beside the commits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/store/private.h"
#include "proto/mem.h"

enum { BACKUP_CACHE_KIB = 4096 };

/* VACUUM INTO reads in one transaction, and takes an empty file. */
static bool copy_into(struct db *d, const char *path, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(d->handle, "VACUUM INTO ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK && sqlite3_step(stmt) != SQLITE_DONE)
        rc = sqlite3_extended_errcode(d->handle);
    bool ok = rc == SQLITE_OK || db_error(d, rc, err);
    sqlite3_finalize(stmt);
    return ok;
}

static int copy(struct store *s, const char *path, struct err *err)
{
    struct db d;
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        err_errno(err, "cannot create %s", path);
        return -1;
    }
    if (!db_connect(&d, s->path, BACKUP_CACHE_KIB, err))
        return -1;
    sqlite3_progress_handler(d.handle, 10000, store_is_closing, s);
    bool ok = copy_into(&d, path, err);
    db_release(&d);
    return ok ? steal_fd(&fd) : -1;
}

int store_make_copy(struct store *s, struct err *err)
{
    cleanup_free char *path = xasprintf("%s%s", s->path, BACKUP_SUFFIX);
    unlink(path);
    int fd = copy(s, path, err);
    unlink(path); /* whoever has the descriptor has the copy; a crash leaves it to the next */
    if (fd < 0)
        err_prefix(err, "cannot make a backup of %s", s->path);
    return fd;
}
