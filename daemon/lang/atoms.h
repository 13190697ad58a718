#ifndef COROD_LANG_ATOMS_H
#define COROD_LANG_ATOMS_H
/* The names of one program as small numbers ≥ 1. Written by the parser, then only read. */
#include <stddef.h>
#include <stdint.h>

struct atoms {
    char **names; /* by atom - 1 */
    size_t n, cap;
    uint32_t *table; /* open addressing; 0: free */
    size_t table_size;
};

void atoms_release(struct atoms *a);
uint32_t atoms_intern(struct atoms *a, const char *name, size_t len);
uint32_t atoms_find(const struct atoms *a, const char *name, size_t len); /* 0: none */
const char *atoms_name(const struct atoms *a, uint32_t atom);             /* NULL: none */

#endif
