#ifndef COROD_RPC_USERS_H
#define COROD_RPC_USERS_H
/* Users' names, looked up once each: a directory service may be slow. Inside daemon/rpc only. */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/rpc/session.h"

/* The name of a user, or the number as text. Valid until the next call. */
const char *user_name(uint32_t uid);
/* From a name or a number. Only for admins names of others are looked up, each time anew. */
bool user_id(const struct peer *asks, const char *text, uint32_t *ret);

#endif
