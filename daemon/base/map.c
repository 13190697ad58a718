#include "daemon/base/map.h"

#include <stdlib.h>
#include <sys/random.h>

#include "proto/mem.h"

/* splitmix64's finisher: spreads numbers that ascend one by one. */
static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t home(const struct map *m, uint64_t key)
{
    return (size_t)mix(key) & (m->size - 1);
}

void map_release(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

static struct map_slot *find(const struct map *m, uint64_t key)
{
    size_t i = home(m, key);
    while (m->slots[i].value && m->slots[i].key != key)
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

void *map_get(const struct map *m, uint64_t key)
{
    return m->n ? find(m, key)->value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->size = old.size ? old.size * 2 : 16;
    m->slots = xcalloc(m->size, sizeof *m->slots);
    for (size_t i = 0; i < old.size; i++) {
        if (old.slots[i].value)
            *find(m, old.slots[i].key) = old.slots[i];
    }
    free(old.slots);
}

void *map_put(struct map *m, uint64_t key, void *value)
{
    if ((m->n + 1) * 4 > m->size * 3)
        grow(m);
    struct map_slot *s = find(m, key);
    void *old = s->value;
    if (!old)
        m->n++;
    *s = (struct map_slot){key, value};
    return old;
}

void *map_remove(struct map *m, uint64_t key)
{
    if (!m->n)
        return NULL;
    struct map_slot *s = find(m, key);
    void *old = s->value;
    if (!old)
        return NULL;
    m->n--;
    /* Close the gap: move back each follower whose home is not between the gap and itself. */
    size_t gap = (size_t)(s - m->slots), mask = m->size - 1;
    for (size_t i = (gap + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t h = home(m, m->slots[i].key);
        if (((i - h) & mask) >= ((i - gap) & mask)) {
            m->slots[gap] = m->slots[i];
            gap = i;
        }
    }
    m->slots[gap].value = NULL;
    return old;
}

struct map_slot *map_next(const struct map *m, size_t *at)
{
    while (*at < m->size) {
        struct map_slot *s = &m->slots[(*at)++];
        if (s->value)
            return s;
    }
    return NULL;
}

uint64_t map_key(const void *p, size_t len)
{
    static uint64_t seed;
    if (!seed && getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uintptr_t)&seed;
    const unsigned char *s = p;
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < len; i++)
        h = (h ^ s[i]) * 0x100000001b3u;
    return mix(h ^ len);
}
