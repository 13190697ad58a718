#ifndef COROD_STORE_DB_H
#define COROD_STORE_DB_H
/*
 * One connection to the database with its prepared statements. Internal to the store; a connection
 * is used by one thread at a time.
 */
#include <sqlite3.h>

#include "daemon/store/store.h"

enum { STORE_APPLICATION_ID = 0x636f726f }; /* "coro" */

struct db {
    sqlite3 *handle;                    /* NULL: not connected */
    sqlite3_stmt *statements[ST_COUNT]; /* NULL: not prepared yet */
    sqlite3_stmt *transaction[3];       /* likewise, by enum db_transaction */
};

/* The name of a row of statement.def, and its SQL. */
const char *statement_name(enum statement s);
const char *statement_sql(enum statement s);

/* Connects to an existing database file; cache_kib bounds the page cache. d is {0} on failure. */
bool db_connect(struct db *d, const char *path, int cache_kib, struct err *err);
void db_release(struct db *d);

/* The prepared statement, reset and without parameters; NULL with err. */
sqlite3_stmt *db_statement(struct db *d, enum statement s, struct err *err);

enum db_transaction { DB_BEGIN, DB_BEGIN_READ, DB_COMMIT };
/* The result code of SQLite. */
int db_transaction(struct db *d, enum db_transaction what);
/* Ends the transaction, if one is open, without its changes. */
void db_rollback(struct db *d);

/* Runs SQL without results. */
bool db_exec(struct db *d, const char *sql, struct err *err);
/* The number that a pragma or query gives in its first cell. */
bool db_number(struct db *d, const char *sql, int64_t *ret, struct err *err);

/* Says what the last call failed with (result code rc), for a person; code is an errno value.
 * False. */
bool db_error(struct db *d, int rc, struct err *err);
/* rc says that the statement is wrong, not that the disk or the file is: a bug of ours. */
bool db_is_bug(int rc);

/*
 * Opens or creates the file as store_open() says and leaves it connected in WAL mode. *ret_fd is a
 * descriptor of the file with the lock against a second daemon; close it after the last connection
 * (closing any descriptor of a file drops the POSIX locks that SQLite holds on it).
 */
bool db_open_file(struct db *d, const char *path, int *ret_fd, bool *ret_unchecked,
                  struct err *err);
/* Reads all of it: whether its structure is sound; else err says what is wrong (EBADMSG). */
bool db_quick_check(struct db *d, const char *path, struct err *err);

/* Whether a file looks like a database of ours; then, connected, whether all of it is sound. name
 * is what errors call it. */
bool db_check_header(int fd, const char *name, struct err *err);
bool db_check_whole(struct db *d, const char *name, struct err *err);
/* Renames and new names in the directory of path are on disk. */
bool db_sync_dir(const char *path, struct err *err);
#define RESTORE_SUFFIX ".restoring" /* the next database, while the old one is put aside */

/* A batch's statements one by one: binds the next one's parameters to its prepared statement. */
struct batch_reader {
    struct reader bytes;
};
/* False at the end; *ret_stmt is NULL with err when preparing failed. Text and blobs stay the
 * batch's. */
bool batch_next(struct batch_reader *r, struct db *d, enum statement *ret, sqlite3_stmt **ret_stmt,
                struct err *err);

/* Rows with their texts in memory that does not move. */
struct row_set {
    struct rows rows;
    size_t cap; /* of cells */
    struct chunk *chunks;
};
void row_set_release(struct row_set *s);
/* Forgets the rows, keeps memory for the next. */
void row_set_clear(struct row_set *s);
/* Appends the row that stmt stands on. */
void row_set_add(struct row_set *s, sqlite3_stmt *stmt);

#endif
