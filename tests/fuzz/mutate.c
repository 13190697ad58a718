/*
 * How libFuzzer changes job documents: mostly as trees, so that what comes out is JSON and often a
 * job; and what stands behind a NUL on its own.
 */
#include <string.h>

#include <jansson.h>

#include "daemon/lang/json.h"
#include "proto/mem.h"
#include "tests/fuzz/fuzz.h"

/* libFuzzer's: changes bytes, gives the new size. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { MAX_PLACES = 2000 };

/* A member or an item: where it stands and what it is. */
struct place {
    json_t *parent;
    const char *key; /* NULL: an item */
    size_t index;
    json_t *value;
};
struct places {
    struct place all[MAX_PLACES];
    size_t n;
};

static void gather(struct places *p, json_t *json)
{
    size_t i;
    const char *key;
    json_t *value;
    json_object_foreach (json, key, value) {
        if (p->n < MAX_PLACES)
            p->all[p->n++] = (struct place){json, key, 0, value};
        gather(p, value);
    }
    json_array_foreach (json, i, value) {
        if (p->n < MAX_PLACES)
            p->all[p->n++] = (struct place){json, NULL, i, value};
        gather(p, value);
    }
}

static void set(const struct place *at, json_t *value)
{
    if (at->key)
        json_object_set_new(at->parent, at->key, value);
    else
        json_array_set_new(at->parent, at->index, value);
}

/* One change somewhere in the tree. */
static void change(json_t *root, unsigned seed)
{
    static const char *const literals[] = {
        "null", "0",    "-1",    "1",  "0.1", "1e9",          "true",
        "[]",   "\"\"", "\"x\"", "{}", "[1]", "\"${tasks}\"", "\"...${x}\"",
    };
    cleanup_free struct places *p = xcalloc(1, sizeof *p);
    gather(p, root);
    if (p->n == 0)
        return;
    const struct place *at = &p->all[seed / 8 % p->n], *from = &p->all[seed / 64 % p->n];
    json_t *copy = json_deep_copy(from->value);
    switch (seed % 8) {
    case 0:
        set(at, json_loads(literals[seed / 16 % ARRAY_LEN(literals)], JSON_DECODE_ANY, NULL));
        break;
    case 1:
        if (at->key)
            json_object_del(at->parent, at->key);
        else
            json_array_remove(at->parent, at->index);
        break;
    case 2: /* under another name */
        if (at->key && from->key)
            json_object_set(at->parent, from->key, at->value);
        break;
    case 3: /* one more member or item */
        if (at->key && from->key)
            json_object_set(at->parent, from->key, copy);
        else if (!at->key)
            json_array_insert(at->parent, at->index, copy);
        break;
    case 4: /* into a list */
        set(at, json_pack("[O, O]", at->value, copy));
        break;
    case 5: /* what is inside comes out */
        if (json_array_size(at->value) > 0)
            set(at, json_incref(json_array_get(at->value, 0)));
        else
            set(at, json_incref(copy));
        break;
    default:
        set(at, json_incref(copy));
    }
    json_decref(copy);
}

/* The new size; 0: it is no JSON, or became too long. */
static size_t change_tree(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct err err = {0};
    json_t *root = json_parse((const char *)data, size, 200, &err);
    if (!root)
        return 0;
    for (unsigned n = seed % 3 + 1; n > 0; n--, seed = seed * 1103515245 + 12345)
        change(root, seed / 4);
    cleanup_free char *text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(root);
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len > max_size)
        return 0;
    memcpy(data, text, len);
    return len;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t text = nul ? (size_t)(nul - data) : size, tail = size - text;
    if (nul && seed % 2 && max_size > text + 1)
        return text + 1 + LLVMFuzzerMutate(nul + 1, tail - 1, max_size - text - 1);
    if (seed % 8 < 2)
        return LLVMFuzzerMutate(data, size, max_size);
    cleanup_free uint8_t *rest = xmemdup(tail ? nul : data, tail ? tail : 1);
    size_t len = change_tree(data, text, max_size - tail, seed / 8);
    if (len == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    memcpy(data + len, rest, tail);
    return len + tail;
}
