#ifndef COROD_STORE_STORE_H
#define COROD_STORE_STORE_H
/*
 * The store: one SQLite database, written by one thread in batches, read by others on connections
 * of their own. The only place that knows sqlite3.h. Statements are the rows of statement.def; what
 * is written or asked is a list of them with their parameters, as plain bytes.
 *
 * A batch is one transaction. While one is being committed the caller fills the next.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "proto/buf.h"
#include "proto/err.h"

enum statement {
#define STATEMENT(name, sql) ST_##name,
#include "daemon/store/statement.def"
#undef STATEMENT
    ST_COUNT
};

/* A list of statements with parameters. `struct batch b = {0};` is empty. */
struct batch {
    struct buf bytes;
    size_t statements;
};
void batch_release(struct batch *b);
void batch_clear(struct batch *b);
/* Adds a statement; its parameters follow in order, ?1 first; missing ones are NULL. */
void batch_add(struct batch *b, enum statement s);
void batch_int(struct batch *b, int64_t v);
void batch_int_or_null(struct batch *b, int64_t v); /* 0: NULL */
void batch_real(struct batch *b, double v);
void batch_text(struct batch *b, const char *s, size_t len); /* s NULL: NULL */
void batch_str(struct batch *b, const char *s);              /* NUL-terminated; NULL: NULL */
void batch_blob(struct batch *b, const void *p, size_t len); /* p NULL: NULL */
void batch_null(struct batch *b);

/* Results: one set of rows per statement of the query. */
struct cell {
    enum { CELL_NULL, CELL_INT, CELL_REAL, CELL_TEXT, CELL_BLOB } type;
    union {
        int64_t i;
        double d;
        struct {
            const char *p; /* NUL behind; borrowed from the rows */
            size_t len;
        } s;
    };
};
struct rows {
    size_t n, columns;
    struct cell *cells; /* n × columns */
};
int64_t cell_int(const struct rows *r, size_t row, size_t column);     /* 0 when it is no number */
const char *cell_str(const struct rows *r, size_t row, size_t column); /* NULL when NULL */
const struct cell *cell_at(const struct rows *r, size_t row, size_t column);

struct store;

struct store_events {
    /* The batch given to store_commit() is on disk. Its memory is the caller's again. */
    void (*on_committed)(void *arg);
    /* Committing fails (disk full, I/O error): it is tried again every second until it works; then
     * why is NULL. */
    void (*on_trouble)(void *arg, const struct err *why);
};

/*
 * Opens or creates the database at path (mode 0600) and brings its schema up to date. Refused,
 * touching nothing: a file that is no database, another program's (application_id), a newer schema
 * (user_version), a damaged one. full_sync: PRAGMA synchronous=FULL, else NORMAL; always WAL.
 */
struct store *store_open(const char *path, bool full_sync, struct loop *l,
                         const struct store_events *events, void *arg, struct err *err);
/* Ends after the commit that runs; readers are ended, their callbacks not called. Not to be called
 * from a callback of the store. */
void store_close(struct store *s);

/* Hands a batch to the writer. One at a time: not before on_committed of the last. */
void store_commit(struct store *s, const struct batch *b);
bool store_is_committing(const struct store *s);
/* Waits (at stop) until the running commit is done or has failed; false: failed. on_committed is
 * called. */
bool store_drain(struct store *s);

/*
 * Runs the statements of q on a reader thread in one read transaction and calls on_rows in the loop
 * with q->statements sets; or with err. q is copied. At most 1,000 queries wait; then false with
 * err (EBUSY).
 */
bool store_read(struct store *s, const struct batch *q,
                void (*on_rows)(void *arg, const struct rows *sets, size_t n,
                                const struct err *err),
                void *arg, struct err *err);

/*
 * Copies the database as it is now into a file that has no name (any more), on a reader thread, and
 * calls on_backup in the loop with its descriptor, which is the callee's; or with -1 and err. One
 * at a time. Not after an end of the store.
 */
bool store_backup(struct store *s, void (*on_backup)(void *arg, int fd, const struct err *err),
                  void *arg, struct err *err);

/* At start, in the caller's thread: calls on_row for each row of each statement; on_row returns
 * false (with err) to stop. */
bool store_scan(struct store *s, const struct batch *q,
                bool (*on_row)(void *arg, size_t set, const struct rows *row, struct err *err),
                void *arg, struct err *err);

/*
 * Puts the backup `from` ("-": standard input) in the place of the database at path, which no
 * daemon may be using; it is checked wholly before. *ret_kept: where the database is now that was
 * there before, for the caller to free(), or NULL. Ids of jobs that were given since the
 * backup are not given again.
 */
bool store_restore(const char *path, const char *from, char **ret_kept, struct err *err);

struct store_stats {
    uint64_t commits, statements;
    int64_t last_commit_us, max_commit_us; /* duration */
    int64_t db_bytes, wal_bytes, page_bytes;
};
void store_get_stats(struct store *s, struct store_stats *ret);

#endif
