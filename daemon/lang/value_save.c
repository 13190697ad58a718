#include "daemon/lang/utf8.h"
#include "daemon/lang/value.h"
#include "proto/mem.h"

/* The first byte of a saved value. Numbers are for ever: rows outlive the program. */
enum tag {
    TAG_NULL = 0,
    TAG_FALSE = 1,
    TAG_TRUE = 2,
    TAG_INT = 3,
    TAG_REAL = 4,
    TAG_STRING = 5,
    TAG_LIST = 6,
    TAG_OBJECT = 7,
    TAG_HANDLE = 8,
};

static void save_string(struct buf *out, const struct value *v)
{
    size_t len;
    const char *s = value_get_string(v, &len);
    put_bytes(out, s, len);
}

void value_save(struct buf *out, const struct value *v)
{
    switch (value_type(v)) {
    case VALUE_NULL:
        put_u8(out, TAG_NULL);
        break;
    case VALUE_BOOL:
        put_u8(out, value_is_true(v) ? TAG_TRUE : TAG_FALSE);
        break;
    case VALUE_INT:
        put_u8(out, TAG_INT);
        put_svarint(out, value_get_int(v));
        break;
    case VALUE_REAL:
        put_u8(out, TAG_REAL);
        put_f64(out, value_get_number(v));
        break;
    case VALUE_STRING:
        put_u8(out, TAG_STRING);
        save_string(out, v);
        break;
    case VALUE_LIST:
        put_u8(out, TAG_LIST);
        put_varint(out, value_count(v));
        for (size_t i = 0; i < value_count(v); i++)
            value_save(out, value_item(v, i));
        break;
    case VALUE_OBJECT:
        put_u8(out, TAG_OBJECT);
        put_varint(out, value_count(v));
        for (size_t i = 0; i < value_count(v); i++) {
            save_string(out, value_member(v, i)->key);
            value_save(out, value_member(v, i)->value);
        }
        break;
    case VALUE_HANDLE:
        put_u8(out, TAG_HANDLE);
        put_string(out, value_handle_class(v)->kind);
        put_varint(out, value_handle_id(v));
        break;
    }
}

struct loader {
    struct reader *r;
    struct value *(*resolve)(void *arg, const char *kind, uint64_t id);
    void *arg;
};

static struct value *load(struct loader *l, unsigned depth);

static struct value *load_string(struct loader *l)
{
    size_t len;
    const char *s = get_bytes(l->r, &len);
    if (l->r->failed || len > VALUE_MAX_BYTES || !utf8_valid(s, len))
        return NULL;
    return value_string(s, len);
}

/* Each item takes a byte at least, so a count beyond the bytes that are left is damage, found
 * before memory is taken for it. */
static bool load_count(struct loader *l, size_t *n)
{
    uint64_t count = get_varint(l->r);
    if (l->r->failed || count > (size_t)(l->r->end - l->r->p) || count > VALUE_MAX_BYTES)
        return false;
    *n = (size_t)count;
    return true;
}

static struct value *load_list(struct loader *l, unsigned depth)
{
    size_t n;
    if (!load_count(l, &n))
        return NULL;
    cleanup_free struct value **items = xmalloc((n + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        items[i] = load(l, depth + 1);
        if (!items[i]) {
            while (i > 0)
                value_unref(items[--i]);
            return NULL;
        }
    }
    return value_list(items, n);
}

static struct value *load_object(struct loader *l, unsigned depth)
{
    size_t n;
    if (!load_count(l, &n))
        return NULL;
    cleanup_free struct value_member *m = xcalloc(n + 1, sizeof *m);
    for (size_t i = 0; i < n; i++) {
        m[i].key = load_string(l);
        m[i].value = m[i].key ? load(l, depth + 1) : NULL;
        if (!m[i].value) {
            for (size_t j = 0; j <= i; j++) {
                value_unref(m[j].key);
                value_unref(m[j].value);
            }
            return NULL;
        }
    }
    return value_object(m, n);
}

static struct value *load_handle(struct loader *l)
{
    cleanup_free char *kind = get_string(l->r);
    uint64_t id = get_varint(l->r);
    return l->r->failed || !l->resolve ? NULL : l->resolve(l->arg, kind, id);
}

static struct value *load(struct loader *l, unsigned depth)
{
    enum tag tag = (enum tag)get_u8(l->r);
    if (l->r->failed || depth > VALUE_MAX_DEPTH)
        return NULL;
    switch (tag) {
    case TAG_NULL:
        return value_null();
    case TAG_FALSE:
    case TAG_TRUE:
        return value_bool(tag == TAG_TRUE);
    case TAG_INT: {
        int64_t i = get_svarint(l->r);
        return l->r->failed ? NULL : value_int(i);
    }
    case TAG_REAL: {
        double d = get_f64(l->r);
        return l->r->failed ? NULL : value_real(d);
    }
    case TAG_STRING:
        return load_string(l);
    case TAG_LIST:
        return load_list(l, depth);
    case TAG_OBJECT:
        return load_object(l, depth);
    case TAG_HANDLE:
        return load_handle(l);
    }
    return NULL;
}

struct value *value_load(struct reader *r,
                         struct value *(*resolve)(void *arg, const char *kind, uint64_t id),
                         void *arg)
{
    struct loader l = {r, resolve, arg};
    struct value *v = load(&l, 0);
    if (!v)
        r->failed = true;
    return v;
}

struct value *value_copy(const struct value *v)
{
    struct buf data = {0};
    value_save(&data, v);
    struct reader r = READER(data.data, data.len);
    struct value *copy = value_load(&r, NULL, NULL);
    buf_release(&data);
    return copy;
}
