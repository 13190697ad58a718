#ifndef CORO_WORDS_H
#define CORO_WORDS_H
/* Words of a command line as a job document has them, taken as they are. */
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "proto/buf.h"

/* A string, or {"base64": …} when it is not UTF-8. The caller's reference. */
json_t *word_plain(const char *s, size_t len);
/* The same for a place where ${…} would be substituted: "${" becomes "$${". */
json_t *word_escaped(const char *s, size_t len);
/* The text of data with its encoding ("utf-8", "base64"), as log results carry it. */
bool word_decode(const char *data, size_t len, const char *encoding, struct buf *out);

/* The caller's environment as an object. */
json_t *words_environment(void);
/* A command line for people: the words quoted as a shell needs them, cut to max columns. */
char *words_line(char *const *argv, size_t n, size_t max);

#endif
