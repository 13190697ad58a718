#ifndef COROD_TESTS_UNIT_STORE_FIXTURE_H
#define COROD_TESTS_UNIT_STORE_FIXTURE_H
/* A store in a directory of its own, for the store's tests. Each test is a process (check forks).
 */
#include "daemon/store/store.h"

extern struct loop *fix_loop;
extern struct store *fix_store;
extern struct err fix_err;
extern int fix_committed, fix_troubles, fix_recovered; /* calls seen */
extern struct err fix_trouble;                         /* the last one */

/* Makes a directory and enters it; removes it with what is in it. */
void fix_enter(void);
void fix_leave(void);

struct store *fix_try_open(const char *path); /* NULL: fix_err says why */
void fix_open(const char *path);              /* sets fix_store, or fails the test */
void fix_close(void);

/* Runs the loop until cond() is true; fails the test after 20 s. */
void fix_until(bool (*cond)(void));
/* Commits and waits. */
void fix_commit(struct batch *b);

/* A batch that puts one row into meta, or sets a pool's slots. */
void fix_put(struct batch *b, const char *name, const char *value);
/* How many rows of meta have that name and value, read by store_scan(). */
int fix_count(const char *name, const char *value);

/* Runs body in a child with $COROD_ERRINJ and returns waitpid's status. */
int fix_in_child(const char *errinj, void (*body)(void));

/* The file's bytes for the caller to free(), their count in *n; fails the test when it is not
 * there. */
char *fix_read_file(const char *path, size_t *n);
void fix_write_file(const char *path, const void *p, size_t n);
bool fix_exists(const char *path);

#endif
