#include <errno.h>

#include "daemon/store/private.h"
#include "proto/errinj.h"
#include "proto/mem.h"

void read_job_free(struct read_job *j)
{
    if (!j)
        return;
    for (size_t i = 0; j->sets && i < j->query.statements; i++)
        row_set_release(&j->sets[i]);
    free(j->sets);
    batch_release(&j->query);
    close_fd(j->fd);
    free(j);
}

void read_queue_push(struct read_queue *q, struct read_job *j)
{
    j->next = NULL;
    if (q->first)
        q->last->next = j;
    else
        q->first = j;
    q->last = j;
}

struct read_job *read_queue_pop(struct read_queue *q)
{
    struct read_job *j = q->first;
    if (j)
        q->first = j->next;
    return j;
}

int store_is_closing(void *arg)
{
    struct store *s = arg;
    return __atomic_load_n(&s->closing, __ATOMIC_ACQUIRE);
}

static bool connect_worker(struct worker *w, struct err *err)
{
    if (w->db.handle)
        return true;
    if (!db_connect(&w->db, w->store->path, WORKER_CACHE_KIB, err))
        return err_prefix(err, "cannot open the database %s", w->store->path);
    sqlite3_progress_handler(w->db.handle, 10000, store_is_closing, w->store);
    return db_exec(&w->db, "PRAGMA query_only = ON", err);
}

static bool read_rows(struct db *d, struct read_job *j, struct err *err)
{
    struct batch_reader r = {READER(j->query.bytes.data, j->query.bytes.len)};
    enum statement id;
    sqlite3_stmt *stmt;
    for (size_t set = 0; batch_next(&r, d, &id, &stmt, err); set++) {
        if (!stmt)
            return false;
        while (sqlite3_step(stmt) == SQLITE_ROW)
            row_set_add(&j->sets[set], stmt);
        int rc = sqlite3_reset(stmt);
        /* Not fatal as in a batch: what a client asks for (a GLOB, a JSON path) can be wrong. */
        if (rc != SQLITE_OK) {
            db_error(d, rc, err);
            return err_prefix(err, "statement %s", statement_name(id));
        }
    }
    return true;
}

static void answer(struct worker *w, struct read_job *j)
{
    j->failed = true;
    if (j->on_backup) {
        j->fd = store_make_copy(w->store, &j->err);
        j->failed = j->fd < 0;
        return;
    }
    j->sets = xcalloc(j->query.statements, sizeof *j->sets);
    if (!connect_worker(w, &j->err))
        return;
    int rc = db_transaction(&w->db, DB_BEGIN_READ);
    if (rc == SQLITE_OK)
        j->failed = !read_rows(&w->db, j, &j->err);
    else
        db_error(&w->db, rc, &j->err);
    db_rollback(&w->db);
}

static void checkpoint(struct worker *w)
{
    struct err err;
    /* A failure shows at the commits; the writer asks again when the log has grown. */
    errinj(ERRINJ_STORE_BEFORE_CHECKPOINT);
    if (connect_worker(w, &err))
        sqlite3_wal_checkpoint_v2(w->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* A large file, after an unclean end: starting did not wait for this. */
static void check(struct worker *w)
{
    struct store *s = w->store;
    struct err err;
    bool ok = connect_worker(w, &err) && db_quick_check(&w->db, s->path, &err);
    pthread_mutex_lock(&s->mutex);
    if (!ok && err.code == EBADMSG)
        store_found_damage(s, &err);
    pthread_mutex_unlock(&s->mutex);
}

void *store_worker_run(void *arg)
{
    struct worker *w = arg;
    struct store *s = w->store;
    pthread_mutex_lock(&s->mutex);
    while (!s->closing) {
        struct read_job *j;
        if (s->checkpoint_wanted && !s->checkpoint_runs) {
            s->checkpoint_wanted = false;
            s->checkpoint_runs = true;
            pthread_mutex_unlock(&s->mutex);
            checkpoint(w);
            pthread_mutex_lock(&s->mutex);
            s->checkpoint_runs = false;
        } else if ((j = read_queue_pop(&s->asked))) {
            pthread_mutex_unlock(&s->mutex);
            answer(w, j);
            pthread_mutex_lock(&s->mutex);
            if (j->failed && j->err.code == EBADMSG)
                store_found_damage(s, &j->err);
            read_queue_push(&s->answered, j);
            wakeup_send(s->wakeup);
        } else if (s->check_wanted) {
            s->check_wanted = false;
            pthread_mutex_unlock(&s->mutex);
            check(w);
            pthread_mutex_lock(&s->mutex);
        } else {
            pthread_cond_wait(&s->worker_cond, &s->mutex);
        }
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}
