#ifndef CORO_START_H
#define CORO_START_H
/* Which daemon answers, and a personal one that starts by itself. */
#include <stdbool.h>

#include "client/cli.h"
#include "proto/err.h"

/*
 * A connected socket: --socket, $CORO_SOCKET, the system's daemon if /run/corod exists (waiting 5 s
 * while it restarts), else the personal one. The personal one, also when it is named by its socket,
 * is started when it does not answer. -1: *err.
 */
int start_connect(struct cli *c, struct err *err);

/* The daemon that would be meant, for running its program otherwise. */
struct start_daemon {
    char *program, *state_dir;
    const char *mode; /* "--system" or "--user" */
};
/* False with *err: one that is named by its socket only. Release it. */
bool start_which(struct cli *c, struct start_daemon *ret, struct err *err);
void start_daemon_release(struct start_daemon *d);

/* The same without starting or waiting; -1 with *err (ENOENT, ECONNREFUSED: nobody is there). */
int start_probe(struct cli *c, struct err *err);

#endif
