#include "daemon/task/scope.h"

#include <stdlib.h>

#include "daemon/task/keep.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

/* From so many variables on they are found by hash: each step of a job may name one. */
enum { INDEX_FROM = 16 };

/* The place in the index where the atom is, or the free one where it belongs. It is at most half
 * full. */
static uint32_t *place(const struct scope *s, uint32_t atom)
{
    uint32_t mask = 2 * s->cap - 1;
    for (uint32_t i = atom * UINT32_C(2654435769);; i++) {
        uint32_t *at = &s->index[i & mask];
        if (*at == 0 || s->all[*at - 1].atom == atom)
            return at;
    }
}

static struct variable *find(const struct scope *s, uint32_t atom)
{
    if (s->index) {
        uint32_t at = *place(s, atom);
        return at ? &s->all[at - 1] : NULL;
    }
    for (uint32_t i = 0; i < s->n; i++)
        if (s->all[i].atom == atom)
            return &s->all[i];
    return NULL;
}

static void index_all(struct scope *s)
{
    free(s->index);
    s->index = xcalloc((size_t)2 * s->cap, sizeof *s->index);
    for (uint32_t i = 0; i < s->n; i++)
        *place(s, s->all[i].atom) = i + 1;
}

struct scope *scope_new(struct job *job, struct scope *parent)
{
    struct scope *s = xcalloc(1, sizeof *s);
    s->refs = 1;
    s->id = job->next_scope++;
    s->cap = 1;
    s->all = s->own;
    if (parent)
        s->parent = scope_ref(parent);
    return s;
}

struct scope *scope_ref(struct scope *s)
{
    s->refs++;
    return s;
}

void scope_clear(struct scope *s)
{
    uint32_t n = s->n;
    s->n = 0;
    free(steal(&s->index));
    for (uint32_t i = 0; i < n; i++)
        value_unref(s->all[i].value);
}

void scope_unref(struct scope *s)
{
    /* A loop, not recursion: branches nest as deep as a job makes them. */
    while (s && --s->refs == 0) {
        struct scope *parent = s->parent;
        scope_clear(s);
        if (s->all != s->own)
            free(s->all);
        free(s);
        s = parent;
    }
}

static void grow(struct scope *s)
{
    s->cap *= 2;
    struct variable *all = xmalloc(s->cap * sizeof *all);
    for (uint32_t i = 0; i < s->n; i++)
        all[i] = s->all[i];
    if (s->all != s->own)
        free(s->all);
    s->all = all;
    free(steal(&s->index));
}

void scope_set(struct scope *s, uint32_t atom, struct value *v)
{
    struct variable *old = find(s, atom);
    if (old) {
        struct value *before = old->value;
        old->value = v;
        value_unref(before);
        return;
    }
    if (s->n == s->cap)
        grow(s);
    s->all[s->n++] = (struct variable){atom, v};
    if (s->index)
        *place(s, atom) = s->n;
    else if (s->n >= INDEX_FROM)
        index_all(s);
}

struct value *scope_get(const struct scope *s, uint32_t atom)
{
    for (; s; s = s->parent) {
        const struct variable *found = find(s, atom);
        if (found)
            return found->value;
    }
    return NULL;
}

void scope_save(const struct job *job, const struct scope *s, struct buf *out)
{
    put_varint(out, s->id);
    put_varint(out, s->parent ? (uint64_t)s->parent->id + 1 : 0);
    put_varint(out, s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        atom_save(job, s->all[i].atom, out);
        keep_save(job, s->all[i].value, out);
    }
}

static bool load_variables(struct job_loader *l, struct reader *r, struct scope *s)
{
    for (uint64_t n = get_varint(r); n > 0; n--) {
        uint32_t atom;
        if (r->failed || !atom_load(l, r, &atom))
            return load_fail(l, "a variable's name");
        struct value *v = keep_load(l, r);
        if (!v)
            return load_fail(l, "a variable's value");
        scope_set(s, atom, v);
    }
    return !r->failed || load_fail(l, "a scope");
}

/* A scope that is its own ancestor would be searched for ever: parents are older. */
static bool load_parent(struct job_loader *l, struct reader *r, struct scope *s)
{
    uint64_t parent = get_varint(r);
    if (r->failed || parent > s->id)
        return load_fail(l, "a scope's parent");
    if (parent > 0)
        s->parent = load_scope(l, (uint32_t)(parent - 1));
    return true;
}

struct scope *scope_load(struct job_loader *l, struct reader *r)
{
    uint64_t id = get_varint(r);
    if (r->failed || id >= l->job->next_scope || map_get(&l->filled, id + 1)) {
        load_fail(l, "a scope's number");
        return NULL;
    }
    struct scope *s = load_scope(l, (uint32_t)id);
    map_put(&l->filled, id + 1, s);
    if (load_parent(l, r, s) && load_variables(l, r, s))
        return s;
    scope_unref(s);
    return NULL;
}
