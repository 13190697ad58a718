#include "tests/lang/kept_objects.h"

#include <stdio.h>
#include <string.h>

#include "proto/mem.h"

struct kept_object {
    uint64_t job; /* 0: it has a name */
    uint32_t id;
    char *state;
    size_t len;
};
struct kept_item {
    uint64_t job;
    uint32_t object;
    uint64_t seq;
    char *value;
    size_t len;
};

static void replace(char **to, size_t *to_len, const char *from, size_t len)
{
    free(*to);
    *to = xmemdup(len ? from : "", len ? len : 1);
    *to_len = len;
}

static struct kept_object *find(struct kept_objects *k, uint64_t job, uint32_t id)
{
    for (size_t i = 0; i < k->n_objects; i++)
        if (k->objects[i].job == job && k->objects[i].id == id)
            return &k->objects[i];
    return NULL;
}

void kept_object(struct kept_objects *k, const struct object_row *row)
{
    struct kept_object *o = find(k, row->job, row->id);
    if (row->fresh != !o)
        fprintf(stderr, "object %u is %s\n", row->id, o ? "there twice" : "not there");
    if (!o) {
        k->objects =
            xgrow(k->objects, &k->objects_cap, k->n_objects + 1, sizeof(struct kept_object));
        o = &k->objects[k->n_objects++];
        *o = (struct kept_object){.job = row->job, .id = row->id};
    }
    replace(&o->state, &o->len, row->state, row->state_len);
}

void kept_items_gone(struct kept_objects *k, uint64_t job, uint32_t object, uint64_t first,
                     uint64_t last)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n_items; i++) {
        const struct kept_item *it = &k->items[i];
        if (it->job == job && it->object == object && it->seq >= first && it->seq <= last)
            free(it->value);
        else
            k->items[n++] = *it;
    }
    k->n_items = n;
}

void kept_object_gone(struct kept_objects *k, uint64_t job, uint32_t object)
{
    struct kept_object *o = find(k, job, object);
    kept_items_gone(k, job, object, 0, UINT64_MAX);
    if (!o) {
        fprintf(stderr, "object %u is not there\n", object);
        return;
    }
    free(o->state);
    *o = k->objects[--k->n_objects];
}

void kept_item(struct kept_objects *k, const struct item_row *row)
{
    k->items = xgrow(k->items, &k->items_cap, k->n_items + 1, sizeof(struct kept_item));
    struct kept_item *it = &k->items[k->n_items++];
    *it = (struct kept_item){.job = row->job, .object = row->object, .seq = row->seq};
    replace(&it->value, &it->len, row->value, row->value_len);
}

void kept_objects_gone(struct kept_objects *k, uint64_t job)
{
    for (size_t i = 0; i < k->n_objects;)
        if (k->objects[i].job == job)
            kept_object_gone(k, job, k->objects[i].id);
        else
            i++;
    for (size_t i = 0; i < k->n_items; i++)
        if (k->items[i].job == job)
            fprintf(stderr, "items of no object\n");
}

void kept_objects_release(struct kept_objects *k)
{
    for (size_t i = 0; i < k->n_objects; i++)
        free(k->objects[i].state);
    for (size_t i = 0; i < k->n_items; i++)
        free(k->items[i].value);
    free(k->objects);
    free(k->items);
    *k = (struct kept_objects){0};
}

/* l NULL: into rt, those of no job. */
static bool load(const struct kept_objects *k, struct job_loader *l, struct runtime *rt,
                 uint64_t job, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < k->n_objects; i++) {
        const struct kept_object *o = &k->objects[i];
        struct object_row row = {.job = job, .id = o->id, .state = o->state, .state_len = o->len};
        if (o->job == job)
            ok = l ? runtime_load_object(l, &row, err) : runtime_load_named(rt, &row, err);
    }
    for (size_t i = 0; ok && i < k->n_items; i++) {
        const struct kept_item *it = &k->items[i];
        struct item_row row = {.job = job,
                               .object = it->object,
                               .seq = it->seq,
                               .value = it->value,
                               .value_len = it->len};
        if (it->job == job)
            ok = l ? runtime_load_item(l, &row, err) : runtime_load_named_item(rt, &row, err);
    }
    return ok;
}

bool kept_objects_load(const struct kept_objects *k, struct job_loader *l, uint64_t job,
                       struct err *err)
{
    return load(k, l, NULL, job, err);
}

bool kept_named_load(const struct kept_objects *k, struct runtime *rt, struct err *err)
{
    return load(k, NULL, rt, 0, err);
}
