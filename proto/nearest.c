#include "proto/nearest.h"

#include <string.h>

/* Levenshtein's distance with neighbours swapped as one step, for short words. */
static unsigned distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t n = strlen(a), m = strlen(b);
    unsigned d[3][MAX + 1];
    if (n > MAX || m > MAX)
        return MAX;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *row = d[i % 3], *last = d[(i - 1) % 3], *before = d[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[n % 3][m];
}

const char *nearest_name(const char *word, const void *names, size_t stride)
{
    const char *best = NULL;
    unsigned least = (unsigned)strlen(word) / 3 + 1;
    for (const char *p = names;; p += stride) {
        const char *name;
        memcpy(&name, p, sizeof name);
        if (!name)
            return best;
        unsigned d = distance(word, name);
        if (d <= least && d < strlen(name)) {
            if (!best || d < least)
                best = name;
            least = d;
        }
    }
}
