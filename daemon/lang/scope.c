/*
 * Which names are bound where. A coroutine's variables come and go while it runs, so this can't be
 * known for sure: what looks wrong is a warning.
 */
#include <string.h>

#include "daemon/lang/parser.h"
#include "proto/mem.h"

static struct name_info *info(struct parser *p, uint32_t atom)
{
    if (atom > p->n_names) {
        size_t cap = p->n_names;
        p->names = xgrow(p->names, &cap, atom, sizeof *p->names);
        memset(p->names + p->n_names, 0, (cap - p->n_names) * sizeof *p->names);
        p->n_names = cap;
    }
    return &p->names[atom - 1];
}

void scope_input(struct parser *p, uint32_t atom)
{
    info(p, atom)->is_input = true;
    info(p, atom)->bound_anywhere = true;
}

void scope_bind(struct parser *p, uint32_t atom)
{
    struct name_info *i = info(p, atom);
    i->bound_here = i->bound_anywhere = true;
}

void scope_use(struct parser *p, uint32_t atom)
{
    struct name_info *i = info(p, atom);
    if (!i->used_at && !i->is_input)
        i->used_at = parser_where(p);
}

static void pendings_add(struct pendings *l, const char *name, size_t len, char *pointer,
                         const char *function)
{
    l->all = xgrow(l->all, &l->cap, l->n + 1, sizeof *l->all);
    l->all[l->n++] = (struct pending){xstrndup(name, len), pointer, function};
}

static void pendings_release(struct pendings *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->all[i].name);
        free(l->all[i].pointer);
    }
    free(l->all);
    *l = (struct pendings){0};
}

void scope_script(struct parser *p, const char *name, size_t len)
{
    if (p->scripts.n < 10 * MISTAKES_MAX)
        pendings_add(&p->scripts, name, len, parser_where(p), p->function);
}

void scope_begin(struct parser *p, const char *function)
{
    p->function = function;
}

static void warn_at(struct parser *p, const struct pending *at, const char *hint, char *message)
{
    mistakes_add(p->warnings, at->pointer, hint, message);
    free(message);
}

static void warn_scripts(struct parser *p)
{
    for (size_t i = 0; i < p->scripts.n; i++) {
        const struct pending *s = &p->scripts.all[i];
        uint32_t atom = atoms_find(&p->program->atoms, s->name, strlen(s->name));
        if (atom == 0 || atom > p->n_names ||
            !(p->names[atom - 1].bound_here || p->names[atom - 1].is_input))
            continue;
        cleanup_free char *hint = xasprintf(
            "pass it with \"env\": {\"%s\": \"${%s}\"}, or with \"args\"", s->name, s->name);
        warn_at(p, s, hint,
                xasprintf("${%s} is the shell's variable here, not the job's", s->name));
    }
    pendings_release(&p->scripts);
}

void scope_end(struct parser *p)
{
    warn_scripts(p);
    for (size_t i = 0; i < p->n_names; i++) {
        struct name_info *n = &p->names[i];
        const char *name = atoms_name(&p->program->atoms, (uint32_t)i + 1);
        if (n->used_at && !n->bound_here && p->unbound.n < 10 * MISTAKES_MAX) {
            pendings_add(&p->unbound, name, strlen(name), n->used_at, p->function);
            n->used_at = NULL;
        }
        free(n->used_at);
        n->used_at = NULL;
        n->bound_here = false;
    }
}

void scope_finish(struct parser *p)
{
    const struct atoms *atoms = &p->program->atoms;
    for (size_t i = 0; i < p->unbound.n && p->warnings->n < MISTAKES_MAX; i++) {
        const struct pending *u = &p->unbound.all[i];
        uint32_t atom = atoms_find(atoms, u->name, strlen(u->name));
        if (p->names[atom - 1].bound_anywhere) {
            warn_at(p, u, NULL,
                    u->function ? xasprintf("function \"%s\" does not see \"%s\": a function reads "
                                            "its parameters and the job's input",
                                            u->function, u->name)
                                : xasprintf("\"%s\" is bound in another function only", u->name));
            continue;
        }
        struct hint h = {.word = u->name};
        for (uint32_t a = 1; a <= p->n_names && atoms_name(atoms, a); a++)
            if (p->names[a - 1].bound_anywhere)
                hint_try(&h, atoms_name(atoms, a));
        cleanup_free char *hint = hint_text(&h);
        warn_at(p, u, hint, xasprintf("the name \"%s\" is bound nowhere", u->name));
    }
}

void scope_release(struct parser *p)
{
    for (size_t i = 0; i < p->n_names; i++)
        free(p->names[i].used_at);
    free(p->names);
    pendings_release(&p->scripts);
    pendings_release(&p->unbound);
}
