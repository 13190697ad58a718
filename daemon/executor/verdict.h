#ifndef COROD_EXECUTOR_VERDICT_H
#define COROD_EXECUTOR_VERDICT_H
/*
 * What became of an attempt: first its lock, then the journal (the other order would call lost what
 * has just ended). Attempts of an earlier executor's monitors are adopted; of a dead monitor's,
 * what is left is killed before the attempt is called lost.
 */
#include "daemon/executor/ledger.h"
#include "daemon/executor/reactor.h"

struct adopted {
    struct verdict *verdict;
    uint64_t number;
    int pidfd;
    struct watch death;
};

struct verdict {
    struct ledger *ledger;
    struct reactor *reactor;
    int cgroup_dirfd; /* -1: none */
    /* An attempt that was RUNNING or LOSING is now ENDED or LOST. */
    void (*on_verdict)(void *arg, struct attempt *a);
    void (*on_notice)(void *arg, struct attempt *a, const char *text);
    void *arg;
    uint64_t *again; /* numbers to look at again */
    size_t n_again, cap_again;
    int64_t again_at_us; /* 0: nothing */
};

/* Finds out; a->state says it afterwards, on_verdict was called if it is new. */
void verdict_check(struct verdict *v, struct attempt *a);
/* Looks again at those that were not clear, when again_at_us has come. */
void verdict_again(struct verdict *v, int64_t now_us);
/* Stops an attempt: through its monitor, now or as soon as that is found. */
void verdict_stop(struct verdict *v, struct attempt *a, uint32_t grace_ms);
/* Its output is taken up to this position: told now or as soon as its monitor is found. */
void verdict_credit(struct verdict *v, struct attempt *a, uint64_t position);
/* Freezes it or lets it go on: now or as soon as its monitor is found. */
void verdict_pause(struct verdict *v, struct attempt *a, bool paused);
/* Steers it (monitor_signal_pack()); false when nobody is there to steer. */
bool verdict_steer(struct attempt *a, uint64_t packed);
/* Lets an attempt go that is being forgotten. */
void verdict_forget(struct verdict *v, struct attempt *a);
void verdict_release(struct verdict *v);

#endif
