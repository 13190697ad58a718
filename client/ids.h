#ifndef CORO_IDS_H
#define CORO_IDS_H
/* Which jobs are meant: `last`, `all`, `1,3,5-8`, a name. */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "client/conn.h"

enum ids_all { IDS_ALL_LIVE, IDS_ALL_ENDED, IDS_ALL };

/*
 * The ids that the words mean, in their order, each once, as a JSON array (the caller's). `all` is
 * every job, or those that have not ended, or those that have. A word that is no id, no range and
 * no special one is a name: the newest job with it. NULL with *err: no such job, a range too wide.
 */
json_t *ids_resolve(struct conn *c, char *const *words, size_t n, enum ids_all all,
                    struct err *err);
/* The same for exactly one. 0: *err. */
json_int_t ids_resolve_one(struct conn *c, const char *word, struct err *err);
/* Whether a word is written as ids: digits, commas and ranges. */
bool ids_are(const char *word);

#endif
