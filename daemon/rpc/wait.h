#ifndef COROD_RPC_WAIT_H
#define COROD_RPC_WAIT_H
/* job.wait. Inside daemon/rpc only. */
#include "daemon/rpc/session.h"

void waits_on_event(struct server *s, const struct event *e);

#endif
