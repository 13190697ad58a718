#include "daemon/lang/value_account.h"

#include <math.h>
#include <string.h>

#include "proto/log.h"
#include "proto/mem.h"

/* The common head; what follows depends on the type. */
struct value {
    uint32_t refs;
    uint8_t type;
    uint8_t depth;
    bool handles; /* it is one, or has some inside */
    struct value_account *account;
};
struct number {
    struct value head;
    union {
        int64_t i;
        double d;
    };
};
struct string {
    struct value head;
    uint32_t len;
    char s[];
};
struct list {
    struct value head;
    uint32_t n, bytes;
    uint32_t charge; /* its bytes of the account */
    struct value *items[];
};
/* With more than INDEX_FROM members, n positions in the order of the keys follow the members. */
struct object {
    struct value head;
    uint32_t n, bytes;
    uint32_t charge;
    struct value_member members[];
};
struct handle {
    struct value head;
    const struct handle_class *class;
    void *object;
    uint64_t id;
};

enum {
    INDEX_FROM = 8,
    /* What value_bytes() says of one: limits stay where they are whatever else is in the structs.
     */
    HEAD_BYTES = 8,
    NUMBER_BYTES = 16,
    STRING_BYTES = 12,
    LIST_BYTES = 16,
    OBJECT_BYTES = 16,
    HANDLE_BYTES = 32,
    HANDLE_CHARGE = 256, /* with a task that ended, a coroutine, an event: whatever it keeps */
};

/* Values that are never counted nor freed: they may be used by several threads. */
#define IMMORTAL UINT32_MAX
static struct value the_null = {IMMORTAL, VALUE_NULL, 0, false, NULL};
static struct value the_true = {IMMORTAL, VALUE_BOOL, 0, false, NULL};
static struct value the_false = {IMMORTAL, VALUE_BOOL, 0, false, NULL};

/* Integers but the largest are no memory: the pointer itself is the number, and odd. */
static bool is_small(const struct value *v)
{
    return (uintptr_t)v & 1;
}

#define AS(kind, v)       ((struct kind *)(void *)(v))
#define AS_CONST(kind, v) ((const struct kind *)(const void *)(v))

struct value *value_ref(struct value *v)
{
    if (!is_small(v) && v->refs != IMMORTAL)
        v->refs++;
    return v;
}

/* Goes down at most VALUE_MAX_DEPTH levels: deeper values are never made. */
void value_unref(struct value *v)
{
    if (!v || is_small(v) || v->refs == IMMORTAL || --v->refs > 0)
        return;
    size_t charge = account_chunk(sizeof(struct number));
    if (v->type <= VALUE_REAL) {
        ; /* a number */
    } else if (v->type == VALUE_STRING) {
        charge = account_chunk(sizeof(struct string) + AS(string, v)->len + 1);
    } else if (v->type == VALUE_LIST) {
        struct list *l = AS(list, v);
        charge = l->charge;
        for (uint32_t i = 0; i < l->n; i++)
            value_unref(l->items[i]);
    } else if (v->type == VALUE_OBJECT) {
        struct object *o = AS(object, v);
        charge = o->charge;
        for (uint32_t i = 0; i < o->n; i++) {
            value_unref(o->members[i].key);
            value_unref(o->members[i].value);
        }
    } else if (v->type == VALUE_HANDLE) {
        struct handle *h = AS(handle, v);
        charge = HANDLE_CHARGE;
        h->class->release(h->object);
    }
    if (v->account)
        account_remove(v->account, charge);
    free(v);
}

static void *value_new(enum value_type type, size_t size, size_t charge)
{
    struct value *v = xmalloc(size);
    *v = (struct value){1, (uint8_t)type, 0, type == VALUE_HANDLE, value_account_now};
    account_add(v->account, charge);
    return v;
}

struct value *value_null(void)
{
    return &the_null;
}

struct value *value_bool(bool b)
{
    return b ? &the_true : &the_false;
}

struct value *value_int(int64_t i)
{
    if (i >= INTPTR_MIN / 2 && i <= INTPTR_MAX / 2)
        return (struct value *)((uintptr_t)i << 1 | 1);
    struct number *n = value_new(VALUE_INT, sizeof *n, account_chunk(sizeof *n));
    n->i = i;
    return &n->head;
}

struct value *value_real(double d)
{
    if (!isfinite(d))
        return &the_null;
    struct number *n = value_new(VALUE_REAL, sizeof *n, account_chunk(sizeof *n));
    n->d = d;
    return &n->head;
}

struct value *value_string(const char *s, size_t len)
{
    if (len >= UINT32_MAX)
        fatal("a string of %zu bytes", len);
    size_t size = sizeof(struct string) + len + 1;
    struct string *str = value_new(VALUE_STRING, size, account_chunk(size));
    str->len = (uint32_t)len;
    if (len > 0)
        memcpy(str->s, s, len);
    str->s[len] = '\0';
    return &str->head;
}

struct value *value_text(const char *s)
{
    return value_string(s, strlen(s));
}

struct value *value_handle(const struct handle_class *c, void *object, uint64_t id)
{
    struct handle *h = value_new(VALUE_HANDLE, sizeof *h, HANDLE_CHARGE);
    h->class = c;
    h->object = object;
    h->id = id;
    return &h->head;
}

struct value *value_list(struct value *const *items, size_t n)
{
    size_t bytes = LIST_BYTES + n * sizeof *items, shared = 0;
    unsigned depth = 0;
    bool handles = false;
    for (size_t i = 0; i < n; i++) {
        bytes += value_bytes(items[i]);
        shared += value_shared_bytes(items[i]);
        depth = value_depth(items[i]) > depth ? value_depth(items[i]) : depth;
        handles |= value_has_handles(items[i]);
    }
    if (bytes > VALUE_MAX_BYTES || depth >= VALUE_MAX_DEPTH) {
        for (size_t i = 0; i < n; i++)
            value_unref(items[i]);
        return NULL;
    }
    size_t size = sizeof(struct list) + n * sizeof *items;
    struct list *l = value_new(VALUE_LIST, size, account_chunk(size) + shared);
    l->charge = (uint32_t)(account_chunk(size) + shared);
    l->n = (uint32_t)n;
    l->bytes = (uint32_t)bytes;
    l->head.depth = (uint8_t)(depth + 1);
    l->head.handles = handles;
    if (n > 0)
        memcpy(l->items, items, n * sizeof *items);
    return &l->head;
}

static int compare_key(const struct value *key, const char *s, size_t len)
{
    const struct string *k = AS_CONST(string, key);
    int c = memcmp(k->s, s, k->len < len ? k->len : len);
    return c ? c : (k->len > len) - (k->len < len);
}

static int compare_members(const void *a, const void *b, void *members)
{
    const uint32_t *i = a, *j = b;
    const struct value_member *m = members;
    const struct string *k = AS_CONST(string, m[*j].key);
    int c = compare_key(m[*i].key, k->s, k->len);
    return c ? c : (*i > *j) - (*i < *j);
}

static uint32_t *object_index(struct object *o)
{
    return (uint32_t *)(void *)(o->members + o->n);
}

static void sort_index(uint32_t *index, struct value_member *members, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        index[i] = i;
    qsort_r(index, n, sizeof *index, compare_members, members);
}

/* Of members with equal keys the first keeps its place and gets the last one's value; the others
 * get a NULL key. True when there were any. index is sorted. */
static bool merge_equal_keys(struct value_member *m, const uint32_t *index, uint32_t n)
{
    bool any = false;
    for (uint32_t i = 0, first = 0; i + 1 < n; i++) {
        const struct string *k = AS_CONST(string, m[index[first]].key);
        struct value_member *next = &m[index[i + 1]];
        if (compare_key(next->key, k->s, k->len) != 0) {
            first = i + 1;
            continue;
        }
        value_unref(m[index[first]].value);
        m[index[first]].value = next->value;
        value_unref(next->key);
        next->key = NULL;
        any = true;
    }
    return any;
}

static void release_members(const struct value_member *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        value_unref(m[i].key);
        value_unref(m[i].value);
    }
}

/* Fills in count, size and depth; NULL (and all is released) when beyond the limits. */
static struct value *object_finish(struct object *o, uint32_t n)
{
    size_t bytes = OBJECT_BYTES + n * sizeof *o->members, shared = 0;
    unsigned depth = 0;
    bool handles = false;
    for (uint32_t i = 0; i < n; i++) {
        const struct value *v = o->members[i].value;
        handles |= value_has_handles(v);
        bytes += value_bytes(o->members[i].key) + value_bytes(v);
        shared += value_shared_bytes(o->members[i].key) + value_shared_bytes(v);
        depth = value_depth(v) > depth ? value_depth(v) : depth;
    }
    if (bytes > VALUE_MAX_BYTES || depth >= VALUE_MAX_DEPTH) {
        o->n = n;
        value_unref(&o->head);
        return NULL;
    }
    account_add(o->head.account, shared);
    o->charge += (uint32_t)shared;
    o->n = n;
    o->bytes = (uint32_t)bytes;
    o->head.depth = (uint8_t)(depth + 1);
    o->head.handles = handles;
    if (n > INDEX_FROM)
        sort_index(object_index(o), o->members, n);
    return &o->head;
}

struct value *value_object(const struct value_member *members, size_t n)
{
    if (n > VALUE_MAX_BYTES / sizeof *members) {
        release_members(members, n);
        return NULL;
    }
    uint32_t count = (uint32_t)n, kept = 0;
    size_t size = sizeof(struct object) + n * (sizeof *members + sizeof(uint32_t));
    struct object *o = value_new(VALUE_OBJECT, size, account_chunk(size));
    o->charge = (uint32_t)account_chunk(size);
    if (n > 0)
        memcpy(o->members, members, n * sizeof *members);
    o->n = count;
    uint32_t *index = object_index(o);
    sort_index(index, o->members, count);
    if (!merge_equal_keys(o->members, index, count))
        return object_finish(o, count);
    for (uint32_t i = 0; i < count; i++)
        if (o->members[i].key)
            o->members[kept++] = o->members[i];
    return object_finish(o, kept);
}

struct value *value_with(struct value *object, const char *key, struct value *v)
{
    const struct object *o = AS_CONST(object, object);
    size_t n = o->n;
    cleanup_free struct value_member *m = xmalloc((n + 1) * sizeof *m);
    for (size_t i = 0; i < n; i++)
        m[i] = (struct value_member){value_ref(o->members[i].key), value_ref(o->members[i].value)};
    m[n] = (struct value_member){value_text(key), value_ref(v)};
    return value_object(m, n + 1);
}

enum value_type value_type(const struct value *v)
{
    return is_small(v) ? VALUE_INT : (enum value_type)v->type;
}

bool value_is_true(const struct value *v)
{
    return v == &the_true;
}

int64_t value_get_int(const struct value *v)
{
    if (is_small(v))
        return (intptr_t)v >> 1;
    return v->type == VALUE_INT ? AS_CONST(number, v)->i : 0;
}

double value_get_number(const struct value *v)
{
    if (value_type(v) == VALUE_REAL)
        return AS_CONST(number, v)->d;
    return (double)value_get_int(v);
}

bool value_is_number(const struct value *v)
{
    return value_type(v) == VALUE_INT || value_type(v) == VALUE_REAL;
}

const char *value_get_string(const struct value *v, size_t *len)
{
    bool is = value_type(v) == VALUE_STRING;
    if (len)
        *len = is ? AS_CONST(string, v)->len : 0;
    return is ? AS_CONST(string, v)->s : "";
}

size_t value_count(const struct value *v)
{
    if (value_type(v) == VALUE_LIST)
        return AS_CONST(list, v)->n;
    return value_type(v) == VALUE_OBJECT ? AS_CONST(object, v)->n : 0;
}

struct value *value_item(const struct value *v, size_t i)
{
    if (value_type(v) != VALUE_LIST || i >= AS_CONST(list, v)->n)
        return NULL;
    return AS_CONST(list, v)->items[i];
}

const struct value_member *value_member(const struct value *v, size_t i)
{
    if (value_type(v) != VALUE_OBJECT || i >= AS_CONST(object, v)->n)
        return NULL;
    return &AS_CONST(object, v)->members[i];
}

struct value *value_find_bytes(const struct value *v, const char *key, size_t len)
{
    if (value_type(v) != VALUE_OBJECT)
        return NULL;
    const struct object *o = AS_CONST(object, v);
    if (o->n <= INDEX_FROM) {
        for (uint32_t i = 0; i < o->n; i++)
            if (compare_key(o->members[i].key, key, len) == 0)
                return o->members[i].value;
        return NULL;
    }
    const uint32_t *index = (const uint32_t *)(const void *)(o->members + o->n);
    for (uint32_t low = 0, high = o->n; low < high;) {
        uint32_t mid = low + (high - low) / 2;
        int c = compare_key(o->members[index[mid]].key, key, len);
        if (c == 0)
            return o->members[index[mid]].value;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

struct value *value_find(const struct value *v, const char *key)
{
    return value_find_bytes(v, key, strlen(key));
}

bool value_has_handles(const struct value *v)
{
    return !is_small(v) && v->handles;
}

const struct handle_class *value_handle_class(const struct value *v)
{
    return value_type(v) == VALUE_HANDLE ? AS_CONST(handle, v)->class : NULL;
}

void *value_handle_object(const struct value *v)
{
    return value_type(v) == VALUE_HANDLE ? AS_CONST(handle, v)->object : NULL;
}

uint64_t value_handle_id(const struct value *v)
{
    return value_type(v) == VALUE_HANDLE ? AS_CONST(handle, v)->id : 0;
}

unsigned value_depth(const struct value *v)
{
    return is_small(v) ? 0 : v->depth;
}

size_t value_bytes(const struct value *v)
{
    switch (value_type(v)) {
    case VALUE_NULL:
    case VALUE_BOOL:
        break;
    case VALUE_INT:
    case VALUE_REAL:
        return NUMBER_BYTES;
    case VALUE_STRING:
        return STRING_BYTES + AS_CONST(string, v)->len;
    case VALUE_LIST:
        return AS_CONST(list, v)->bytes;
    case VALUE_OBJECT:
        return AS_CONST(object, v)->bytes;
    case VALUE_HANDLE:
        return HANDLE_BYTES;
    }
    return HEAD_BYTES;
}

size_t value_shared_bytes(const struct value *v)
{
    return !is_small(v) && v->refs > 1 && v->refs != IMMORTAL ? value_bytes(v) : 0;
}
