#ifndef COROD_PROTO_JSON_OUT_H
#define COROD_PROTO_JSON_OUT_H
/*
 * Writes JSON straight into a buffer, compact, in one line. The caller keeps the order right (a key
 * before each value of an object); commas come by themselves.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"

struct json_out {
    struct buf *out; /* borrowed */
    bool comma;      /* a comma goes before the next value or key */
};

/* Beyond this a JSON number may lose digits in a reader with doubles: such integers are strings. */
#define JSON_OUT_MAX_INT ((int64_t)1 << 53)

void jout_begin_object(struct json_out *o);
void jout_end_object(struct json_out *o);
void jout_begin_array(struct json_out *o);
void jout_end_array(struct json_out *o);
void jout_key(struct json_out *o, const char *name);

/* Bytes that are no UTF-8 become U+FFFD. */
void jout_string(struct json_out *o, const char *s, size_t len);
void jout_text(struct json_out *o, const char *s); /* NUL-terminated; NULL: null */
void jout_printf(struct json_out *o, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* a string */
void jout_int(struct json_out *o, int64_t v);
void jout_uint(struct json_out *o, uint64_t v);
void jout_real(struct json_out *o, double v); /* not finite: null */
void jout_bool(struct json_out *o, bool v);
void jout_null(struct json_out *o);
void jout_raw(struct json_out *o, const char *json, size_t len); /* what is JSON already */
/* Microseconds since 1970 as RFC 3339 in UTC with microseconds; 0: null. */
void jout_time(struct json_out *o, int64_t us);
void jout_seconds(struct json_out *o, int64_t us); /* a duration: a number of seconds */
/* Bytes as they are if they are UTF-8 (returns true), else base64. */
bool jout_bytes(struct json_out *o, const void *p, size_t len);

/* The length of the longest start of s that is UTF-8 (RFC 3629) in whole characters. */
size_t utf8_length(const char *s, size_t len);
/* RFC 3339 in UTC with microseconds, as jout_time writes it. */
#define RFC3339_SIZE 40
void rfc3339_format(char text[RFC3339_SIZE], int64_t us);
/* Any RFC 3339 date-time (zone Z or an offset; up to 9 digits of fraction). */
bool rfc3339_parse(const char *text, int64_t *ret_us);

#endif
