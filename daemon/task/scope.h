#ifndef COROD_TASK_SCOPE_H
#define COROD_TASK_SCOPE_H
/*
 * The variables of one coroutine: a vector, mostly small. Shared by counting: a branch's scope
 * holds the one it stands in.
 */
#include <stdbool.h>
#include <stdint.h>

#include "daemon/lang/value.h"
#include "proto/buf.h"

struct job;
struct job_loader;

struct variable {
    uint32_t atom;
    struct value *value;
};

struct scope {
    uint32_t refs, id;
    uint32_t n, cap; /* cap 1: the one is inside */
    struct scope *parent;
    union {
        struct variable one;
        struct {
            struct variable *all;
            uint32_t *index; /* hash table of 2 * cap places in `all`, from 1; NULL: few */
        } many;
    };
};

/* parent may be NULL (a function: `input` comes next). Takes its own reference to it. */
struct scope *scope_new(struct job *job, struct scope *parent);
struct scope *scope_ref(struct scope *s);
void scope_unref(struct scope *s); /* NULL is allowed */
/* Takes over the value. */
void scope_set(struct scope *s, uint32_t atom, struct value *v);
/* Borrowed; looks outward; NULL when bound nowhere. */
struct value *scope_get(const struct scope *s, uint32_t atom);
/* Drops the variables, so that circles of handles fall apart. */
void scope_clear(struct scope *s);

void scope_save(const struct job *job, const struct scope *s, struct buf *out);
/* The scope with what was saved, a new reference; NULL: damaged. */
struct scope *scope_load(struct job_loader *l, struct reader *r);

#endif
