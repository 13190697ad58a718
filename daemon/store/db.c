#include "daemon/store/db.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "daemon/store/faults.h"
#include "proto/log.h"
#include "proto/mem.h"

static const struct {
    const char *name, *sql;
} statements[] = {
#define STATEMENT(name, sql) [ST_##name] = {#name, sql},
#include "daemon/store/statement.def"
#undef STATEMENT
};

const char *statement_name(enum statement s)
{
    return statements[s].name;
}

const char *statement_sql(enum statement s)
{
    return statements[s].sql;
}

static void configure_sqlite(void)
{
    /* A path is a path, also when it begins with "file:" (Debian's library reads that as a URI). */
    sqlite3_config(SQLITE_CONFIG_URI, 0);
    sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* saves a process-wide mutex at each allocation */
    if (sqlite3_initialize() != SQLITE_OK)
        fatal("sqlite3_initialize failed");
#ifdef COROD_ERRINJ
    faults_install();
#endif
}

static int errno_of(struct db *d, int rc)
{
    int sys = d->handle ? sqlite3_system_errno(d->handle) : 0;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return sys == EDQUOT || sys == EFBIG ? sys : ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_READONLY:
        return EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EBADMSG;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return sys ? sys : EIO;
    default:
        return EINVAL;
    }
}

bool db_error(struct db *d, int rc, struct err *err)
{
    int code = errno_of(d, rc);
    switch (rc & 0xff) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return err_set(err, code, "%s (SQLite: %s, %d)", strerror(code), sqlite3_errstr(rc), rc);
    case SQLITE_BUSY:
        return err_set(err, code, "another program keeps the database locked");
    default:
        return err_set(err, code, "%s (SQLite: %d)",
                       d->handle ? sqlite3_errmsg(d->handle) : sqlite3_errstr(rc), rc);
    }
}

bool db_is_bug(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG:
    case SQLITE_SCHEMA:
        return true;
    default:
        return false;
    }
}

bool db_exec(struct db *d, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(d->handle, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || db_error(d, rc, err);
}

bool db_number(struct db *d, const char *sql, int64_t *ret, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(d->handle, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    bool ok = rc == SQLITE_ROW;
    if (ok)
        *ret = sqlite3_column_int64(stmt, 0);
    else
        db_error(d, rc, err);
    sqlite3_finalize(stmt);
    return ok;
}

/* Settings of every connection. Foreign keys are documentation here: nothing deletes what is
 * referred to. */
static bool set_up(struct db *d, int cache_kib, struct err *err)
{
    char cache[64];
    snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", cache_kib);
    sqlite3_extended_result_codes(d->handle, 1);
    sqlite3_busy_timeout(d->handle, 5000);
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(d->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return db_exec(d, cache, err) &&
           db_exec(d,
                   "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA foreign_keys = OFF;"
                   "PRAGMA secure_delete = OFF; PRAGMA wal_autocheckpoint = 0;"
                   "PRAGMA cell_size_check = ON",
                   err);
}

bool db_connect(struct db *d, const char *path, int cache_kib, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_sqlite);
    *d = (struct db){0};
    int rc = sqlite3_open_v2(path, &d->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        db_error(d, rc, err);
    if (rc != SQLITE_OK || !set_up(d, cache_kib, err)) {
        db_release(d);
        return false;
    }
    return true;
}

void db_release(struct db *d)
{
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(d->statements[i]);
    for (size_t i = 0; i < ARRAY_LEN(d->transaction); i++)
        sqlite3_finalize(d->transaction[i]);
    if (sqlite3_close(d->handle) != SQLITE_OK)
        fatal("closing the database: %s", sqlite3_errmsg(d->handle));
    *d = (struct db){0};
}

sqlite3_stmt *db_statement(struct db *d, enum statement s, struct err *err)
{
    sqlite3_stmt *stmt = d->statements[s];
    if (stmt) {
        sqlite3_reset(stmt);
        sqlite3_clear_bindings(stmt);
        return stmt;
    }
    int rc = sqlite3_prepare_v3(d->handle, statements[s].sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                                NULL);
    if (rc != SQLITE_OK) {
        if (db_is_bug(rc))
            fatal("statement %s: %s", statements[s].name, sqlite3_errmsg(d->handle));
        db_error(d, rc, err);
        return NULL;
    }
    d->statements[s] = stmt;
    return stmt;
}

int db_transaction(struct db *d, enum db_transaction what)
{
    static const char *const sql[] = {"BEGIN IMMEDIATE", "BEGIN", "COMMIT"};
    sqlite3_stmt **stmt = &d->transaction[what];
    if (!*stmt) {
        int rc =
            sqlite3_prepare_v3(d->handle, sql[what], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
        if (rc != SQLITE_OK)
            return rc;
    }
    sqlite3_step(*stmt);
    return sqlite3_reset(*stmt);
}

void db_rollback(struct db *d)
{
    /* Some errors have rolled back already. */
    if (!sqlite3_get_autocommit(d->handle))
        sqlite3_exec(d->handle, "ROLLBACK", NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(d->handle))
        fatal("a transaction cannot be rolled back: %s", sqlite3_errmsg(d->handle));
}
