#include "daemon/lang/atoms.h"

#include <string.h>

#include "daemon/base/map.h"
#include "proto/mem.h"

void atoms_release(struct atoms *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->names[i]);
    free(a->names);
    free(a->table);
    *a = (struct atoms){0};
}

/* The slot where the name is, or the free one where it belongs. The table is never full. */
static uint32_t *slot(const struct atoms *a, const char *name, size_t len)
{
    for (uint64_t i = map_key(name, len);; i++) {
        uint32_t *at = &a->table[i & (a->table_size - 1)];
        if (*at == 0)
            return at;
        const char *other = a->names[*at - 1];
        if (strncmp(other, name, len) == 0 && other[len] == '\0')
            return at;
    }
}

static void grow(struct atoms *a)
{
    a->table_size = a->table_size ? 2 * a->table_size : 64;
    free(a->table);
    a->table = xcalloc(a->table_size, sizeof *a->table);
    for (size_t i = 0; i < a->n; i++)
        *slot(a, a->names[i], strlen(a->names[i])) = (uint32_t)(i + 1);
}

uint32_t atoms_intern(struct atoms *a, const char *name, size_t len)
{
    if (2 * (a->n + 1) > a->table_size)
        grow(a);
    uint32_t *at = slot(a, name, len);
    if (*at == 0) {
        a->names = xgrow(a->names, &a->cap, a->n + 1, sizeof *a->names);
        a->names[a->n++] = xstrndup(name, len);
        *at = (uint32_t)a->n;
    }
    return *at;
}

uint32_t atoms_find(const struct atoms *a, const char *name, size_t len)
{
    return a->table_size && !memchr(name, '\0', len) ? *slot(a, name, len) : 0;
}

const char *atoms_name(const struct atoms *a, uint32_t atom)
{
    return atom >= 1 && atom <= a->n ? a->names[atom - 1] : NULL;
}
