#ifndef COROD_PROTO_OPTION_VALUE_H
#define COROD_PROTO_OPTION_VALUE_H
/* Numbers, sizes and durations as people type them. */
#include "proto/option.h"

/*
 * OPTION_TYPE_INT: 42. OPTION_TYPE_SIZE: bytes, or with K, M, G, T (times 1024; also KiB …).
 * OPTION_TYPE_DURATION, in milliseconds: seconds, or parts with ms, s, m, h, d, w (1h30m, 0.5s).
 * None is negative. False with err (EINVAL, or ERANGE beyond an int64_t).
 */
bool option_value_parse(enum option_type type, const char *text, int64_t *ret, struct err *err);
/* Appends the shortest text that reads as v. */
void option_value_show(enum option_type type, int64_t v, struct buf *out);

#endif
