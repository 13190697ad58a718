#include "proto/json_scan.h"

#include <stdint.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/mem.h"

struct scan {
    const char *start, *p, *end;
};

static void skip_space(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool is_digit(const struct scan *s)
{
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static bool skip_digits(struct scan *s)
{
    if (!is_digit(s))
        return false;
    while (is_digit(s))
        s->p++;
    return true;
}

static bool skip_number(struct scan *s)
{
    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!skip_digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return skip_digits(s);
    }
    return true;
}

static bool skip_escape(struct scan *s)
{
    if (++s->p >= s->end)
        return false;
    if (*s->p != 'u')
        return *s->p && strchr("\"\\/bfnrt", *s->p) && s->p++;
    for (int i = 0; i < 4; i++)
        if (++s->p >= s->end || !*s->p || !strchr("0123456789abcdefABCDEF", *s->p))
            return false;
    s->p++;
    return true;
}

static bool skip_string(struct scan *s)
{
    for (s->p++; s->p < s->end;) {
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return true;
        }
        if (c < 0x20)
            return false;
        if (c != '\\')
            s->p++;
        else if (!skip_escape(s))
            return false;
    }
    return false;
}

static bool skip_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool skip_scalar(struct scan *s)
{
    switch (*s->p) {
    case '"':
        return skip_string(s);
    case 't':
        return skip_word(s, "true");
    case 'f':
        return skip_word(s, "false");
    case 'n':
        return skip_word(s, "null");
    default:
        return skip_number(s);
    }
}

static bool skip_key(struct scan *s)
{
    skip_space(s);
    if (s->p >= s->end || *s->p != '"' || !skip_string(s))
        return false;
    skip_space(s);
    if (s->p >= s->end || *s->p != ':')
        return false;
    s->p++;
    return true;
}

/* What is open, as a bit per level: 1 is an object. */
struct levels {
    unsigned depth;
    uint64_t is_object[JSON_SCAN_MAX_DEPTH / 64];
};

static bool inside_object(const struct levels *l)
{
    unsigned i = l->depth - 1;
    return l->is_object[i / 64] >> (i % 64) & 1;
}

static void push(struct levels *l, bool object)
{
    unsigned i = l->depth++;
    uint64_t bit = (uint64_t)1 << (i % 64);
    l->is_object[i / 64] = object ? l->is_object[i / 64] | bit : l->is_object[i / 64] & ~bit;
}

/* Behind a value: goes to the start of the next one, closing what ends. *done: nothing is open. */
static bool after_value(struct scan *s, struct levels *l, bool *done)
{
    while (l->depth > 0) {
        skip_space(s);
        if (s->p >= s->end)
            return false;
        bool object = inside_object(l);
        if (*s->p == ',') {
            s->p++;
            return !object || skip_key(s);
        }
        if (*s->p != (object ? '}' : ']'))
            return false;
        s->p++;
        l->depth--;
    }
    *done = true;
    return true;
}

/* Opens an object or array; *empty when it is closed at once. */
static bool open_container(struct scan *s, struct levels *l, bool *empty)
{
    bool object = *s->p++ == '{';
    push(l, object);
    skip_space(s);
    *empty = s->p < s->end && *s->p == (object ? '}' : ']');
    return *empty || !object || skip_key(s);
}

static bool fail(const struct scan *s, struct err *err)
{
    size_t at = (size_t)(s->p - s->start);
    if (s->p >= s->end)
        return err_set(err, ERR_PARSE, "not JSON: it ends in the middle of a value");
    return err_set(err, ERR_PARSE, "not JSON: unexpected byte 0x%02x at offset %zu",
                   (unsigned char)*s->p, at);
}

/* Goes over one value. */
static bool skip_value(struct scan *s, unsigned max_depth, struct err *err)
{
    struct levels l = {0};
    bool done = false;
    while (!done) {
        bool empty = false;
        skip_space(s);
        if (s->p >= s->end)
            return fail(s, err);
        if (*s->p == '{' || *s->p == '[') {
            if (l.depth >= max_depth)
                return err_set(err, ERR_TOO_LARGE, "nested deeper than %u at offset %zu", max_depth,
                               (size_t)(s->p - s->start));
            if (!open_container(s, &l, &empty))
                return fail(s, err);
            if (!empty)
                continue;
        } else if (!skip_scalar(s)) {
            return fail(s, err);
        }
        if (!after_value(s, &l, &done))
            return fail(s, err);
    }
    return true;
}

bool json_scan_check(const char *text, size_t len, unsigned max_depth, struct err *err)
{
    struct scan s = {text, text, text + len};
    if (max_depth > JSON_SCAN_MAX_DEPTH)
        max_depth = JSON_SCAN_MAX_DEPTH;
    if (!skip_value(&s, max_depth, err))
        return false;
    skip_space(&s);
    return s.p == s.end || fail(&s, err);
}

char json_scan_first(struct slice value)
{
    struct scan s = {value.p, value.p, value.p + value.len};
    if (!value.p)
        return '\0';
    skip_space(&s);
    return s.p < s.end ? *s.p : '\0';
}

bool json_scan_next(struct slice container, size_t *at, struct slice *key, struct slice *value)
{
    struct scan s = {container.p, container.p + *at, container.p + container.len};
    skip_space(&s);
    if (s.p >= s.end)
        return false;
    bool object = json_scan_first(container) == '{';
    s.p++; /* the opening bracket, or the comma */
    skip_space(&s);
    if (s.p >= s.end || *s.p == '}' || *s.p == ']')
        return false;
    *key = (struct slice){s.p, 0};
    if (object) {
        skip_string(&s);
        key->len = (size_t)(s.p - key->p);
        skip_space(&s);
        s.p++; /* : */
        skip_space(&s);
    }
    value->p = s.p;
    skip_value(&s, JSON_SCAN_MAX_DEPTH, NULL);
    value->len = (size_t)(s.p - value->p);
    skip_space(&s);
    if (s.p < s.end && *s.p != ',')
        s.p = s.end; /* the closing bracket */
    *at = (size_t)(s.p - container.p);
    return true;
}

struct slice json_scan_member(struct slice object, const char *key)
{
    struct slice found = {0}, k, v;
    size_t at = 0, n = strlen(key);
    if (json_scan_first(object) != '{')
        return found;
    while (json_scan_next(object, &at, &k, &v))
        if (k.len == n + 2 && memcmp(k.p + 1, key, n) == 0)
            found = v;
    return found;
}

struct slice json_scan_item(struct slice array, size_t i)
{
    struct slice k, v;
    size_t at = 0;
    if (json_scan_first(array) == '[')
        for (; json_scan_next(array, &at, &k, &v); i--)
            if (i == 0)
                return v;
    return (struct slice){0};
}
