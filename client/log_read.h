#ifndef CORO_LOG_READ_H
#define CORO_LOG_READ_H
/* Reading a log to its end, piece by piece. */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client/conn.h"
#include "proto/buf.h"

/*
 * Calls log.read with params, a JSON object, until the end; put() is given the bytes of each piece
 * and how many are not kept before them. params' `offset` goes along: a second call after an error
 * goes on where the first stopped. False: *err.
 */
bool log_read(struct conn *c, json_t *params,
              void (*put)(void *arg, const struct buf *bytes, int64_t dropped), void *arg,
              struct err *err);

/* Tells the person that so many bytes are missing here. */
void log_note_dropped(struct cli *c, int64_t dropped);

#endif
