#ifndef CORO_SPAWN_H
#define CORO_SPAWN_H
/* Helper programs of the system. */
#include <stdbool.h>

#include "proto/err.h"

/* Runs a program from $PATH with coro's own terminal and waits. False with *err unless it ended
 * with 0. argv ends with NULL. */
bool spawn_wait(const char *const *argv, struct err *err);
/* The same; its exit status, or 128 + a signal's number. -1: it could not be started, *err. */
int spawn_status(const char *const *argv, struct err *err);

#endif
