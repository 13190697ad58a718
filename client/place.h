#ifndef CORO_PLACE_H
#define CORO_PLACE_H
/* Files of job documents: reading them, and saying where in them a mistake is. */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "client/cli.h"
#include "proto/buf.h"
#include "proto/err.h"

/* Reads a file, or stdin for "-", up to max bytes. */
bool place_read(const char *path, size_t max, struct buf *out, struct err *err);
/* Whether the text is JSON; if not, *err says line and column. */
bool place_check(const char *path, const char *text, size_t len, struct err *err);
/* The line (from 1) of what a JSON Pointer names in checked text, of its nearest parent when it is
 * not there; 0: nothing of it is. */
size_t place_line(const char *text, size_t len, const char *pointer);

/* Prints a list of {pointer, message, hint} to stderr, one line each: "FILE:3: /main/1: …"; on a
 * terminal with the line of the text below. */
void place_complain(struct cli *c, const char *path, const char *text, size_t len, const char *kind,
                    const json_t *mistakes);

#endif
