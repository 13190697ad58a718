#ifndef COROD_EXECUTOR_EXECUTOR_H
#define COROD_EXECUTOR_EXECUTOR_H
/* corod-exec: what it is told by the daemon, and what it tells it. */
#include <stdbool.h>

#include "proto/err.h"

struct executor_options {
    const char *socket_path;
    const char *state_dir;
    const char *policy;      /* NULL: commands run as the executor's own user only */
    const char *daemon_user; /* with a policy: who may speak to it */
    const char *cgroup;      /* NULL: none */
    int idle_exit_s;         /* ends after so long without a daemon and a command; 0: never */
};

/* Runs until SIGTERM or SIGINT. Monitors live on afterwards. */
bool executor_run(const struct executor_options *options, struct err *err);

#endif
