#ifndef COROD_EXECUTOR_POOL_H
#define COROD_EXECUTOR_POOL_H
/*
 * The executor's own monitors: forked when needed, used again while they can show that their last
 * command left nothing behind, sent home when idle for long.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/executor/ledger.h"
#include "daemon/executor/monitor.h"
#include "daemon/executor/reactor.h"
#include "daemon/executor/user.h"

#define POOL_IDLE_MAX 32
#define POOL_IDLE_US  (30ll * 1000 * 1000)

struct worker {
    struct pool *pool;
    pid_t pid;
    int pidfd;
    struct watch sock, death; /* sock.fd is -1 once it was closed */
    struct attempt *attempt;  /* NULL: idle or going */
    unsigned segment_id;      /* whose descriptor it has, 0: none */
    int64_t idle_since_us;
    struct worker *next_idle;    /* a stack, the latest first */
    struct worker *next, **prev; /* of all */
    bool going;                  /* it retires */
};

struct pool_events {
    void (*on_started)(void *arg, struct attempt *a, int64_t pid, int64_t started_us);
    /* The payload of its END; the attempt has no monitor any more. */
    void (*on_end)(void *arg, struct attempt *a, const void *payload, size_t len);
    void (*on_notice)(void *arg, struct attempt *a, const char *text);
    /* The monitor of this attempt is dead; no end was reported. */
    void (*on_death)(void *arg, struct attempt *a);
};

struct pool {
    struct reactor *reactor;
    struct monitor_setup setup; /* sock is each one's own */
    struct worker *all, *idle;
    size_t n_idle;
    struct pool_events events;
    void *arg;
};

/* Lets all monitors go on alone. */
void pool_release(struct pool *p);
/* An idle monitor, or a new one; NULL with errno when none can be made now. */
struct worker *pool_take(struct pool *p);
/* Gives back what pool_take() gave and was not used. */
void pool_give_back(struct pool *p, struct worker *w, int64_t now_us);
/* It could not be used: it is sent home. */
void pool_give_up(struct worker *w);
/* Hands it an attempt: the lock's description and, when it has another, the journal's. False: it is
 * dead. */
bool worker_start(struct worker *w, struct attempt *a, int lock_fd, const struct journal_pen *pen,
                  const struct user *user, const void *payload, size_t len);
/* Sends those home that were idle for long; returns when the next is due, 0: never. */
int64_t pool_retire_idle(struct pool *p, int64_t now_us);

/* Steers whoever holds a pidfd's process: false with errno. */
bool monitor_signal(int pidfd, uint64_t value);

#endif
