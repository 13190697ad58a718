#include "proto/nearest.h"

#include <string.h>

#include "proto/mem.h"

enum { WORD_MAX = 40, TRIES_MAX = 2000 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's distance where swapping two neighbours is one step. */
static unsigned distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned d = last[j - 1] + (a[i - 1] != b[j - 1]);
            d = least(d, least(last[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = least(d, before[j - 2] + 1);
            row[j] = d;
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[m];
}

void hint_try(struct hint *h, const char *candidate)
{
    if (h->tried >= TRIES_MAX)
        return;
    h->tried++;
    size_t n = strnlen(h->word, WORD_MAX + 1), m = strnlen(candidate, WORD_MAX + 1);
    if (n == 0 || n > WORD_MAX || m > WORD_MAX)
        return;
    size_t longer = n > m ? n : m;
    size_t most = (longer + 1) / 3;
    if (longer - (n < m ? n : m) > most)
        return;
    unsigned d = distance(h->word, n, candidate, m);
    if (d > most || (h->best && d >= h->distance))
        return;
    h->best = candidate;
    h->distance = d;
}

char *hint_text(const struct hint *h)
{
    return h->best ? xasprintf("did you mean \"%s\"?", h->best) : NULL;
}

const char *nearest_name(const char *word, const void *names, size_t stride)
{
    struct hint h = {.word = word};
    for (const char *p = names;; p += stride) {
        const char *name;
        memcpy(&name, p, sizeof name);
        if (!name)
            return h.best;
        hint_try(&h, name);
    }
}
