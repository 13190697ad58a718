/* Nodes: which verb an object has, its modifiers, blocks. */
#include <string.h>

#include "daemon/lang/parser.h"
#include "proto/mem.h"

/* What the last bits of a node's id say; see struct node. */
enum { BITS_VERB = 0, BITS_TIMEOUT = 1, BITS_RETRY = 2, BITS_AS = 3 };

static const struct field timeout_fields[] = {
    {"timeout", &field_number, offsetof(struct timeout_node, seconds), true, NULL},
    {NULL},
};
static const struct field retry_fields[] = {
    {"attempts", &field_number, offsetof(struct retry_node, attempts), false, NULL},
    {"delay", &field_number, offsetof(struct retry_node, delay), false, NULL},
    {"backoff", &field_number, offsetof(struct retry_node, backoff), false, NULL},
    {"max_delay", &field_number, offsetof(struct retry_node, max_delay), false, NULL},
    {"jitter", &field_number, offsetof(struct retry_node, jitter), false, NULL},
    {"on", &field_types, offsetof(struct retry_node, on), false, NULL},
    {NULL},
};
static const struct field no_fields[] = {{NULL}};
static const char *const modifiers[] = {"as", "name", "timeout", "retry", NULL};

static bool is_modifier(const char *key)
{
    for (size_t i = 0; modifiers[i]; i++)
        if (strcmp(modifiers[i], key) == 0)
            return true;
    return false;
}

static bool has_field(const struct verb *v, const char *key)
{
    for (const struct field *f = v->fields; f->name; f++)
        if (strcmp(f->name, key) == 0)
            return true;
    return false;
}

static bool fits(const struct verb *v, const char *key)
{
    return has_field(v, key) || is_modifier(key);
}

const struct verb *find_verb(const struct program_kinds *kinds, const char *name)
{
    for (const struct verb *const *v = kinds->verbs; *v; v++) {
        const char *verb = (*v)->fields[0].name;
        if (*verb == *name && strcmp(verb, name) == 0)
            return *v;
    }
    return NULL;
}

void hint_verbs(struct hint *h, const struct program_kinds *kinds)
{
    for (const struct verb *const *v = kinds->verbs; *v; v++)
        hint_try(h, (*v)->fields[0].name);
}

void *node_new(struct parser *p, const struct verb *verb, const struct field *fields, size_t size,
               const json_t *json, unsigned bits)
{
    struct program *g = p->program;
    struct node *n = xcalloc(1, verb->size > size ? verb->size : size);
    n->verb = verb;
    n->id = 4 * parser_ordinal(p, json) + bits;
    g->nodes = xgrow(g->nodes, &g->nodes_cap, g->n_nodes + 1, sizeof *g->nodes);
    g->nodes[g->n_nodes++] = (struct node_entry){n, fields};
    return n;
}

/* How many of the object's keys don't belong to the verb's row; `but` counts as belonging. */
static size_t count_strangers(const struct verb *v, json_t *object, const char *but)
{
    size_t n = 0;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        n += !(but && strcmp(but, key) == 0) && !fits(v, key);
    }
    return n;
}

/* The verb among the keys to whose row most keys belong; NULL: none of them is a verb. */
static const struct verb *best_verb(const struct parser *p, json_t *object, size_t *strangers)
{
    const struct verb *best = NULL;
    *strangers = SIZE_MAX;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const struct verb *v = find_verb(p->kinds, json_object_iter_key(it));
        size_t n = v ? count_strangers(v, object, NULL) : SIZE_MAX;
        if (n < *strangers) {
            best = v;
            *strangers = n;
        }
    }
    return best;
}

/* The key that is nearly a verb to whose row all other keys belong. */
static const char *misspelt_verb(const struct parser *p, json_t *object, struct hint *ret)
{
    const char *word = NULL;
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        struct hint h = {.word = json_object_iter_key(it)};
        if (find_verb(p->kinds, h.word) || is_modifier(h.word))
            continue;
        for (const struct verb *const *v = p->kinds->verbs; *v; v++)
            if (count_strangers(*v, object, h.word) == 0 &&
                !json_object_get(object, (*v)->fields[0].name))
                hint_try(&h, (*v)->fields[0].name);
        if (h.best && (!word || h.distance < ret->distance)) {
            word = h.word;
            *ret = h;
        }
    }
    return word;
}

static void complain_no_verb(struct parser *p, json_t *object)
{
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        const char *key = json_object_iter_key(it);
        if (is_modifier(key))
            continue;
        struct hint h = parser_hint(p, key);
        hint_verbs(&h, p->kinds);
        parser_complain_key(p, key, hint_text(&h), "unknown verb \"%s\"", key);
        return;
    }
    parser_complain(p, NULL, "a node needs a verb");
}

static void complain_stranger(struct parser *p, const struct verb *v, json_t *object,
                              const char *key)
{
    const char *verb = v->fields[0].name;
    if (find_verb(p->kinds, key)) {
        parser_complain_key(p, key, NULL, "\"%s\" and \"%s\" are two verbs: a node has one", verb,
                            key);
        return;
    }
    struct hint h = parser_hint(p, key);
    for (const struct field *f = v->fields; f->name; f++)
        if (!json_object_get(object, f->name))
            hint_try(&h, f->name);
    for (size_t i = 0; modifiers[i]; i++)
        if (!json_object_get(object, modifiers[i]))
            hint_try(&h, modifiers[i]);
    parser_complain_key(p, key, hint_text(&h), "unknown key \"%s\" of \"%s\"", key, verb);
}

/* NULL when the object is no node; unknown keys are complained about. */
static const struct verb *choose_verb(struct parser *p, json_t *object)
{
    size_t strangers;
    const struct verb *v = best_verb(p, object, &strangers);
    if (v && strangers == 0)
        return v;
    struct hint h = {0};
    const char *word = NULL;
    if (json_object_size(object) <= GUESS_MAX_KEYS)
        word = misspelt_verb(p, object, &h);
    if (word) {
        parser_complain_key(p, word, hint_text(&h), "unknown verb \"%s\"", word);
        return NULL;
    }
    if (!v) {
        complain_no_verb(p, object);
        return NULL;
    }
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it))
        if (!fits(v, json_object_iter_key(it)))
            complain_stranger(p, v, object, json_object_iter_key(it));
    return v;
}

/* The modifier's value, unless the verb has a key of that name itself. */
static const json_t *modifier(struct parser *p, const struct verb *v, const json_t *json,
                              const char *key)
{
    const json_t *m = has_field(v, key) ? NULL : json_object_get(json, key);
    if (m)
        parser_enter_key(p, key);
    return m;
}

static struct node *wrap_timeout(struct parser *p, const json_t *m, const json_t *json,
                                 const struct verb *verb, struct node *child)
{
    struct expr *seconds = NULL;
    field_number.parse(p, m, &seconds);
    parser_leave(p);
    const struct value *v = expr_literal(seconds);
    if (!seconds || (v && value_type(v) == VALUE_NULL)) {
        expr_free(seconds);
        return child;
    }
    struct timeout_node *t =
        node_new(p, p->kinds->timeout, timeout_fields, sizeof *t, json, BITS_TIMEOUT);
    t->seconds = seconds;
    t->child = child;
    t->from_start = p->kinds->is_leaf && p->kinds->is_leaf(verb);
    return &t->node;
}

static void check_attempts(struct parser *p, const struct retry_node *r)
{
    const struct value *v = expr_literal(r->attempts);
    if (v && (value_type(v) != VALUE_INT || value_get_int(v) < 1))
        parser_complain(p, NULL, "the number of attempts is a whole number from 1");
}

static struct node *wrap_retry(struct parser *p, const json_t *m, const json_t *json,
                               struct node *child)
{
    struct retry_node *r = node_new(p, p->kinds->retry, retry_fields, sizeof *r, json, BITS_RETRY);
    r->child = child;
    size_t before = p->complaints;
    if (json_is_object(m) && !json_object_get(m, "expr"))
        parser_fields(p, "retry", retry_fields, m, r);
    else
        field_number.parse(p, m, &r->attempts);
    if (p->complaints == before)
        check_attempts(p, r);
    parser_leave(p);
    return &r->node;
}

static void parse_label(struct parser *p, const json_t *m, uint32_t id)
{
    struct expr *name = NULL;
    field_string.parse(p, m, &name);
    parser_leave(p);
    if (!name)
        return;
    struct program *g = p->program;
    g->labels = xgrow(g->labels, &g->labels_cap, g->n_labels + 1, sizeof *g->labels);
    g->labels[g->n_labels++] = (struct node_label){id, name};
}

static struct node *parse_modifiers(struct parser *p, const struct verb *v, const json_t *json,
                                    struct node *n)
{
    bool call = v == p->kinds->call;
    struct node *inner = call ? NULL : n;
    const json_t *m;
    if ((m = modifier(p, v, json, "name")))
        parse_label(p, m, n->id);
    if ((m = modifier(p, v, json, "timeout")))
        inner = wrap_timeout(p, m, json, v, inner);
    if ((m = modifier(p, v, json, "retry")))
        inner = wrap_retry(p, m, json, inner);
    if (call) {
        ((struct call_node *)(void *)n)->wrappers = inner;
        inner = n;
    }
    if ((m = modifier(p, v, json, "as"))) {
        struct as_node *as = node_new(p, p->kinds->as, no_fields, sizeof *as, json, BITS_AS);
        as->name = parser_binding(p, m);
        as->child = inner;
        parser_leave(p);
        return &as->node;
    }
    return inner;
}

static struct node *parse_object(struct parser *p, const json_t *json)
{
    json_t *object = (json_t *)(uintptr_t)json;
    const struct verb *v = choose_verb(p, object);
    if (!v)
        return NULL;
    struct node *n = node_new(p, v, v->fields, sizeof *n, json, BITS_VERB);
    size_t before = p->complaints;
    const json_t *outer_object = p->object;
    const struct verb *outer_verb = p->verb;
    p->object = json;
    p->verb = v;
    cleanup_free char *what = xasprintf("\"%s\"", v->fields[0].name);
    parser_rows(p, what, v->fields, json, n);
    if (v == p->kinds->call)
        call_check(p, (struct call_node *)(void *)n);
    if (v->check && p->complaints == before)
        v->check(p, n);
    p->object = outer_object;
    p->verb = outer_verb;
    return parse_modifiers(p, v, json, n);
}

static struct node *parse_block(struct parser *p, const json_t *json)
{
    struct block *b = node_new(p, p->kinds->block, NULL, sizeof *b, json, BITS_VERB);
    size_t n = json_array_size(json);
    b->children = xcalloc(n + 1, sizeof(struct node *));
    for (size_t i = 0; i < n; i++) {
        parser_enter_index(p, i);
        struct node *child = parser_node(p, json_array_get(json, i));
        if (child)
            b->children[b->n++] = child;
        if (child && child->verb == p->kinds->call && i + 1 < n)
            parser_warn(p, NULL,
                        "this coroutine is never awaited: \"call\" makes it, \"await\" or "
                        "\"create_task\" runs it");
        parser_leave(p);
    }
    return &b->node;
}

struct node *parser_node(struct parser *p, const json_t *json)
{
    if (!json_is_array(json) && !json_is_object(json)) {
        parser_wrong(p, "a node (an object with a verb, or a list of nodes)", json);
        return NULL;
    }
    if (p->depth >= NODE_MAX_DEPTH) {
        parser_complain(p, NULL, "nodes are nested deeper than %d", NODE_MAX_DEPTH);
        return NULL;
    }
    p->depth++;
    struct node *n = json_is_array(json) ? parse_block(p, json) : parse_object(p, json);
    p->depth--;
    return n;
}
