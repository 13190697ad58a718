#include "daemon/lang/parser.h"
#include "proto/mem.h"

/* The place of a list or an object among all values of the document, from 1. */
struct ordinal {
    const json_t *json;
    uint32_t ordinal;
};

static struct ordinal *slot(const struct parser *p, const json_t *json)
{
    size_t h = (size_t)((uintptr_t)json >> 4) * 0x9e3779b97f4a7c15u >> 20;
    for (;; h++) {
        struct ordinal *o = &p->ordinals[h & (p->ordinals_size - 1)];
        if (!o->json || o->json == json)
            return o;
    }
}

static size_t count_containers(const json_t *json)
{
    size_t n = 1, i;
    const json_t *item;
    if (json_is_array(json)) {
        json_array_foreach (json, i, item)
            if (json_is_array(item) || json_is_object(item))
                n += count_containers(item);
    } else if (json_is_object(json)) {
        json_t *object = (json_t *)(uintptr_t)json;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
            item = json_object_iter_value(it);
            if (json_is_array(item) || json_is_object(item))
                n += count_containers(item);
        }
    }
    return n;
}

static void number(struct parser *p, const json_t *json, uint32_t *next)
{
    uint32_t ordinal = (*next)++;
    if (!json_is_array(json) && !json_is_object(json))
        return; /* null, true and false have no address of their own, and no node is one */
    *slot(p, json) = (struct ordinal){json, ordinal};
    size_t i;
    const json_t *item;
    if (json_is_array(json)) {
        json_array_foreach (json, i, item)
            number(p, item, next);
        return;
    }
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        number(p, json_object_iter_value(it), next);
}

void parser_number(struct parser *p, const json_t *root)
{
    p->ordinals_size = 16;
    for (size_t n = count_containers(root); p->ordinals_size < 2 * n;)
        p->ordinals_size *= 2;
    p->ordinals = xcalloc(p->ordinals_size, sizeof *p->ordinals);
    uint32_t next = 1;
    number(p, root, &next);
}

uint32_t parser_ordinal(const struct parser *p, const json_t *json)
{
    return slot(p, json)->ordinal;
}
