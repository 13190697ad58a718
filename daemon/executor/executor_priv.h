#ifndef COROD_EXECUTOR_EXECUTOR_PRIV_H
#define COROD_EXECUTOR_EXECUTOR_PRIV_H
/* The executor's state, shared by its files. */
#include "daemon/executor/executor.h"
#include "daemon/executor/launch.h"
#include "daemon/executor/ledger.h"
#include "daemon/executor/policy.h"
#include "daemon/executor/pool.h"
#include "daemon/executor/reactor.h"
#include "daemon/executor/server.h"
#include "daemon/executor/statedir.h"
#include "daemon/executor/user.h"
#include "daemon/executor/verdict.h"

/* A start, or the end of a number that never started, which could not be written or begun yet. */
struct deferred {
    uint64_t number;
    bool is_end, paused; /* paused: to be frozen as soon as it is begun */
    char *payload;
    size_t len;
    struct deferred *next;
};

struct executor {
    const struct executor_options *options;
    struct reactor reactor;
    struct statedir dir;
    struct ledger ledger;
    struct verdict verdict;
    struct pool pool;
    struct server server;
    struct policy policy;
    struct user_cache *users;
    struct launch_defaults defaults;
    bool system_mode;
    uid_t daemon_uid;
    gid_t daemon_gid;
    int signal_fd;
    struct watch signals;
    struct deferred *deferred, **deferred_end;
    size_t deferred_bytes;
    int64_t deferred_at_us; /* when to try the first again */
    bool told_deferred;
    int64_t idle_since_us; /* 0: somebody needs us */
};

/* executor_start.c: a START's payload. False: it is malformed. */
bool executor_on_start(struct executor *e, const char *payload, size_t len, struct err *err);
/* Tries what was put off. */
void executor_try_deferred(struct executor *e, int64_t now_us);
/* Forgets what was put off: the connection that sent it is gone. */
void executor_drop_deferred(struct executor *e);
/* Takes a number out of what was put off. */
bool executor_take_deferred(struct executor *e, uint64_t number);
/* What is put off will be frozen, or not, when it is begun. */
void executor_pause_deferred(struct executor *e, uint64_t number, bool paused);
/* A number that never ran has ended so: for good, and the daemon is told. */
void executor_end_unstarted(struct executor *e, const struct exec_end *end);

/* executor_messages.c: one message of the daemon; false: the connection ends. */
bool executor_on_message(struct executor *e, const struct exec_frame *f, struct err *err);
/* Finds out what became of a number, and tells. */
void executor_resolve(struct executor *e, uint64_t number, bool same_boot);
/* Tells the daemon what is known of an attempt. */
void executor_tell(struct executor *e, struct attempt *a);
void executor_tell_lost(struct executor *e, uint64_t number, const struct attempt *a);

#endif
