#ifndef COROD_RPC_STEER_H
#define COROD_RPC_STEER_H
/* What is asked of one or more jobs. Inside daemon/rpc only. */
#include "daemon/rpc/request.h"

/* The jobs that a request is about. */
struct job_ids {
    size_t n;
    uint64_t all[];
};
/* For the caller to free(); an id that is given twice counts once. id and ids: the parameters of
 * these names, one of them is needed. NULL: none is there, and the request is answered. */
struct job_ids *job_ids_new(struct request *r, const json_t *id, const json_t *ids);
/* Reads the ST_JOB_BRIEF of each, in this order. */
void job_ids_read(struct request *r, const struct job_ids *ids,
                  void (*then)(struct request *r, const struct rows *sets, size_t n));
/* With what was read: all are there, and the peer may see them. False: the request is answered. */
bool job_ids_may(struct request *r, const struct job_ids *ids, const struct rows *sets);
/* Likewise: all of them have ended. hint: what follows in the error, or "". */
bool job_ids_ended(struct request *r, const struct job_ids *ids, const struct rows *sets,
                   const char *hint);

/* Does it to one job. False with err: it was not possible for that one. */
typedef bool steer_fn(struct engine *e, uint64_t id, void *arg, struct err *err);

/*
 * Does it to all, once they are known to be the peer's, and answers with the jobs as they are when
 * that is on disk. id and ids: as for job_ids_new(). arg is taken over; arg_free may be NULL.
 */
void steer_with(struct request *r, const json_t *id, const json_t *ids, steer_fn *act, void *arg,
                void (*arg_free)(void *arg));

#endif
