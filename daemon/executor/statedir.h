#ifndef COROD_EXECUTOR_STATEDIR_H
#define COROD_EXECUTOR_STATEDIR_H
/*
 * The executor's own directory: `lock` (whose bytes are the attempts' locks), `id`, `journal/`,
 * `log/`. Reached by descriptors only, never through a symbolic link.
 */
#include <stdbool.h>
#include <stdint.h>

#include "proto/err.h"

struct statedir {
    int dirfd, journal_dirfd, log_dirfd;
    int owner_fd;        /* holds the directory for this executor */
    char id_setting[48]; /* "CORO_EXECUTOR=" and the random id of this directory */
};

/* A monitor that is just being forked has what an executor had that is dead: so long it may take.
 */
#define STATEDIR_PATIENCE_US (1000ll * 1000)

/*
 * Opens, and makes what is missing. Fails when another executor has it. The group of what is made
 * is the process's effective group.
 */
bool statedir_open(struct statedir *s, const char *path, struct err *err);
void statedir_close(struct statedir *s);

/*
 * A fresh open file description of the lock file, with the byte of this attempt locked: whoever has
 * the description has the lock. -1 with errno; EAGAIN when another has it.
 */
int statedir_lock(const struct statedir *s, uint64_t number);
/* Whether anybody holds it: 1, 0, or -1 with errno. */
int statedir_is_locked(const struct statedir *s, uint64_t number);

/* Sleeps for a moment; false when that has been done for STATEDIR_PATIENCE_US since *since_us (0 at
 * first). */
bool statedir_wait(int64_t *since_us);

/* Opens the directory of `path` and gives its last component: for a socket that is bound in it. */
int open_parent(const char *path, const char **ret_name, struct err *err);

#endif
