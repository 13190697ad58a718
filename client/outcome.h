#ifndef CORO_OUTCOME_H
#define CORO_OUTCOME_H
/* How a job ended: its exit status, and its error in a line. */
#include <stdbool.h>

#include <jansson.h>

#include "client/cli.h"
#include "proto/buf.h"

/*
 * The exit status that stands for a job's (or task's, attempt's) end: 0 succeeded; the command's
 * own or 128 + signal for a CommandError; 124 TimeoutError; 125 lost; 130 cancelled; else 1. One
 * that has not ended: 125.
 */
int outcome_status(const json_t *job);
/* The same from an error value alone. */
int outcome_of_error(const json_t *error);
/* "CommandError: exit status 3", safe for a screen, at most max columns (0: whole). */
void outcome_put_error(const struct screen *s, struct buf *out, const json_t *error, size_t max);

#endif
