#ifndef CORO_MAP_LOG_H
#define CORO_MAP_LOG_H
/*
 * Files that `coro map` keeps of its items: a log of how each ended, in the columns of GNU
 * parallel's, and a directory with what each wrote.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "client/map_words.h"
#include "proto/err.h"

/* The command of an item in one line: as a shell would need it, also with line ends in a word.
 * What --resume compares. The caller's to free(). */
char *map_log_command(const struct map_words *m, size_t item);

/* Marks the items whose command went well by a log of an earlier time; a log that is not there is
 * an empty one. False: *err. */
bool map_log_read(const char *path, const struct map_words *m, bool *ret_done, struct err *err);

/* Opens the log, behind what is there or as a new one. NULL: *err. */
FILE *map_log_open(const char *path, bool append, struct err *err);
/* Adds the line of an item that has ended; attempt: of job.attempts, or NULL. False:
 * it is not all in the file. */
bool map_log_add(FILE *log, const struct map_words *m, size_t item, const json_t *attempt);

/* The file of an item's stream 1 or 2, opened anew: DIR/1/VALUE/stdout, with several lists
 * DIR/1/VALUE/2/VALUE/stdout. NULL: *err. */
FILE *map_results_open(const char *directory, const struct map_words *m, size_t item, int stream,
                       struct err *err);

#endif
