#ifndef COROD_PROTO_NEAREST_H
#define COROD_PROTO_NEAREST_H
/* The word that was probably meant. */
#include <stddef.h>

/*
 * Of the names in a table (its rows start with a `const char *` and are `stride` bytes apart; NULL
 * ends it) the one nearest to word; NULL when none is near.
 */
const char *nearest_name(const char *word, const void *names, size_t stride);

#endif
