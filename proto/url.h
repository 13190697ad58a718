#ifndef COROD_PROTO_URL_H
#define COROD_PROTO_URL_H
#include "proto/buf.h"

/* Appends the address without what may be secret: user and password, query, fragment. */
void url_put_public(struct buf *out, const char *url);

#endif
