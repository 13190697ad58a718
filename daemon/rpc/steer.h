#ifndef COROD_RPC_STEER_H
#define COROD_RPC_STEER_H
/* What is asked of one or more jobs. Inside daemon/rpc only. */
#include "daemon/rpc/request.h"

/* Does it to one job. False with err: it was not possible for that one. */
typedef bool steer_fn(struct engine *e, uint64_t id, void *arg, struct err *err);

/*
 * Does it to all, once they are known to be the peer's, and answers with the jobs as they are when
 * that is on disk. id and ids: the parameters of these names, one of them is needed. arg is taken
 * over; arg_free may be NULL.
 */
void steer_with(struct request *r, const json_t *id, const json_t *ids, steer_fn *act, void *arg,
                void (*arg_free)(void *arg));

#endif
