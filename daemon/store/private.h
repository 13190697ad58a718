#ifndef COROD_STORE_PRIVATE_H
#define COROD_STORE_PRIVATE_H
/*
 * The store's threads and what they share: one writer, and workers that read and that move the log
 * (WAL) into the database beside the writer. Everything below `mutex` is under it.
 */
#include <pthread.h>

#include "daemon/store/db.h"

enum {
    WORKERS = 2, /* a long query or a checkpoint leaves one to answer */
    WORKER_CACHE_KIB = 1024,
    READS_MAX = 1000,
    RETRY_S = 1,
    /* Pages of the log at which a worker moves it; at which the writer finishes that itself. */
    CHECKPOINT_PAGES = 1000,
    CHECKPOINT_NOW_PAGES = 8000,
};

#define BACKUP_SUFFIX ".backup" /* behind the database's name, while one is made */

/* A query, then its answer; or a backup. */
struct read_job {
    struct read_job *next;
    struct batch query;
    struct row_set *sets; /* query.statements of them */
    bool failed;
    struct err err;
    void (*on_rows)(void *arg, const struct rows *sets, size_t n, const struct err *err);
    void (*on_backup)(void *arg, int fd, const struct err *err); /* NULL: a query */
    int fd;                                                      /* the backup's; -1 */
    void *arg;
};
void read_job_free(struct read_job *j);

struct read_queue {
    struct read_job *first, *last;
};
void read_queue_push(struct read_queue *q, struct read_job *j);
struct read_job *read_queue_pop(struct read_queue *q); /* NULL: empty */

struct worker {
    struct store *store;
    pthread_t thread;
    struct db db;
};

struct store {
    char *path;
    int fd; /* of the file; holds the lock; closed last */
    int64_t page_bytes;
    struct store_events events;
    void *arg;
    struct wakeup *wakeup;

    /* The loop's thread only. */
    bool is_committing, told_trouble;
    size_t reads; /* asked, not answered */
    struct db scan;

    /* The writer's thread only. */
    struct db writer;
    int wal_pages;       /* in the log after the last commit */
    int wal_pages_asked; /* were in it when moving them was last asked for */
    bool rest_wanted;    /* when that is done, the writer moves what came in meanwhile */

    pthread_t writer_thread;
    struct worker workers[WORKERS];
    size_t workers_started;
    bool writer_started;

    pthread_mutex_t mutex;
    pthread_cond_t writer_cond, worker_cond, settled_cond;
    bool closing;              /* also read without the mutex, atomically */
    const struct batch *batch; /* handed to the writer, not committed yet */
    bool committed;            /* it is; the loop has not been told */
    bool hurry;                /* store_drain: do not wait for the next try */
    uint64_t failures;         /* of commits */
    bool in_trouble, trouble_news;
    bool damaged;      /* the file: nothing more is written, trouble says why */
    bool check_wanted; /* of the whole file, by a worker that has nothing else to do */
    struct err trouble;
    bool checkpoint_wanted, checkpoint_runs;
    struct read_queue asked, answered;
    struct store_stats stats;
};

/* For sqlite3_progress_handler(): ends what runs when the store (arg) is closed. */
int store_is_closing(void *arg);
/* A copy of the database in a file without a name; -1 with err. In a worker's thread. */
int store_make_copy(struct store *s, struct err *err);

/* What a thread found (why->code EBADMSG) is trouble for good. The mutex is held. */
void store_found_damage(struct store *s, const struct err *why);

/* Thread bodies; arg is the store, or the worker. */
void *writer_run(void *arg);
void *store_worker_run(void *arg);

#endif
