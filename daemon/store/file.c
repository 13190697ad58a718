/*
 * Opening the database file. What is not ours is refused from its first 100 bytes
 * (https://www.sqlite.org/fileformat2.html, 1.3), before SQLite, which would leave -wal and -shm
 * beside it or roll a journal back, gets to see it. So that those bytes tell the newest schema, it
 * is only ever changed outside WAL mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/store/db.h"
#include "proto/errinj.h"
#include "proto/mem.h"

enum {
    WRITER_CACHE_KIB = 2048,
    /* quick_check reads the whole file: for what is small always, else only after an unclean end.
     */
    CHECK_ALWAYS_BYTES = 4 << 20,
    CHECK_UNCLEAN_BYTES = 64 << 20,
};

static const struct {
    int version;
    const char *sql;
} migrations[] = {
#define MIGRATION(version, sql) {version, sql},
#include "daemon/store/schema.def"
#undef MIGRATION
};

static int newest_version(void)
{
    return migrations[ARRAY_LEN(migrations) - 1].version;
}

/* What is known of the file before SQLite sees it. */
struct look {
    int fd;
    bool created, is_new; /* made by this call; empty */
    bool has_wal, has_shm, has_journal;
    bool unchecked; /* after an unclean end, and large: to be checked while it is used */
    off_t bytes;
};

static bool refuse_damaged(struct err *err, const char *path, const char *what)
{
    return err_set(
        err, EBADMSG,
        "%s is damaged (%s). It was not changed. Restore a backup of it, or move it and what "
        "lies beside it (%s-*) away to begin with an empty one",
        path, what, path);
}

static bool fail_open(const char *path, struct err *err)
{
    return err_prefix(err, "cannot open the database %s", path);
}

static bool has_bytes(const char *path, const char *suffix)
{
    cleanup_free char *name = xasprintf("%s%s", path, suffix);
    struct stat st;
    return stat(name, &st) == 0 && st.st_size > 0;
}

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool check_version(const char *path, int64_t application, int64_t version, struct err *err)
{
    if (application != STORE_APPLICATION_ID)
        return err_set(err, EINVAL, "%s is the database of another program", path);
    if (version > newest_version())
        return err_set(err, EINVAL,
                       "%s was written by a newer corod (schema %lld, this one knows %d): run that "
                       "one, or restore a backup from before the upgrade",
                       path, (long long)version, newest_version());
    return true;
}

static bool check_header(const struct look *k, const char *path, struct err *err)
{
    static const char magic[16] = "SQLite format 3";
    unsigned char h[100];
    ssize_t n = pread(k->fd, h, sizeof h, 0);
    if (n < 0)
        return err_errno(err, "read %s", path);
    if (n < (ssize_t)sizeof h || memcmp(h, magic, sizeof magic) != 0)
        return err_set(err, EINVAL, "%s is no corod database: it is not a SQLite file", path);
    if (!check_version(path, be32(h + 68), be32(h + 60), err))
        return false;
    uint32_t page_size = (uint32_t)h[16] << 8 | h[17];
    if (page_size == 1)
        page_size = 65536;
    if (page_size < 512 || (page_size & (page_size - 1)))
        return refuse_damaged(err, path, "its page size is impossible");
    /* A crash amid a checkpoint can leave the file shorter; the log beside it has the rest. */
    if (!k->has_wal && !k->has_journal && (off_t)be32(h + 28) * page_size > k->bytes)
        return refuse_damaged(err, path, "it is shorter than it says");
    return true;
}

static bool open_or_create(const char *path, struct look *k, struct err *err)
{
    k->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (k->fd < 0 && errno == ENOENT) {
        k->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        k->created = k->fd >= 0;
        if (k->created && fchmod(k->fd, 0600) < 0)
            return err_errno(err, "chmod %s", path);
    }
    return k->fd >= 0 || err_errno(err, "cannot open the database %s", path);
}

/* A child that a killed daemon was just starting holds its lock between fork and exec. */
static bool lock_file(int fd)
{
    struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    for (int tries = 0; tries < 50; tries++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK)
            return false;
        nanosleep(&moment, NULL);
    }
    errno = EWOULDBLOCK;
    return false;
}

static bool look_at(const char *path, struct look *k, struct err *err)
{
    struct stat st;
    if (!open_or_create(path, k, err))
        return false;
    if (fstat(k->fd, &st) < 0)
        return err_errno(err, "stat %s", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, EINVAL, "the database %s is not a regular file", path);
    if (!lock_file(k->fd))
        return errno == EWOULDBLOCK
                   ? err_set(err, EBUSY, "another corod uses the database %s", path)
                   : err_errno(err, "lock %s", path);
    cleanup_free char *copy = xstrdup(path);
    const char *dir = dirname(copy);
    if (faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) < 0)
        return err_errno(err, "the database needs to write in %s", dir);
    if (st.st_uid != geteuid())
        return err_set(err, EPERM,
                       "the database %s belongs to user %lu, not to %lu: it is not used", path,
                       (unsigned long)st.st_uid, (unsigned long)geteuid());
    if (has_bytes(path, RESTORE_SUFFIX))
        return err_set(err, EBUSY,
                       "a restore of %s was interrupted: restore the backup again (corod "
                       "--restore FILE)",
                       path);
    k->bytes = st.st_size;
    k->has_wal = has_bytes(path, "-wal");
    k->has_shm = has_bytes(path, "-shm");
    k->has_journal = has_bytes(path, "-journal");
    k->is_new = st.st_size == 0;
    if (k->is_new && k->has_wal) /* SQLite would remove the log */
        return refuse_damaged(err, path, "it is empty, but its log is not");
    return k->is_new || check_header(k, path, err);
}

/* PRAGMA quick_check gives "ok" or what is wrong. */
bool db_quick_check(struct db *d, const char *path, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(d->handle, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    bool ok = rc == SQLITE_ROW;
    if (ok) {
        const char *text = (const char *)sqlite3_column_text(stmt, 0);
        ok = text && strcmp(text, "ok") == 0;
        if (!ok)
            refuse_damaged(err, path, text ? text : "check failed");
    } else if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB) {
        refuse_damaged(err, path, sqlite3_errmsg(d->handle));
    } else {
        db_error(d, rc, err);
        fail_open(path, err);
    }
    sqlite3_finalize(stmt);
    return ok;
}

static bool migrate(struct db *d, int64_t version, struct err *err)
{
    char sql[128];
    if (version == newest_version())
        return true;
    /* auto_vacuum is chosen while the file is empty, in the same transaction. */
    if (!db_exec(d,
                 "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; BEGIN;"
                 "PRAGMA auto_vacuum = INCREMENTAL",
                 err))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(migrations); i++) {
        if (migrations[i].version > version && !db_exec(d, migrations[i].sql, err))
            return err_prefix(err, "schema %d", migrations[i].version);
    }
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             STORE_APPLICATION_ID, newest_version());
    if (!db_exec(d, sql, err))
        return false;
    errinj(ERRINJ_STORE_IN_MIGRATION);
    return db_exec(d, "COMMIT", err);
}

/* Every statement must fit the schema: what does not was changed by somebody else. */
static bool check_statements(struct db *d, const char *path, struct err *err)
{
    for (enum statement s = 0; s < ST_COUNT; s++) {
        sqlite3_stmt *stmt = NULL;
        int rc = sqlite3_prepare_v2(d->handle, statement_sql(s), -1, &stmt, NULL);
        sqlite3_finalize(stmt);
        if (db_is_bug(rc) || (rc & 0xff) == SQLITE_CORRUPT)
            return refuse_damaged(err, path, sqlite3_errmsg(d->handle));
        if (rc != SQLITE_OK)
            return db_error(d, rc, err) || fail_open(path, err);
    }
    return true;
}

static bool check_content(struct db *d, struct look *k, const char *path, struct err *err)
{
    int64_t application, version;
    bool unclean = k->has_wal || k->has_journal;
    if (k->is_new)
        return true;
    if (k->bytes <= (unclean ? CHECK_UNCLEAN_BYTES : CHECK_ALWAYS_BYTES)) {
        if (!db_quick_check(d, path, err))
            return false;
    } else {
        k->unchecked = unclean;
    }
    if (!db_number(d, "PRAGMA application_id", &application, err) ||
        !db_number(d, "PRAGMA user_version", &version, err))
        return fail_open(path, err);
    return check_version(path, application, version, err) &&
           (version < newest_version() || check_statements(d, path, err));
}

bool db_check_header(int fd, const char *name, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "stat %s", name);
    struct look k = {.fd = fd, .bytes = st.st_size};
    return check_header(&k, name, err);
}

bool db_check_whole(struct db *d, const char *name, struct err *err)
{
    int64_t application, version;
    return db_quick_check(d, name, err) &&
           db_number(d, "PRAGMA application_id", &application, err) &&
           db_number(d, "PRAGMA user_version", &version, err) &&
           check_version(name, application, version, err) &&
           (version < newest_version() || check_statements(d, name, err));
}

static bool bring_up(struct db *d, struct look *k, const char *path, struct err *err)
{
    int64_t version = 0;
    if (!db_connect(d, path, WRITER_CACHE_KIB, err))
        return fail_open(path, err);
    /* Until it is known to be good, closing must not write the log into the file. */
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)k->has_wal, NULL);
    if (!check_content(d, k, path, err))
        return false;
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    if (!db_number(d, "PRAGMA user_version", &version, err) || !migrate(d, version, err) ||
        /* A transaction for nothing: that the log can be written shows now. */
        !db_exec(d, "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; COMMIT", err))
        return fail_open(path, err);
    return version == newest_version() || check_statements(d, path, err);
}

static void remove_file(const char *path, const char *suffix)
{
    cleanup_free char *name = xasprintf("%s%s", path, suffix);
    unlink(name);
}

/* Leaves a refused place as it was found. */
static void undo(const struct look *k, const char *path)
{
    if (k->created) {
        remove_file(path, "");
        remove_file(path, "-journal");
        remove_file(path, "-wal");
    }
    if (k->created || (k->has_wal && !k->has_shm))
        remove_file(path, "-shm");
}

/* The entry of a new file in its directory. */
bool db_sync_dir(const char *path, struct err *err)
{
    cleanup_free char *copy = xstrdup(path);
    cleanup_close int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (fd >= 0 && fsync(fd) == 0) || err_errno(err, "sync the directory of %s", path);
}

bool db_open_file(struct db *d, const char *path, int *ret_fd, bool *ret_unchecked, struct err *err)
{
    struct look k = {.fd = -1};
    struct db db = {0};
    if (!look_at(path, &k, err) || !bring_up(&db, &k, path, err) ||
        (k.is_new && !db_sync_dir(path, err))) {
        db_release(&db);
        undo(&k, path);
        close_fd(k.fd);
        return false;
    }
    *d = db;
    *ret_fd = k.fd;
    *ret_unchecked = k.unchecked;
    return true;
}
