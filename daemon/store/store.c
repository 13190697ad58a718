#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/store/private.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { THREAD_STACK_BYTES = 1 << 20, SCAN_CACHE_KIB = 2048 };

void store_found_damage(struct store *s, const struct err *why)
{
    if (s->damaged)
        return;
    s->damaged = s->in_trouble = s->trouble_news = true;
    err_set(&s->trouble, EBADMSG,
            "the database %s is damaged (%.300s): nothing is written to it any more. End the "
            "daemon and restore a backup, see corod(8)",
            s->path, why->text);
    wakeup_send(s->wakeup);
}

static void tell(struct read_job *j)
{
    const struct err *err = j->failed ? &j->err : NULL;
    if (j->on_backup) {
        j->on_backup(j->arg, steal_fd(&j->fd), err);
        return;
    }
    struct rows *sets = xcalloc(j->query.statements, sizeof *sets);
    for (size_t i = 0; i < j->query.statements; i++)
        sets[i] = j->sets[i].rows;
    j->on_rows(j->arg, err ? NULL : sets, err ? 0 : j->query.statements, err);
    free(sets);
}

/* Tells the loop's side what the threads have done. */
static void on_news(void *arg)
{
    struct store *s = arg;
    struct err trouble;
    pthread_mutex_lock(&s->mutex);
    bool news = s->trouble_news, in_trouble = s->in_trouble, committed = s->committed;
    if (news)
        trouble = s->trouble;
    s->trouble_news = s->committed = false;
    struct read_queue answered = s->answered;
    s->answered = (struct read_queue){0};
    pthread_mutex_unlock(&s->mutex);

    /* Trouble that came and went between two looks is not told. */
    if (news && in_trouble != s->told_trouble) {
        s->told_trouble = in_trouble;
        s->events.on_trouble(s->arg, in_trouble ? &trouble : NULL);
    }
    if (committed) {
        s->is_committing = false;
        s->events.on_committed(s->arg);
    }
    for (struct read_job *j; (j = read_queue_pop(&answered)); read_job_free(j)) {
        s->reads--;
        tell(j);
    }
}

static bool start_thread(pthread_t *ret, void *(*run)(void *), void *arg, struct err *err)
{
    pthread_attr_t attr;
    sigset_t all, old;
    /* Signals are the loop's. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    int e = pthread_create(ret, &attr, run, arg);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e == 0 || err_set(err, e, "cannot start a thread: %s", strerror(e));
}

static bool start_threads(struct store *s, struct err *err)
{
    for (; s->workers_started < WORKERS; s->workers_started++) {
        struct worker *w = &s->workers[s->workers_started];
        w->store = s;
        if (!start_thread(&w->thread, store_worker_run, w, err))
            return false;
    }
    s->writer_started = start_thread(&s->writer_thread, writer_run, s, err);
    return s->writer_started;
}

static void init_sync(struct store *s)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->writer_cond, &monotonic);
    pthread_cond_init(&s->worker_cond, &monotonic);
    pthread_cond_init(&s->settled_cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct store *store_open(const char *path, bool full_sync, struct loop *l,
                         const struct store_events *events, void *arg, struct err *err)
{
    struct db writer;
    int fd;
    bool unchecked;
    if (!db_open_file(&writer, path, &fd, &unchecked, err))
        return NULL;
    struct store *s = xcalloc(1, sizeof *s);
    s->path = xstrdup(path);
    s->fd = fd;
    s->writer = writer;
    s->check_wanted = unchecked;
    s->events = *events;
    s->arg = arg;
    init_sync(s);
    /* A log that grew long is cut when it begins anew. */
    if (!db_exec(&s->writer, "PRAGMA journal_size_limit = 16777216", err) ||
        !db_exec(&s->writer,
                 full_sync ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err) ||
        !db_number(&s->writer, "PRAGMA page_size", &s->page_bytes, err) ||
        !(s->wakeup = wakeup_new(l, on_news, s, err)) || !start_threads(s, err)) {
        store_close(s);
        return NULL;
    }
    return s;
}

static void stop_threads(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    __atomic_store_n(&s->closing, true, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&s->writer_cond);
    pthread_cond_broadcast(&s->worker_cond);
    pthread_mutex_unlock(&s->mutex);
    if (s->writer_started)
        pthread_join(s->writer_thread, NULL);
    for (size_t i = 0; i < s->workers_started; i++)
        pthread_join(s->workers[i].thread, NULL);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    stop_threads(s);
    for (struct read_job *j; (j = read_queue_pop(&s->asked));)
        read_job_free(j);
    for (struct read_job *j; (j = read_queue_pop(&s->answered));)
        read_job_free(j);
    db_release(&s->scan);
    if (s->damaged) /* the log stays beside the file as it is */
        sqlite3_db_config(s->writer.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    for (size_t i = 0; i < WORKERS; i++)
        db_release(&s->workers[i].db);
    /* The last connection moves the log into the database and removes it. */
    db_release(&s->writer);
    close_fd(s->fd);
    wakeup_free(s->wakeup);
    pthread_cond_destroy(&s->writer_cond);
    pthread_cond_destroy(&s->worker_cond);
    pthread_cond_destroy(&s->settled_cond);
    pthread_mutex_destroy(&s->mutex);
    free(s->path);
    free(s);
}

void store_commit(struct store *s, const struct batch *b)
{
    if (s->is_committing)
        fatal("store_commit: the last batch is not committed yet");
    db_release(&s->scan); /* starting is over */
    s->is_committing = true;
    pthread_mutex_lock(&s->mutex);
    s->batch = b;
    pthread_mutex_unlock(&s->mutex);
    pthread_cond_signal(&s->writer_cond); /* who wakes up finds it free */
}

bool store_is_committing(const struct store *s)
{
    return s->is_committing;
}

bool store_drain(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t failures = s->failures;
    s->hurry = true;
    pthread_cond_signal(&s->writer_cond);
    while (s->batch && s->failures == failures)
        pthread_cond_wait(&s->settled_cond, &s->mutex);
    s->hurry = false;
    bool ok = !s->batch;
    pthread_mutex_unlock(&s->mutex);
    on_news(s);
    return ok;
}

static bool ask(struct store *s, struct read_job *j, struct err *err)
{
    if (s->reads >= READS_MAX) {
        read_job_free(j);
        return err_set(err, EBUSY, "too many queries wait for the database");
    }
    s->reads++;
    pthread_mutex_lock(&s->mutex);
    read_queue_push(&s->asked, j);
    pthread_cond_signal(&s->worker_cond);
    pthread_mutex_unlock(&s->mutex);
    return true;
}

bool store_read(struct store *s, const struct batch *q,
                void (*on_rows)(void *arg, const struct rows *sets, size_t n,
                                const struct err *err),
                void *arg, struct err *err)
{
    struct read_job *j = xcalloc(1, sizeof *j);
    j->fd = -1;
    j->on_rows = on_rows;
    j->arg = arg;
    j->query.statements = q->statements;
    buf_add(&j->query.bytes, q->bytes.data, q->bytes.len);
    return ask(s, j, err);
}

bool store_backup(struct store *s, void (*on_backup)(void *arg, int fd, const struct err *err),
                  void *arg, struct err *err)
{
    struct read_job *j = xcalloc(1, sizeof *j);
    j->fd = -1;
    j->on_backup = on_backup;
    j->arg = arg;
    return ask(s, j, err);
}

static bool scan_rows(struct store *s, const struct batch *q, struct row_set *one,
                      bool (*on_row)(void *arg, size_t set, const struct rows *row,
                                     struct err *err),
                      void *arg, struct err *err)
{
    struct batch_reader r = {READER(q->bytes.data, q->bytes.len)};
    enum statement id;
    sqlite3_stmt *stmt;
    for (size_t set = 0; batch_next(&r, &s->scan, &id, &stmt, err); set++) {
        if (!stmt)
            return false;
        bool go_on = true;
        while (go_on && sqlite3_step(stmt) == SQLITE_ROW) {
            row_set_clear(one);
            row_set_add(one, stmt);
            go_on = on_row(arg, set, &one->rows, err);
        }
        int rc = sqlite3_reset(stmt);
        if (!go_on)
            return false;
        if (rc != SQLITE_OK) {
            db_error(&s->scan, rc, err);
            return err_prefix(err, "cannot read the database %s: statement %s", s->path,
                              statement_name(id));
        }
    }
    return true;
}

bool store_scan(struct store *s, const struct batch *q,
                bool (*on_row)(void *arg, size_t set, const struct rows *row, struct err *err),
                void *arg, struct err *err)
{
    if (!s->scan.handle && (!db_connect(&s->scan, s->path, SCAN_CACHE_KIB, err) ||
                            !db_exec(&s->scan, "PRAGMA query_only = ON", err)))
        return err_prefix(err, "cannot open the database %s", s->path);
    int rc = db_transaction(&s->scan, DB_BEGIN_READ);
    if (rc != SQLITE_OK)
        return db_error(&s->scan, rc, err);
    struct row_set one = {0};
    bool ok = scan_rows(s, q, &one, on_row, arg, err);
    row_set_release(&one);
    db_rollback(&s->scan);
    return ok;
}

void store_get_stats(struct store *s, struct store_stats *ret)
{
    struct stat st;
    pthread_mutex_lock(&s->mutex);
    *ret = s->stats;
    pthread_mutex_unlock(&s->mutex);
    ret->page_bytes = s->page_bytes;
    ret->db_bytes = fstat(s->fd, &st) == 0 ? (int64_t)st.st_size : 0;
}
