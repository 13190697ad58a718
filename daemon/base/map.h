#ifndef COROD_BASE_MAP_H
#define COROD_BASE_MAP_H
/*
 * A hash map from 64-bit keys to pointers (open addressing, linear probing). Keys that a peer
 * chooses as text come here through map_key(), seeded per process, so that nobody can make them
 * collide on purpose.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint64_t key;
    void *value; /* NULL: free */
};
/* `struct map m = {0};` is empty. */
struct map {
    struct map_slot *slots;
    size_t n, size; /* size is 0 or a power of two */
};

void map_release(struct map *m);
void *map_get(const struct map *m, uint64_t key); /* NULL when absent */
/* value is not NULL; returns what was there before, or NULL. */
void *map_put(struct map *m, uint64_t key, void *value);
void *map_remove(struct map *m, uint64_t key); /* returns what was there, or NULL */
/* The first slot in use from *at on, NULL at the end; *at moves behind it. The map must not change
 * meanwhile. */
struct map_slot *map_next(const struct map *m, size_t *at);

/* A key for bytes (FNV-1a over a random seed, mixed). */
uint64_t map_key(const void *p, size_t len);

#endif
