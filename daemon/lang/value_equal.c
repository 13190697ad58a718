#include <math.h>
#include <string.h>

#include "daemon/lang/value.h"

/* Exact, where converting the integer to a double would round. */
static bool int_equals_real(int64_t i, double d)
{
    return d >= -0x1p63 && d < 0x1p63 && d == trunc(d) && (int64_t)d == i;
}

static bool numbers_equal(const struct value *a, const struct value *b)
{
    bool a_int = value_type(a) == VALUE_INT, b_int = value_type(b) == VALUE_INT;
    if (a_int && b_int)
        return value_get_int(a) == value_get_int(b);
    if (a_int)
        return int_equals_real(value_get_int(a), value_get_number(b));
    if (b_int)
        return int_equals_real(value_get_int(b), value_get_number(a));
    return value_get_number(a) == value_get_number(b);
}

static bool objects_equal(const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < value_count(a); i++) {
        const struct value_member *m = value_member(a, i);
        size_t len;
        const char *key = value_get_string(m->key, &len);
        const struct value *other = value_find_bytes(b, key, len);
        if (!other || !value_equal(m->value, other))
            return false;
    }
    return true;
}

bool value_equal(const struct value *a, const struct value *b)
{
    if (a == b)
        return true;
    if (value_is_number(a) && value_is_number(b))
        return numbers_equal(a, b);
    if (value_type(a) != value_type(b) || value_count(a) != value_count(b))
        return false;
    switch (value_type(a)) {
    case VALUE_NULL:
        return true;
    case VALUE_STRING: {
        size_t n, m;
        const char *s = value_get_string(a, &n), *t = value_get_string(b, &m);
        return n == m && memcmp(s, t, n) == 0;
    }
    case VALUE_LIST:
        for (size_t i = 0; i < value_count(a); i++)
            if (!value_equal(value_item(a, i), value_item(b, i)))
                return false;
        return true;
    case VALUE_OBJECT:
        return objects_equal(a, b);
    case VALUE_HANDLE:
        return value_handle_class(a) == value_handle_class(b) &&
               value_handle_object(a) == value_handle_object(b) &&
               value_handle_id(a) == value_handle_id(b);
    case VALUE_BOOL: /* true and false exist once */
    case VALUE_INT:
    case VALUE_REAL:
        break;
    }
    return false;
}
