#ifndef COROD_EXECUTOR_POLICY_H
#define COROD_EXECUTOR_POLICY_H
/*
 * As whom commands may run. The file is root's and nobody else's to write; lines:
 *   allow-uid-from N       uids from N on (default 1000)
 *   allow-user NAME|UID    this one too: uid 0, uids below N and the daemon's own only if named
 * here and comments after '#'. Without a file: only the executor's own uid.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "proto/err.h"

struct policy {
    bool own_only;
    uid_t own, daemon; /* daemon: the daemon's uid, -1: none */
    uid_t from;
    uid_t *allowed;
    size_t n_allowed, cap;
};

/* Without a file. */
void policy_init_own(struct policy *p, uid_t own);
bool policy_read(struct policy *p, const char *path, uid_t daemon, struct err *err);
void policy_release(struct policy *p);
/* Whether a command may run as uid; *err says why not. */
bool policy_check(const struct policy *p, uid_t uid, struct err *err);

#endif
