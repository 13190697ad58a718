#ifndef COROD_RPC_SNAPSHOT_H
#define COROD_RPC_SNAPSHOT_H
/* The tasks of a live job and who waits for which, for job.explain. Inside daemon/rpc only. */
#include "daemon/core/engine.h"

struct edge {
    uint32_t waiter, awaited;
};
struct snapshot {
    struct engine *engine;
    uint64_t job;
    struct task_view *views;  /* of those that have not ended, ascending ids; 10,000 at most */
    struct leaf_view *leaves; /* of each */
    bool *seen;               /* of each, the caller's */
    size_t n, cap, cap_leaves;
    size_t more;        /* have not ended either */
    struct edge *edges; /* by waiter */
    size_t n_edges, cap_edges;
};

/* Valid until the engine goes on. */
void snapshot_take(struct snapshot *s, struct engine *e, uint64_t job);
void snapshot_release(struct snapshot *s);
/* The task's index, or n. */
size_t snapshot_find(const struct snapshot *s, uint32_t id);
/* The first of a waiter's edges; *n of them. */
const struct edge *snapshot_edges(const struct snapshot *s, uint32_t waiter, size_t *n);

#endif
