#ifndef COROD_EXECUTOR_LAUNCH_H
#define COROD_EXECUTOR_LAUNCH_H
/*
 * Starting a command: the child's side, from the fork of a monitor to the exec.
 *
 * The child shares the monitor's memory until the exec (as vfork(2)), so nothing there allocates or
 * locks.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/executor/journal.h"
#include "daemon/executor/user.h"
#include "proto/exec.h"

/* What a command gets back that was changed for the executor itself; taken once, at its start. */
struct launch_defaults {
    bool reset_nofile;
    uint64_t nofile_soft, nofile_hard;
    bool reset_oom;         /* oom_score_adj */
    const char *id_setting; /* "CORO_EXECUTOR=…": whose attempts these are (statedir.h) */
};

struct launch {
    const struct exec_start *start;
    const char *const *env;  /* start's with CORO_ATTEMPT */
    const struct user *user; /* NULL: stays who the monitor is */
    const struct launch_defaults *defaults;
    const struct journal_pen *pen; /* for the P record */
    struct journal_pid pid;        /* sid and started_us are filled in here */
    int in, out, err;              /* become 0, 1, 2; none is below 3 */
    int cgroup;                    /* a cgroup's directory the command begins in, or -1 */
};

enum launch_stage {
    LAUNCH_DONE,   /* it has been executed (or was killed before) */
    LAUNCH_FORK,   /* no process could be made: try again */
    LAUNCH_RECORD, /* the P record could not be written: try again */
    LAUNCH_LIMIT,
    LAUNCH_USER,
    LAUNCH_CWD,
    LAUNCH_STDIN, /* one of these could not be opened; in this order */
    LAUNCH_STDOUT,
    LAUNCH_STDERR,
    LAUNCH_ORPHAN, /* the monitor died meanwhile */
    LAUNCH_SETUP,
    LAUNCH_EXEC
};

struct launch_result {
    enum launch_stage stage;
    int error; /* errno of what failed */
    pid_t pid; /* to be waited for unless stage is LAUNCH_FORK */
};

/* Memory shared with children, for the result: once per monitor. */
bool launch_init(struct err *err);

/* Starts the command; returns when it has been executed or has failed. */
void launch(struct launch *l, struct launch_result *ret);

/* "cannot run …: why", for a stage that is final (LIMIT and above). */
void launch_explain(const struct launch *l, const struct launch_result *r, struct err *err);

#endif
