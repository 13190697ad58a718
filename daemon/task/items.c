#include "daemon/task/items.h"

#include <math.h>
#include <string.h>

#include "proto/mem.h"

struct queue_items *items_new(enum items_order order)
{
    struct queue_items *l = xcalloc(1, sizeof *l);
    l->order = order;
    l->next_seq = l->batches = 1;
    return l;
}

static void fresh_add(struct queue_items *l, struct queue_item *it)
{
    it->prev = l->fresh_last;
    it->next = NULL;
    *(l->fresh_last ? &l->fresh_last->next : &l->fresh_first) = it;
    l->fresh_last = it;
}

static void fresh_remove(struct queue_items *l, struct queue_item *it)
{
    *(it->prev ? &it->prev->next : &l->fresh_first) = it->next;
    *(it->next ? &it->next->prev : &l->fresh_last) = it->prev;
}

static void row_gone(struct queue_items *l, uint64_t seq)
{
    struct item_range *last = l->n_gone ? &l->gone[l->n_gone - 1] : NULL;
    if (last && seq == last->last + 1) {
        last->last = seq;
        return;
    }
    if (last && seq + 1 == last->first) {
        last->first = seq;
        return;
    }
    if (l->n_gone == l->cap_gone)
        l->gone = xgrow(l->gone, &l->cap_gone, l->n_gone + 1, sizeof *l->gone);
    l->gone[l->n_gone++] = (struct item_range){seq, seq};
}

struct value *items_end(struct queue_items *l, struct queue_item *it)
{
    struct value *v = it->value;
    if (it->batch)
        row_gone(l, it->seq);
    else
        fresh_remove(l, it);
    free(it);
    return v;
}

static struct queue_item **at(const struct queue_items *l, size_t i)
{
    return &l->all[(l->head + i) & (l->cap - 1)];
}

void items_clear(struct queue_items *l)
{
    size_t n = l->n_ring, head = l->head, n_back = l->n_back;
    struct queue_item **all = steal(&l->all), **back = steal(&l->back);
    size_t cap = l->cap;
    l->n = l->n_ring = l->head = l->cap = l->bytes = 0;
    l->n_back = l->cap_back = 0;
    for (size_t i = 0; i < n; i++)
        value_unref(items_end(l, all[(head + i) & (cap - 1)]));
    for (size_t i = 0; i < n_back; i++)
        value_unref(items_end(l, back[i]));
    free(all);
    free(back);
}

void items_free(struct queue_items *l)
{
    if (!l)
        return;
    items_clear(l);
    free(l->gone);
    free(l);
}

static void reserve(struct queue_items *l)
{
    if (l->n_ring < l->cap)
        return;
    size_t cap = l->cap ? l->cap * 2 : 8;
    struct queue_item **all = xmalloc(cap * sizeof *all);
    for (size_t i = 0; i < l->n_ring; i++)
        all[i] = *at(l, i);
    free(l->all);
    l->all = all;
    l->cap = cap;
    l->head = 0;
}

static int compare_int_real(int64_t i, double d)
{
    if (d >= 0x1p63)
        return -1;
    if (d < -0x1p63)
        return 1;
    int64_t whole = (int64_t)d;
    if (i != whole)
        return i < whole ? -1 : 1;
    double rest = d - trunc(d);
    return rest > 0 ? -1 : rest < 0;
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    bool a_real = value_type(a) == VALUE_REAL, b_real = value_type(b) == VALUE_REAL;
    if (a_real && b_real) {
        double x = value_get_number(a), y = value_get_number(b);
        return x < y ? -1 : x > y;
    }
    if (a_real)
        return -compare_int_real(value_is_true(b) ? 1 : value_get_int(b), value_get_number(a));
    if (b_real)
        return compare_int_real(value_is_true(a) ? 1 : value_get_int(a), value_get_number(b));
    int64_t x = value_is_true(a) ? 1 : value_get_int(a);
    int64_t y = value_is_true(b) ? 1 : value_get_int(b);
    return x < y ? -1 : x > y;
}

static bool is_number(const struct value *v)
{
    return value_is_number(v) || value_type(v) == VALUE_BOOL;
}

static bool equal(const struct value *a, const struct value *b)
{
    return is_number(a) && is_number(b) ? compare_numbers(a, b) == 0 : value_equal(a, b);
}

bool value_less(const struct value *a, const struct value *b, bool *ok, struct value **error)
{
    *ok = true;
    /* Depth is bounded by VALUE_MAX_DEPTH; lists in lists are followed here. */
    while (value_type(a) == VALUE_LIST && value_type(b) == VALUE_LIST) {
        size_t n = value_count(a), m = value_count(b), i = 0;
        while (i < n && i < m && equal(value_item(a, i), value_item(b, i)))
            i++;
        if (i == n || i == m)
            return n < m;
        a = value_item(a, i);
        b = value_item(b, i);
    }
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b) < 0;
    if (value_type(a) == VALUE_STRING && value_type(b) == VALUE_STRING) {
        size_t n, m;
        const char *s = value_get_string(a, &n), *u = value_get_string(b, &m);
        int c = memcmp(s, u, n < m ? n : m); /* UTF-8 sorts as code points do */
        return c != 0 ? c < 0 : n < m;
    }
    *ok = false;
    if (error)
        *error = error_new("TypeError", "'<' not supported between instances of '%s' and '%s'",
                           value_python_type(a), value_python_type(b));
    return false;
}

/* Equal ones in the order in which they were put. */
static bool before(const struct queue_item *a, const struct queue_item *b, bool *ok,
                   struct value **error)
{
    if (value_less(a->value, b->value, ok, error))
        return true;
    if (!*ok || value_less(b->value, a->value, ok, error) || !*ok)
        return false;
    return a->seq < b->seq;
}

/* Without error, what can't be compared stays where it is. */
static bool heap_up(struct queue_item **heap, size_t i, struct queue_item *it, struct value **error)
{
    size_t begin = i;
    bool ok = true;
    while (i > 0 && before(it, heap[(i - 1) / 2], &ok, error)) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    if (ok || !error) {
        heap[i] = it;
        return true;
    }
    /* Nothing has happened: back along the way. */
    size_t way[64], n = 0;
    for (size_t k = begin; k > i; k = (k - 1) / 2)
        way[n++] = k;
    for (size_t k = n; k-- > 0;)
        heap[(way[k] - 1) / 2] = heap[way[k]];
    return false;
}

/* Where the last one goes when the first is taken, in way[0..n): the path of smaller children.
 * False: *error. */
static bool heap_path(struct queue_item **heap, size_t n, size_t *way, size_t *steps,
                      struct value **error)
{
    const struct queue_item *last = heap[n];
    bool ok = true;
    size_t i = 0;
    *steps = 0;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(heap[child + 1], heap[child], &ok, error))
            child++;
        if (!ok || !before(heap[child], last, &ok, error))
            break;
        way[(*steps)++] = child;
    }
    return ok;
}

static struct queue_item *heap_take(struct queue_items *l, struct value **error)
{
    size_t way[64], steps, i = 0;
    if (!heap_path(l->all, l->n_ring - 1, way, &steps, error))
        return NULL;
    struct queue_item *first = l->all[0], *last = l->all[--l->n_ring];
    for (size_t k = 0; k < steps; k++) {
        l->all[i] = l->all[way[k]];
        i = way[k];
    }
    if (l->n_ring > 0)
        l->all[i] = last;
    return first;
}

static bool add(struct queue_items *l, struct queue_item *it, struct value **error)
{
    reserve(l);
    if (l->order != ITEMS_PRIORITY)
        *at(l, l->n_ring) = it;
    else if (!heap_up(l->all, l->n_ring, it, error))
        return false;
    l->n_ring++;
    l->n++;
    l->bytes += value_bytes(it->value);
    return true;
}

bool items_put(struct queue_items *l, struct value *v, struct value **error)
{
    struct queue_item *it = xcalloc(1, sizeof *it);
    it->value = v;
    it->seq = l->next_seq;
    if (!add(l, it, error)) {
        free(it);
        return false;
    }
    l->next_seq++;
    value_ref(v);
    fresh_add(l, it);
    return true;
}

void items_load(struct queue_items *l, uint64_t seq, struct value *v)
{
    struct queue_item *it = xcalloc(1, sizeof *it);
    it->value = v;
    it->seq = seq;
    it->batch = l->batches;
    add(l, it, NULL);
}

/* ---- what was given back ---- */

/* Whether a is taken before b. */
static bool comes_first(const struct queue_items *l, const struct queue_item *a,
                        const struct queue_item *b)
{
    return l->order == ITEMS_FIFO ? a->seq < b->seq : a->seq > b->seq;
}

static void back_add(struct queue_items *l, struct queue_item *it)
{
    if (l->n_back == l->cap_back)
        l->back = xgrow(l->back, &l->cap_back, l->n_back + 1, sizeof(struct queue_item *));
    size_t i = l->n_back++;
    for (; i > 0 && comes_first(l, it, l->back[(i - 1) / 2]); i = (i - 1) / 2)
        l->back[i] = l->back[(i - 1) / 2];
    l->back[i] = it;
}

static struct queue_item *back_take(struct queue_items *l)
{
    struct queue_item *first = l->back[0], *last = l->back[--l->n_back];
    size_t i = 0, n = l->n_back;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_first(l, l->back[child + 1], l->back[child]))
            child++;
        if (!comes_first(l, l->back[child], last))
            break;
        l->back[i] = l->back[child];
    }
    if (n > 0)
        l->back[i] = last;
    return first;
}

static struct queue_item *ring_take(struct queue_items *l)
{
    if (l->n_ring == 0)
        return back_take(l);
    struct queue_item *it = *at(l, l->order == ITEMS_FIFO ? 0 : l->n_ring - 1);
    if (l->n_back > 0 && comes_first(l, l->back[0], it))
        return back_take(l);
    if (l->order == ITEMS_FIFO)
        l->head = (l->head + 1) & (l->cap - 1);
    l->n_ring--;
    return it;
}

struct queue_item *items_borrow(struct queue_items *l, struct value **error)
{
    struct queue_item *it = l->order == ITEMS_PRIORITY ? heap_take(l, error) : ring_take(l);
    if (!it)
        return NULL;
    l->n--;
    l->bytes -= value_bytes(it->value);
    return it;
}

void items_give_back(struct queue_items *l, struct queue_item *it)
{
    if (l->order == ITEMS_PRIORITY) {
        add(l, it, NULL);
        return;
    }
    back_add(l, it);
    l->n++;
    l->bytes += value_bytes(it->value);
}

struct value *items_take(struct queue_items *l, struct value **error)
{
    struct queue_item *it = items_borrow(l, error);
    return it ? items_end(l, it) : NULL;
}

void items_collected(struct queue_items *l)
{
    l->batches++;
    while (l->fresh_first) {
        struct queue_item *it = l->fresh_first;
        fresh_remove(l, it);
        it->batch = l->batches;
    }
    l->n_gone = 0;
}

bool item_is_old(const struct queue_items *l, const struct queue_item *it)
{
    return it->batch && it->batch < l->batches;
}
