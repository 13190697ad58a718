/* JavaScript's conversions, which JsonLogic is defined by. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "daemon/lang/logic.h"
#include "daemon/lang/number.h"
#include "proto/mem.h"

static size_t span_digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Length of the decimal literal at s (ECMA-262, StrDecimalLiteral without Infinity); 0: none. */
static size_t decimal_length(const char *s)
{
    size_t n = *s == '+' || *s == '-';
    size_t whole = span_digits(s + n), fraction = 0;
    n += whole;
    if (s[n] == '.') {
        fraction = span_digits(s + n + 1);
        n += whole + fraction > 0 ? 1 + fraction : 0;
    }
    if (whole + fraction == 0)
        return 0;
    if (s[n] == 'e' || s[n] == 'E') {
        size_t sign = s[n + 1] == '+' || s[n + 1] == '-';
        size_t exponent = span_digits(s + n + 1 + sign);
        n += exponent > 0 ? 1 + sign + exponent : 0;
    }
    return n;
}

static const char *skip_space(const char *s)
{
    return s + strspn(s, " \t\n\r\f\v");
}

/* The number that the text is (whole) or begins with. */
static double text_number(const char *s, size_t len, bool whole)
{
    const char *at = skip_space(s);
    if (whole && *at == '\0' && at == s + len)
        return 0;
    size_t n = decimal_length(at), hex = 0;
    if (whole && at[0] == '0' && (at[1] | 0x20) == 'x')
        hex = strspn(at + 2, "0123456789abcdefABCDEF");
    if (hex > 0)
        n = 2 + hex;
    if (n == 0 || (whole && skip_space(at + n) != s + len))
        return NAN;
    cleanup_free char *copy = xstrndup(at, n); /* strtod() takes more than JavaScript does */
    return strtod(copy, NULL);
}

double js_number(const struct value *v)
{
    if (!v)
        return NAN;
    switch (value_type(v)) {
    case VALUE_NULL:
        return 0;
    case VALUE_BOOL:
        return value_is_true(v);
    case VALUE_INT:
    case VALUE_REAL:
        return value_get_number(v);
    case VALUE_STRING:
    case VALUE_LIST: {
        struct buf text = {0};
        js_text(&text, v);
        double d = text_number(buf_cstr(&text), text.len, true);
        buf_release(&text);
        return d;
    }
    case VALUE_OBJECT:
    case VALUE_HANDLE:
        break;
    }
    return NAN;
}

double js_parse_float(const struct value *v)
{
    if (!v)
        return NAN;
    if (value_is_number(v))
        return value_get_number(v);
    struct buf text = {0};
    js_text(&text, v);
    double d = text_number(buf_cstr(&text), text.len, false);
    buf_release(&text);
    return d;
}

/* Objects give JSON, which is of more use than JavaScript's "[object Object]". */
void js_text(struct buf *out, const struct value *v)
{
    char text[NUMBER_TEXT_MAX];
    if (!v) {
        buf_addstr(out, "undefined");
    } else if (value_type(v) == VALUE_REAL) {
        number_text_js(value_get_number(v), text);
        buf_addstr(out, text);
    } else if (value_type(v) == VALUE_LIST) {
        for (size_t i = 0; i < value_count(v); i++) {
            const struct value *item = value_item(v, i);
            if (i > 0)
                buf_addch(out, ',');
            if (value_type(item) != VALUE_NULL)
                js_text(out, item);
        }
    } else {
        value_write_text(out, v);
    }
}

static bool is_primitive(const struct value *v)
{
    return value_type(v) <= VALUE_STRING;
}

bool js_strict_equal(const struct value *a, const struct value *b)
{
    if (!a || !b)
        return a == b;
    return value_equal(a, b);
}

static bool text_equal(const struct value *v, const struct value *string)
{
    struct buf text = {0};
    size_t len;
    const char *s = value_get_string(string, &len);
    js_text(&text, v);
    bool equal = text.len == len && (len == 0 || memcmp(text.data, s, len) == 0);
    buf_release(&text);
    return equal;
}

/* Where JavaScript compares objects by identity, values have none and are compared by content. */
bool js_loose_equal(const struct value *a, const struct value *b)
{
    bool a_null = !a || value_type(a) == VALUE_NULL, b_null = !b || value_type(b) == VALUE_NULL;
    if (a_null || b_null)
        return a_null && b_null;
    if (value_type(a) == value_type(b) || (value_is_number(a) && value_is_number(b)))
        return value_equal(a, b);
    if (!is_primitive(a) && !is_primitive(b))
        return false;
    if (!is_primitive(a) && value_type(b) == VALUE_STRING)
        return text_equal(a, b);
    if (!is_primitive(b) && value_type(a) == VALUE_STRING)
        return text_equal(b, a);
    return js_number(a) == js_number(b);
}

/* What compares as a string: strings, and what has no other primitive value. */
static bool compares_as_text(const struct value *v)
{
    return v && value_type(v) >= VALUE_STRING;
}

static bool text_less(const struct value *a, const struct value *b, bool or_equal)
{
    struct buf s = {0}, t = {0};
    js_text(&s, a);
    js_text(&t, b);
    size_t least = s.len < t.len ? s.len : t.len;
    int c = least ? memcmp(s.data, t.data, least) : 0;
    c = c ? c : (s.len > t.len) - (s.len < t.len);
    buf_release(&s);
    buf_release(&t);
    return or_equal ? c <= 0 : c < 0;
}

bool js_less(const struct value *a, const struct value *b, bool or_equal)
{
    if (compares_as_text(a) && compares_as_text(b))
        return text_less(a, b, or_equal);
    if (a && b && value_type(a) == VALUE_INT && value_type(b) == VALUE_INT)
        return or_equal ? value_get_int(a) <= value_get_int(b)
                        : value_get_int(a) < value_get_int(b);
    double x = js_number(a), y = js_number(b);
    return or_equal ? x <= y : x < y;
}
