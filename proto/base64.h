#ifndef COROD_PROTO_BASE64_H
#define COROD_PROTO_BASE64_H
/* RFC 4648, section 4: with padding, one line. */
#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

/* Appends len bytes as text. */
void base64_put(struct buf *out, const void *p, size_t len);
/* Appends the bytes of the text. False, out as it was, when it is none. */
bool base64_get(struct buf *out, const char *s, size_t len);

#endif
