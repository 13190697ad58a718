#include "daemon/lang/program.h"

#include <string.h>

#include "daemon/lang/json.h"
#include "daemon/lang/parser.h"
#include "proto/mem.h"

DEFINE_CLEANUP(json_t *, json_decref);

static void release_node(struct node_entry *e)
{
    if (e->fields)
        parser_fields_release(e->fields, e->node);
    else
        free(((struct block *)(void *)e->node)->children);
    free(e->node);
}

static void program_free(struct program *p)
{
    for (size_t i = 0; i < p->n_nodes; i++)
        release_node(&p->nodes[i]);
    for (size_t i = 0; i < p->n_labels; i++)
        expr_free(p->labels[i].name);
    free(p->nodes);
    free(p->labels);
    free(p->inputs);
    functions_release(p);
    document_release(&p->document);
    atoms_release(&p->atoms);
    free(p);
}

struct program *program_ref(struct program *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void program_unref(struct program *p)
{
    if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
        program_free(p);
}

static int compare_nodes(const void *a, const void *b)
{
    const struct node_entry *m = a, *n = b;
    return (m->node->id > n->node->id) - (m->node->id < n->node->id);
}

static int compare_labels(const void *a, const void *b)
{
    const struct node_label *m = a, *n = b;
    return (m->id > n->id) - (m->id < n->id);
}

static void parser_release(struct parser *p)
{
    buf_release(&p->pointer);
    free(p->marks);
    free(p->ordinals);
    scope_release(p);
}

struct program *program_parse(const char *text, size_t len, unsigned max_depth,
                              const struct program_kinds *kinds, struct mistakes *errors,
                              struct mistakes *warnings)
{
    struct err err;
    cleanup(json_decref_p) json_t *json = json_parse(text, len, max_depth, &err);
    if (!json) {
        mistakes_add(errors, "", NULL, err.text);
        return NULL;
    }
    struct program *g = xcalloc(1, sizeof *g);
    g->refs = 1;
    struct parser p = {.kinds = kinds, .program = g, .errors = errors, .warnings = warnings};
    parser_number(&p, json);
    document_parse(&p, json);
    scope_finish(&p);
    bool failed = p.complaints > 0;
    parser_release(&p);
    if (failed) {
        program_unref(g);
        return NULL;
    }
    if (g->n_nodes > 0)
        qsort(g->nodes, g->n_nodes, sizeof *g->nodes, compare_nodes);
    if (g->n_labels > 0)
        qsort(g->labels, g->n_labels, sizeof *g->labels, compare_labels);
    return g;
}

const struct document *program_document(const struct program *p)
{
    return &p->document;
}

struct node *program_main(const struct program *p)
{
    return p->main;
}

struct node *program_node(const struct program *p, uint32_t id)
{
    struct node n = {.id = id};
    struct node_entry key = {.node = &n};
    const struct node_entry *e =
        p->n_nodes ? bsearch(&key, p->nodes, p->n_nodes, sizeof key, compare_nodes) : NULL;
    return e ? e->node : NULL;
}

struct expr *node_name(const struct program *p, const struct node *n)
{
    struct node_label key = {.id = n->id & ~3u};
    const struct node_label *l =
        p->n_labels ? bsearch(&key, p->labels, p->n_labels, sizeof key, compare_labels) : NULL;
    return l ? l->name : NULL;
}

const char *program_atom_name(const struct program *p, uint32_t atom)
{
    return atoms_name(&p->atoms, atom);
}

uint32_t program_atom(const struct program *p, const char *name)
{
    return atoms_find(&p->atoms, name, strlen(name));
}

struct value *program_input(const struct program *p, uint32_t atom)
{
    return atom >= 1 && atom <= p->n_inputs ? p->inputs[atom - 1] : NULL;
}
