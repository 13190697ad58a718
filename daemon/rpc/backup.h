#ifndef COROD_RPC_BACKUP_H
#define COROD_RPC_BACKUP_H
/* system.backup. Inside daemon/rpc only. */
#include "daemon/rpc/session.h"

/* The connection is gone; so is its backup. */
void backup_drop(struct session *s);
void backup_free(struct server *s);

#endif
