#ifndef CORO_TEXT_H
#define CORO_TEXT_H
/* Numbers, durations and times as people write and read them, and text made safe for a screen. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/buf.h"
#include "proto/err.h"

/* "90", "1.5", "10m", "1h30m", "2d", "500ms": seconds, finite and not negative. */
bool text_duration(const char *s, double *ret_s, struct err *err);
/*
 * A moment as people write it, in seconds since 1970: "1h" (so long before now), "14:00" (today),
 * "2026-11-20", "2026-11-20 14:00:30" (local), or RFC 3339. now_s is given for tests.
 */
bool text_moment(const char *s, double now_s, double *ret_s, struct err *err);
/* One that is to come: as above but no duration, and "14:00" is tomorrow when it is past today. */
bool text_moment_to_come(const char *s, double now_s, double *ret_s, struct err *err);
/* A whole number in min … max, nothing behind it. */
bool text_whole(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err);

/* "7ms", "0.3s", "12s", "4m10s", "3h12m", "5d2h". */
void text_put_duration(struct buf *out, double seconds);
/* "14:03:11" today, "Nov 19 14:03" this year, else "2025-11-19"; now is given for tests. */
void text_put_moment(struct buf *out, double at_s, double now_s);

/*
 * Appends s with everything that a terminal would obey made visible: control characters, invalid
 * UTF-8 and the characters that turn the writing direction. Cut with an ellipsis to max columns (0:
 * whole). utf8 false: what is not ASCII becomes '?'. Returns the columns it takes.
 */
size_t text_put_safe(struct buf *out, const char *s, size_t len, size_t max, bool utf8);
/* Columns of text that is safe already; escape sequences of our own colours count nothing. */
size_t text_columns(const char *s, size_t len);

/* Reads one character of n > 0 bytes; its length; 1 with *ret = -1 when it is not UTF-8. */
size_t text_utf8(const char *s, size_t n, int32_t *ret);
bool text_is_utf8(const char *s, size_t len);

/* Appends a word as a shell would need it: plain, or in single quotes. */
void text_put_quoted(struct buf *out, const char *word);

#endif
