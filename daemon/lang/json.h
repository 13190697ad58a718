#ifndef COROD_LANG_JSON_H
#define COROD_LANG_JSON_H
/* From JSON text to jansson's tree and on to values: the one place where jansson parses. */
#include <stddef.h>

#include <jansson.h>

#include "daemon/lang/value.h"
#include "proto/err.h"

/*
 * The tree of a JSON text; the caller's, for json_decref(). NULL with *err ("line 3, column 7: …")
 * for bad syntax, a key that comes twice in an object, bytes that are no UTF-8, a NUL in a key,
 * numbers beyond int64 or double, nesting deeper than max_depth (found before the parser runs, so
 * that it can't use up the stack). Any thread.
 */
json_t *json_parse(const char *text, size_t len, unsigned max_depth, struct err *err);

/* A new reference; NULL when it is beyond VALUE_MAX_DEPTH or VALUE_MAX_BYTES. */
struct value *value_from_json(const json_t *json);

#endif
