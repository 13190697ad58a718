#include "daemon/task/given.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

/* What makes no task and takes no time. */
static bool is_preparation(const struct node *n)
{
    return n->verb == &node_set.verb || object_type_of(n->verb->name) < OBJECT_TYPES;
}

/* What a node does first that is more than preparation; NULL: nothing. */
static const struct node *first_deed(const struct node *n)
{
    const struct program_kinds *k = runtime_kinds();
    while (n && n->verb != k->retry) { /* that one may do it several times */
        const struct node *inner = n;
        if (n->verb == k->block) {
            const struct block *b = (const struct block *)(const void *)n;
            size_t i = 0;
            while (i < b->n && is_preparation(node_inner(b->children[i])))
                i++;
            inner = i < b->n ? b->children[i] : NULL;
        } else if (n->verb == k->as) {
            inner = ((const struct as_node *)(const void *)n)->child;
        } else if (n->verb == k->timeout) {
            inner = ((const struct timeout_node *)(const void *)n)->child;
        }
        if (inner == n)
            break;
        n = inner;
    }
    return n;
}

uint32_t runtime_gatherer(const struct program *program)
{
    enum { MAIN = 1, FIRST_TASK };
    const struct node *n = first_deed(program_main(program));
    if (n && gather_is_over_items(n))
        return MAIN;
    n = n && n->verb == &node_race.verb ? first_deed(race_first(n)) : NULL;
    return n && gather_is_over_items(n) ? FIRST_TASK : 0;
}

struct given *given_new(void)
{
    return xcalloc(1, sizeof(struct given));
}

void given_free(struct given *g)
{
    if (!g)
        return;
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&g->results, &at));)
        value_unref(s->value);
    map_release(&g->results);
    free(g);
}

void given_add(struct given *g, uint32_t task, const char *result, size_t len)
{
    struct value *v = load_end_value(result, len);
    if (v)
        value_unref(map_put(&g->results, task, v));
}

struct value *given_take(struct given *g, uint32_t task)
{
    return g ? map_remove(&g->results, task) : NULL;
}
