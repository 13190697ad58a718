#ifndef COROD_PROTO_JSON_SCAN_H
#define COROD_PROTO_JSON_SCAN_H
/*
 * Looks at JSON text without building anything: checks its syntax and its depth before a parser
 * that recurses sees it, and finds members as slices of the text.
 */
#include <stdbool.h>
#include <stddef.h>

#include "proto/err.h"

struct slice {
    const char *p; /* NULL: absent */
    size_t len;
};

#define JSON_SCAN_MAX_DEPTH 1024

/*
 * Whether text is one JSON value (RFC 8259) nested at most max_depth (≤ JSON_SCAN_MAX_DEPTH) deep.
 * Stops at the first byte that decides, so that a million brackets cost nothing. Does not look at
 * UTF-8 or the size of numbers. err: ERR_PARSE or ERR_TOO_LARGE, with the offset.
 */
bool json_scan_check(const char *text, size_t len, unsigned max_depth, struct err *err);

/* The rest is for text that was checked. */

/* The first byte that is no white space; '\0' when there is none. */
char json_scan_first(struct slice value);
/* Walks over an object's or array's members: start with *at = 0; false at the end. key is the
 * string with its quotes (an array's items have none). */
bool json_scan_next(struct slice container, size_t *at, struct slice *key, struct slice *value);
/* The last member with this key (which has no characters that need an escape), or the i-th item. */
struct slice json_scan_member(struct slice object, const char *key);
struct slice json_scan_item(struct slice array, size_t i);

#endif
