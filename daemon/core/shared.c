#include <sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/core/state.h"
#include "proto/mem.h"

void sha256(const void *p, size_t len, unsigned char out[SHA_BYTES])
{
    SHA2_CTX c;
    SHA256Init(&c);
    SHA256Update(&c, p, len);
    SHA256Final(out, &c);
}

void uuid7(unsigned char u[16], int64_t now_us)
{
    uint64_t ms = (uint64_t)(now_us / 1000);
    if (getrandom(u, 16, 0) != 16)
        memset(u, 0, 16);
    for (int i = 0; i < 6; i++)
        u[i] = (unsigned char)(ms >> (8 * (5 - i)));
    u[6] = (unsigned char)((u[6] & 0x0f) | 0x70);
    u[8] = (unsigned char)((u[8] & 0x3f) | 0x80);
}

static uint64_t key_of(const unsigned char sha[SHA_BYTES])
{
    uint64_t key;
    memcpy(&key, sha, sizeof key);
    return key;
}

struct shared *shared_find(struct map *m, const unsigned char sha[SHA_BYTES])
{
    struct shared *s = map_get(m, key_of(sha));
    if (!s || memcmp(s->sha, sha, SHA_BYTES) != 0)
        return NULL;
    s->refs++;
    return s;
}

struct shared *shared_add(struct map *m, const unsigned char sha[SHA_BYTES])
{
    struct shared *s = xcalloc(1, sizeof *s);
    memcpy(s->sha, sha, SHA_BYTES);
    s->refs = 1;
    s->map = m;
    /* Should 64 bits ever be equal for two contents, the second is just not shared. */
    if (!map_get(m, key_of(sha))) {
        map_put(m, key_of(sha), s);
        s->in_map = true;
    }
    return s;
}

void shared_unref(struct shared *s)
{
    if (!s || --s->refs)
        return;
    if (s->in_map)
        map_remove(s->map, key_of(s->sha));
    program_unref(s->program);
    mistakes_release(&s->warnings);
    value_unref(s->environment);
    free(s);
}

struct shared *environment_get(struct engine *e, struct value *env)
{
    if (!env || !value_count(env))
        return NULL;
    struct buf bytes = {0};
    unsigned char sha[SHA_BYTES];
    value_save(&bytes, env);
    sha256(bytes.data, bytes.len, sha);
    struct shared *s = shared_find(&e->environments, sha);
    if (!s) {
        s = shared_add(&e->environments, sha);
        s->environment = value_ref(env);
    }
    if (!s->stored) {
        batch_add(&e->open, ST_ENVIRONMENT_ADD);
        batch_blob(&e->open, sha, SHA_BYTES);
        batch_blob(&e->open, bytes.data, bytes.len);
        s->stored = true;
    }
    buf_release(&bytes);
    return s;
}
