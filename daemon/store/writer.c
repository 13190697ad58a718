#include <errno.h>
#include <time.h>

#include "daemon/store/private.h"
#include "proto/errinj.h"
#include "proto/log.h"

enum { IDLE_S = 2 };

static int on_wal(void *arg, sqlite3 *handle, const char *schema, int pages)
{
    struct store *s = arg;
    (void)handle;
    (void)schema;
    s->wal_pages = pages;
    return SQLITE_OK;
}

static int run_statements(struct store *s, const struct batch *b, struct err *err)
{
    struct batch_reader r = {READER(b->bytes.data, b->bytes.len)};
    enum statement id;
    sqlite3_stmt *stmt;
    while (batch_next(&r, &s->writer, &id, &stmt, err)) {
        if (!stmt)
            return sqlite3_extended_errcode(s->writer.handle);
        while (sqlite3_step(stmt) == SQLITE_ROW)
            ;
        int rc = sqlite3_reset(stmt);
        if (db_is_bug(rc))
            fatal("statement %s: %s (%d)", statement_name(id), sqlite3_errmsg(s->writer.handle),
                  rc);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}

static int commit(struct store *s)
{
    errinj(ERRINJ_STORE_BEFORE_COMMIT);
    if (errinj(ERRINJ_STORE_COMMIT_FULL))
        return SQLITE_FULL;
    if (errinj(ERRINJ_STORE_COMMIT_IOERR))
        return SQLITE_IOERR_WRITE;
    int rc = db_transaction(&s->writer, DB_COMMIT);
    if (rc == SQLITE_OK)
        errinj(ERRINJ_STORE_AFTER_COMMIT);
    return rc;
}

static bool write_batch(struct store *s, const struct batch *b, struct err *err)
{
    int rc = db_transaction(&s->writer, DB_BEGIN);
    if (rc == SQLITE_OK)
        rc = run_statements(s, b, err);
    if (rc == SQLITE_OK)
        rc = commit(s);
    if (rc == SQLITE_OK)
        return true;
    if (db_is_bug(rc))
        fatal("commit: %s (%d)", sqlite3_errmsg(s->writer.handle), rc);
    db_error(&s->writer, rc, err);
    db_rollback(&s->writer);
    return err_prefix(err, "cannot write the database %s", s->path);
}

/* Waits for cond; false when `seconds` are over. Without a limit at 0. */
static bool wait_for(struct store *s, pthread_cond_t *cond, int seconds)
{
    struct timespec until;
    if (!seconds)
        return pthread_cond_wait(cond, &s->mutex) == 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    return pthread_cond_timedwait(cond, &s->mutex, &until) != ETIMEDOUT;
}

static void want_checkpoint(struct store *s)
{
    if (s->damaged)
        return;
    s->wal_pages_asked = s->wal_pages;
    s->checkpoint_wanted = s->rest_wanted = true;
    pthread_cond_signal(&s->worker_cond);
}

/*
 * The log is moved by a worker beside the commits. What comes in meanwhile keeps it from getting to
 * the end, so the writer moves that rest itself, between two commits: then the log begins anew.
 * Writing over its old bytes costs half of what a log that grows does.
 */
static void keep_log_short(struct store *s)
{
    if (s->wal_pages < s->wal_pages_asked) { /* it began anew */
        s->wal_pages_asked = 0;
        s->rest_wanted = false;
    }
    int more = s->wal_pages - s->wal_pages_asked;
    if (s->checkpoint_runs || s->damaged) /* looked at again after the next commit */
        return;
    if (more >= CHECKPOINT_PAGES && s->wal_pages < CHECKPOINT_NOW_PAGES) {
        want_checkpoint(s);
        return;
    }
    if (more < CHECKPOINT_PAGES && (!s->rest_wanted || s->checkpoint_wanted))
        return;
    s->checkpoint_wanted = s->rest_wanted = false;
    s->wal_pages_asked = s->wal_pages;
    pthread_mutex_unlock(&s->mutex);
    /* What cannot be moved now (a reader needs it, the disk is full) is tried again later. */
    sqlite3_wal_checkpoint_v2(s->writer.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    pthread_mutex_lock(&s->mutex);
}

static void on_success(struct store *s, int64_t took_us)
{
    struct store_stats *st = &s->stats;
    st->commits++;
    st->statements += s->batch->statements;
    st->last_commit_us = took_us;
    if (took_us > st->max_commit_us)
        st->max_commit_us = took_us;
    st->wal_bytes = s->wal_pages ? 32 + (int64_t)s->wal_pages * (s->page_bytes + 24) : 0;
    s->batch = NULL;
    s->committed = true;
    s->trouble_news |= s->in_trouble && !s->damaged;
    s->in_trouble = s->damaged;
}

static void on_failure(struct store *s, const struct err *why)
{
    s->failures++;
    if (why->code == EBADMSG) {
        store_found_damage(s, why);
    } else if (!s->in_trouble) {
        s->trouble = *why;
        s->trouble_news = true;
        s->in_trouble = true;
    }
}

/* Tries the batch once; the mutex is held at both ends. */
static void try_batch(struct store *s)
{
    const struct batch *b = s->batch;
    struct err err = s->trouble;
    bool damaged = s->damaged;
    pthread_mutex_unlock(&s->mutex);
    int64_t begun_us = clock_boot_us();
    bool ok = !damaged && write_batch(s, b, &err);
    int64_t took_us = clock_boot_us() - begun_us;
    pthread_mutex_lock(&s->mutex);
    if (ok)
        on_success(s, took_us);
    else
        on_failure(s, &err);
    pthread_cond_broadcast(&s->settled_cond);
    pthread_mutex_unlock(&s->mutex);
    wakeup_send(s->wakeup); /* who wakes up finds it free */
    pthread_mutex_lock(&s->mutex);
    if (ok)
        keep_log_short(s);
}

/* Nothing to do: what the log still holds goes to the database, what the cache holds to the system.
 */
static void on_idle(struct store *s)
{
    if (s->wal_pages != s->wal_pages_asked)
        want_checkpoint(s);
    pthread_mutex_unlock(&s->mutex);
    sqlite3_db_release_memory(s->writer.handle);
    pthread_mutex_lock(&s->mutex);
}

void *writer_run(void *arg)
{
    struct store *s = arg;
    bool was_idle = false;
    sqlite3_wal_hook(s->writer.handle, on_wal, s);
    pthread_mutex_lock(&s->mutex);
    while (!s->closing || (s->batch && !s->in_trouble)) {
        if (!s->batch) {
            if (!wait_for(s, &s->writer_cond, was_idle ? 0 : IDLE_S) && !s->batch && !s->closing) {
                on_idle(s);
                was_idle = true;
            }
            continue;
        }
        was_idle = false;
        try_batch(s);
        while (s->in_trouble && !s->closing && !s->hurry && wait_for(s, &s->writer_cond, RETRY_S))
            ;
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}
