#ifndef COROD_PROTO_NEAREST_H
#define COROD_PROTO_NEAREST_H
/* The word that was probably meant. */
#include <stddef.h>

/* Collects candidates, keeps the nearest to `word`. `struct hint h = {.word = w};` */
struct hint {
    const char *word;
    const char *best; /* borrowed from the candidate; NULL: none is near */
    unsigned distance;
    unsigned tried; /* a peer may bring words without end: only the first thousands are compared */
};

/* Counts as near: about one slip in three letters (insert, leave out, replace, swap two). */
void hint_try(struct hint *h, const char *candidate);
/* `did you mean "gather"?` for free(); NULL when nothing is near. */
char *hint_text(const struct hint *h);

/*
 * Of the names in a table (its rows start with a `const char *` and are `stride` bytes apart; NULL
 * ends it) the one nearest to word; NULL when none is near.
 */
const char *nearest_name(const char *word, const void *names, size_t stride);

#endif
