/*
 * How many commits and rows a second the store makes, beside SQLite used directly from one thread
 * with the same settings, in turns in the same run. Usage: store_bench [DIRECTORY [SECONDS
 * [full|normal]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store/db.h"
#include "proto/mem.h"

static const char result[] = "{\"stdout\": \"a line of output\", \"status\": 0}";
static double seconds = 1;
static bool is_full = true;
static struct err err;

static void die(const char *why)
{
    fprintf(stderr, "store_bench: %s\n", why);
    exit(EXIT_FAILURE);
}

static void add_row(struct batch *b, int64_t seq)
{
    batch_add(b, ST_TASK_END);
    batch_int(b, 1);
    batch_int(b, seq);
    batch_int(b, seq);
    batch_int(b, 7);
    batch_int(b, 1700000000000000 + seq);
    batch_blob(b, result, sizeof result - 1);
    batch_null(b);
}

/* The store. Two batches take turns, as in the engine: one is filled while the other is committed.
 */
static struct {
    struct loop *loop;
    struct store *store;
    struct batch batches[2];
    int filling;
    int64_t rows, end_us;
    int batch_rows;
    long commits;
} run;

static void fill(void)
{
    struct batch *b = &run.batches[run.filling];
    batch_clear(b);
    for (int i = 0; i < run.batch_rows; i++)
        add_row(b, run.rows++);
}

static void commit_next(void)
{
    store_commit(run.store, &run.batches[run.filling]);
    run.filling ^= 1;
    fill();
}

static void on_committed(void *arg)
{
    (void)arg;
    run.commits++;
    if (clock_boot_us() >= run.end_us)
        loop_stop(run.loop);
    else
        commit_next();
}

static void on_trouble(void *arg, const struct err *why)
{
    (void)arg;
    if (why)
        die(why->text);
}

static double bench_store(int batch_rows)
{
    static const struct store_events events = {on_committed, on_trouble};
    unlink("bench.db");
    run.loop = loop_new(&err);
    run.store = store_open("bench.db", is_full, run.loop, &events, NULL, &err);
    if (!run.store)
        die(err.text);
    run.batch_rows = batch_rows;
    run.rows = run.commits = 0;
    int64_t begun_us = clock_boot_us();
    run.end_us = begun_us + (int64_t)(seconds * 1e6);
    fill();
    commit_next();
    loop_run(run.loop, NULL, NULL);
    double took_s = (double)(clock_boot_us() - begun_us) / 1e6;
    store_close(run.store);
    loop_free(run.loop);
    return (double)run.commits / took_s;
}

static void exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sqlite3_errmsg(db));
}

static void bare_row(sqlite3_stmt *s, int64_t seq)
{
    sqlite3_bind_int64(s, 1, 1);
    sqlite3_bind_int64(s, 2, seq);
    sqlite3_bind_int64(s, 3, seq);
    sqlite3_bind_int64(s, 4, 7);
    sqlite3_bind_int64(s, 5, 1700000000000000 + seq);
    sqlite3_bind_blob(s, 6, result, sizeof result - 1, SQLITE_STATIC);
    if (sqlite3_step(s) != SQLITE_DONE)
        die("insert");
    sqlite3_reset(s);
}

static double bench_bare(int batch_rows)
{
    static const char *const sql[] = {"BEGIN IMMEDIATE", "COMMIT"};
    struct db d;
    sqlite3_stmt *begin_end[2], *insert;
    int fd;
    bool unchecked;
    int64_t seq = 0, begun_us, now_us;
    long commits = 0;
    unlink("bench.db");
    if (!db_open_file(&d, "bench.db", &fd, &unchecked, &err))
        die(err.text);
    exec(d.handle, is_full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    exec(d.handle, "PRAGMA wal_autocheckpoint = 1000");
    for (int i = 0; i < 2; i++)
        sqlite3_prepare_v2(d.handle, sql[i], -1, &begin_end[i], NULL);
    sqlite3_prepare_v2(d.handle, statement_sql(ST_TASK_END), -1, &insert, NULL);
    begun_us = clock_boot_us();
    do {
        sqlite3_step(begin_end[0]);
        sqlite3_reset(begin_end[0]);
        for (int i = 0; i < batch_rows; i++)
            bare_row(insert, seq++);
        if (sqlite3_step(begin_end[1]) != SQLITE_DONE)
            die("commit");
        sqlite3_reset(begin_end[1]);
        commits++;
        now_us = clock_boot_us();
    } while (now_us < begun_us + (int64_t)(seconds * 1e6));
    sqlite3_finalize(insert);
    sqlite3_finalize(begin_end[0]);
    sqlite3_finalize(begin_end[1]);
    db_release(&d);
    close(fd);
    return (double)commits / ((double)(now_us - begun_us) / 1e6);
}

static void compare(int batch_rows)
{
    enum { ROUNDS = 3 };
    double bare = 0, store = 0;
    for (int i = 0; i < ROUNDS; i++) {
        bare += bench_bare(batch_rows) / ROUNDS;
        store += bench_store(batch_rows) / ROUNDS;
    }
    printf("%5d rows a batch: store %8.0f commits/s %9.0f rows/s   SQLite %8.0f commits/s %9.0f "
           "rows/s   ratio %.2f\n",
           batch_rows, store, store * batch_rows, bare, bare * batch_rows, store / bare);
}

int main(int argc, char **argv)
{
    if (argc > 1 && chdir(argv[1]) < 0)
        die("no such directory");
    if (argc > 2)
        seconds = atof(argv[2]);
    is_full = argc <= 3 || strcmp(argv[3], "normal") != 0;
    compare(1);
    compare(10);
    compare(100);
    compare(1000);
    unlink("bench.db");
    batch_release(&run.batches[0]);
    batch_release(&run.batches[1]);
    return EXIT_SUCCESS;
}
