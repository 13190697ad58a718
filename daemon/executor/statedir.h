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

/* Opens the directory of `path` and gives its last component: for a socket that is bound in it. */
int open_parent(const char *path, const char **ret_name, struct err *err);

#endif
