#ifndef COROD_LANG_HINT_H
#define COROD_LANG_HINT_H
/* The word that was meant. */
#include <stddef.h>

/* Collects candidates, keeps the nearest to `word`. `struct hint h = {.word = w};` */
struct hint {
    const char *word;
    const char *best; /* borrowed from the candidate; NULL: none is near */
    unsigned distance;
};

/* Counts as near: about one slip in three letters (insert, leave out, replace, swap two). */
void hint_try(struct hint *h, const char *candidate);
/* `did you mean "gather"?` for free(); NULL when nothing is near. */
char *hint_text(const struct hint *h);

#endif
