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

/* The same without starting or waiting; -1 with *err (ENOENT, ECONNREFUSED: nobody is there). */
int start_probe(struct cli *c, struct err *err);

#endif
