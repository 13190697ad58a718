#ifndef COROD_RUN_EXEC_H
#define COROD_RUN_EXEC_H
/*
 * The daemon's side of corod-exec: starts, stops and hears of attempts. This is the narrow set of
 * functions behind which a command runs. It knows nothing of jobs and tasks: an attempt is a
 * number.
 *
 * The caller commits an attempt's launch before exec_start(), and its end before exec_settle().
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "proto/err.h"
#include "proto/exec.h"

struct exec_client;

struct exec_events {
    /*
     * Connected, after the executor was told that every number ≤ `our_highest` that is not in the
     * list of open attempts given by `list_open` is settled. `highest` is the highest number the
     * executor has seen. The caller now resolves its open attempts and starts what waits.
     */
    void (*on_up)(void *arg, uint64_t highest);
    void (*on_down)(void *arg, const struct err *why);
    /* The numbers of all launched attempts without an end in the store: appended to *b as put_u64
     * each. */
    void (*list_open)(void *arg, struct buf *b);
    /* The command of this attempt has been started (pid of the command). Not told of a command that
     * ended within 50 ms: its end says all of it. May come twice. */
    void (*on_started)(void *arg, uint64_t number, int64_t pid, int64_t started_us);
    /* The attempt has ended. May come twice (after a reconnect): the caller ignores what it has. */
    void (*on_end)(void *arg, const struct exec_end *end);
    /* Answer to exec_resolve(). An ended or lost attempt is told by on_end instead. */
    void (*on_resolved)(void *arg, uint64_t number, enum exec_state state);
    /* Answer to exec_remove_log(): its log files are not there any more. */
    void (*on_log_removed)(void *arg, uint64_t number);
    /* Something a person should know of an attempt, such as that it cannot be killed; with number
     * 0: why no command can be started now, "" when they can again. */
    void (*on_notice)(void *arg, uint64_t number, const char *text);
};

/*
 * Connects to the executor's socket and reconnects (after 50 ms, doubling up to 2 s) for as long as
 * it lives. If `spawn` is not NULL (user mode), that program is started with `--socket` and
 * `--state` when nobody answers, in a session of its own. Strings are copied.
 */
struct exec_client *exec_client_new(struct loop *l, const char *socket_path, const char *state_dir,
                                    const char *spawn, const struct exec_events *events, void *arg);
void exec_client_free(struct exec_client *c);
bool exec_client_up(const struct exec_client *c);
/* Highest number of the caller's store: told to the executor at connect. */
void exec_client_set_highest(struct exec_client *c, uint64_t our_highest);

/* Sends the start of an attempt whose launch is committed; numbers ascend from call to call.
 * Dropped when not connected: on_up and resolving follow. Messages of one loop turn leave in few
 * writes: exec_flush(). */
void exec_start(struct exec_client *c, const struct exec_start *start);
/* Ends an attempt: SIGTERM to all of it, SIGKILL after grace_ms (0: SIGKILL at once). */
void exec_stop(struct exec_client *c, uint64_t number, uint32_t grace_ms);
/* Asks what became of an attempt; same_boot: it was launched in this boot. */
void exec_resolve(struct exec_client *c, uint64_t number, bool same_boot);
/* Its end is committed: the executor may forget it. */
void exec_settle(struct exec_client *c, uint64_t number);
/* Stops (SIGSTOP) all of an attempt, or lets it go on. */
void exec_pause(struct exec_client *c, uint64_t number, bool paused);
/* The output of an attempt with window_bytes is taken up to this position (and committed). To be
 * told again when an attempt was resolved as running: a new executor does not know it. */
void exec_credit(struct exec_client *c, uint64_t number, uint64_t position);
/* Asks its monitor to write what it holds of the output to the log file now. Left out while the
 * executor does not take what it is sent: the monitor does it by itself after a moment. */
void exec_flush_output(struct exec_client *c, uint64_t number);
/* Removes its log files: on_log_removed tells when they are gone. While it runs, or when that
 * fails, nothing is told: to be asked again later. */
void exec_remove_log(struct exec_client *c, uint64_t number);
/* Writes out what was queued; called once a loop turn. */
void exec_flush(struct exec_client *c);

#endif
