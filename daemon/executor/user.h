#ifndef COROD_EXECUTOR_USER_H
#define COROD_EXECUTOR_USER_H
/* Who a command runs as: uid, gid and supplementary groups, from the system's user database. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/buf.h"
#include "proto/err.h"

#define USER_GROUPS_MAX 1024
#define USER_CACHE_US   (60ll * 1000 * 1000) /* so long a looked-up user is believed */

struct user {
    uid_t uid;
    gid_t gid;
    size_t n_groups;
    const gid_t *groups;
};

struct user_cache;

struct user_cache *user_cache_new(void);
void user_cache_free(struct user_cache *c);
/* The user of a uid; NULL and *err when there is none. Valid until the next call. */
const struct user *user_lookup(struct user_cache *c, uid_t uid, int64_t now_us, struct err *err);

/* In messages to monitors. user_get fills *ret whose groups are in the caller's array. */
void user_put(struct buf *b, const struct user *u);
bool user_get(struct reader *r, struct user *ret, gid_t groups[USER_GROUPS_MAX]);

#endif
