#include "daemon/task/scope.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/task/keep.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

/* From so many variables on they are found by hash: each step of a job may name one. */
enum { INDEX_FROM = 16 };

static struct variable *variables(const struct scope *s)
{
    return s->cap > 1 ? s->many.all : (struct variable *)(uintptr_t)&s->one;
}

/* The place in the index where the atom is, or the free one where it belongs. It is at most half
 * full. */
static uint32_t *place(const struct scope *s, uint32_t atom)
{
    uint32_t mask = 2 * s->cap - 1;
    for (uint32_t i = atom * UINT32_C(2654435769);; i++) {
        uint32_t *at = &s->many.index[i & mask];
        if (*at == 0 || s->many.all[*at - 1].atom == atom)
            return at;
    }
}

static struct variable *find(const struct scope *s, uint32_t atom)
{
    if (s->cap > 1 && s->many.index) {
        uint32_t at = *place(s, atom);
        return at ? &s->many.all[at - 1] : NULL;
    }
    struct variable *all = variables(s);
    for (uint32_t i = 0; i < s->n; i++)
        if (all[i].atom == atom)
            return &all[i];
    return NULL;
}

static void index_all(struct scope *s)
{
    s->many.index = xcalloc((size_t)2 * s->cap, sizeof *s->many.index);
    for (uint32_t i = 0; i < s->n; i++)
        *place(s, s->many.all[i].atom) = i + 1;
}

struct scope *scope_new(struct job *job, struct scope *parent)
{
    struct scope *s = xcalloc(1, sizeof *s);
    s->refs = 1;
    s->id = job->next_scope++;
    s->cap = 1;
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
    /* What goes may be the last that holds something which looks at these variables. */
    struct scope had = *s;
    s->n = 0;
    s->cap = 1;
    const struct variable *all = variables(&had);
    for (uint32_t i = 0; i < had.n; i++)
        value_unref(all[i].value);
    if (had.cap > 1) {
        free(had.many.all);
        free(had.many.index);
    }
}

void scope_unref(struct scope *s)
{
    /* A loop, not recursion: branches nest as deep as a job makes them. */
    while (s && --s->refs == 0) {
        struct scope *parent = s->parent;
        scope_clear(s);
        free(s);
        s = parent;
    }
}

static void grow(struct scope *s)
{
    struct variable *all = xmalloc((size_t)2 * s->cap * sizeof *all);
    memcpy(all, variables(s), s->n * sizeof *all);
    if (s->cap > 1) {
        free(s->many.all);
        free(s->many.index);
    }
    s->cap *= 2;
    s->many.all = all;
    s->many.index = NULL;
    if (s->n >= INDEX_FROM)
        index_all(s);
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
    variables(s)[s->n++] = (struct variable){atom, v};
    if (s->cap > 1 && s->many.index)
        *place(s, atom) = s->n;
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
        atom_save(job, variables(s)[i].atom, out);
        keep_save(job, variables(s)[i].value, out);
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
