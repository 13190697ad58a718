/* JsonLogic's operators on values that are already there, and the table of all. */
#include <math.h>
#include <string.h>

#include "daemon/lang/logic.h"
#include "daemon/lang/utf8.h"
#include "proto/mem.h"

#define OPERATOR(name)                                                                             \
    static struct value *op_##name(struct eval *ev, struct value *const *args, size_t n)

/* Argument i; NULL (JavaScript's undefined) when it is not there. */
static struct value *at(struct value *const *args, size_t n, size_t i)
{
    return i < n ? args[i] : NULL;
}

OPERATOR(equal)
{
    (void)ev;
    return value_bool(js_loose_equal(at(args, n, 0), at(args, n, 1)));
}

OPERATOR(not_equal)
{
    (void)ev;
    return value_bool(!js_loose_equal(at(args, n, 0), at(args, n, 1)));
}

OPERATOR(same)
{
    (void)ev;
    return value_bool(js_strict_equal(at(args, n, 0), at(args, n, 1)));
}

OPERATOR(not_same)
{
    (void)ev;
    return value_bool(!js_strict_equal(at(args, n, 0), at(args, n, 1)));
}

OPERATOR(negate)
{
    (void)ev;
    return value_bool(n == 0 || !value_truthy(args[0]));
}

OPERATOR(truth)
{
    (void)ev;
    return value_bool(n > 0 && value_truthy(args[0]));
}

/* a < b, and with a third argument b < c. */
static struct value *ordered(struct value *const *args, size_t n, bool or_equal)
{
    const struct value *b = at(args, n, 1);
    return value_bool(js_less(at(args, n, 0), b, or_equal) &&
                      (n < 3 || js_less(b, args[2], or_equal)));
}

OPERATOR(less)
{
    (void)ev;
    return ordered(args, n, false);
}

OPERATOR(less_equal)
{
    (void)ev;
    return ordered(args, n, true);
}

OPERATOR(greater)
{
    (void)ev;
    return value_bool(js_less(at(args, n, 1), at(args, n, 0), false));
}

OPERATOR(greater_equal)
{
    (void)ev;
    return value_bool(js_less(at(args, n, 1), at(args, n, 0), true));
}

/* A number on its way: integers stay exact as long as they fit, where JavaScript would round. */
struct sum {
    bool is_int;
    int64_t i;
    double d;
};

static struct sum sum_of(const struct value *v, double (*convert)(const struct value *))
{
    bool is_int = v && value_type(v) == VALUE_INT;
    return (struct sum){is_int, is_int ? value_get_int(v) : 0, convert(v)};
}

static struct value *sum_value(struct sum s)
{
    return s.is_int ? value_int(s.i) : value_real(s.d);
}

static struct sum combine(char op, struct sum a, struct sum b)
{
    struct sum r = {a.is_int && b.is_int, 0, 0};
    bool least_by_minus_one = a.i == INT64_MIN && b.i == -1; /* overflows */
    switch (op) {
    case '+':
        r.is_int = r.is_int && !__builtin_add_overflow(a.i, b.i, &r.i);
        r.d = a.d + b.d;
        break;
    case '-':
        r.is_int = r.is_int && !__builtin_sub_overflow(a.i, b.i, &r.i);
        r.d = a.d - b.d;
        break;
    case '*':
        r.is_int = r.is_int && !__builtin_mul_overflow(a.i, b.i, &r.i);
        r.d = a.d * b.d;
        break;
    case '/':
        r.is_int = r.is_int && b.i != 0 && !least_by_minus_one && a.i % b.i == 0;
        r.i = r.is_int ? a.i / b.i : 0;
        r.d = a.d / b.d;
        break;
    case '%':
        r.is_int = r.is_int && b.i != 0 && !least_by_minus_one;
        r.i = r.is_int ? a.i % b.i : 0;
        r.d = fmod(a.d, b.d);
        break;
    default:
        break;
    }
    return r;
}

OPERATOR(add)
{
    (void)ev;
    struct sum s = {true, 0, 0};
    for (size_t i = 0; i < n; i++)
        s = combine('+', s, sum_of(args[i], js_parse_float));
    return sum_value(s);
}

OPERATOR(multiply)
{
    (void)ev;
    if (n == 1) /* JsonLogic's reduce without a start: one argument stays what it is */
        return value_ref(args[0]);
    struct sum s = {n > 0, 1, n > 0 ? 1 : NAN};
    for (size_t i = 0; i < n; i++)
        s = combine('*', s, sum_of(args[i], js_parse_float));
    return sum_value(s);
}

static struct value *pair(char op, struct value *const *args, size_t n)
{
    return sum_value(
        combine(op, sum_of(at(args, n, 0), js_number), sum_of(at(args, n, 1), js_number)));
}

OPERATOR(subtract)
{
    (void)ev;
    if (n > 1)
        return pair('-', args, n);
    struct sum zero = {true, 0, 0};
    return sum_value(combine('-', zero, sum_of(at(args, n, 0), js_number)));
}

OPERATOR(divide)
{
    (void)ev;
    return pair('/', args, n);
}

OPERATOR(modulo)
{
    (void)ev;
    return pair('%', args, n);
}

/* The greatest for sign 1, the least for -1; null when there is none or one is no number. */
static struct value *extreme(struct value *const *args, size_t n, int sign)
{
    struct sum best = {false, 0, NAN};
    for (size_t i = 0; i < n; i++) {
        struct sum s = sum_of(args[i], js_number);
        if (isnan(s.d))
            return value_null();
        bool both = s.is_int && best.is_int;
        bool greater = both ? s.i > best.i : s.d > best.d;
        bool less = both ? s.i < best.i : s.d < best.d;
        if (i == 0 || (sign > 0 ? greater : less))
            best = s;
    }
    return sum_value(best);
}

OPERATOR(max)
{
    (void)ev;
    return extreme(args, n, 1);
}

OPERATOR(min)
{
    (void)ev;
    return extreme(args, n, -1);
}

OPERATOR(cat)
{
    struct buf text = {0};
    for (size_t i = 0; i < n && text.len <= VALUE_MAX_BYTES; i++)
        if (value_type(args[i]) != VALUE_NULL)
            js_text(&text, args[i]);
    struct value *v = NULL;
    if (text.len <= VALUE_MAX_BYTES)
        v = value_string(text.data ? text.data : "", text.len);
    buf_release(&text);
    return eval_limit(ev, v);
}

OPERATOR(in)
{
    (void)ev;
    const struct value *what = at(args, n, 0), *where = at(args, n, 1);
    bool found = false;
    if (what && where && value_type(where) == VALUE_STRING) {
        struct buf text = {0};
        size_t len;
        const char *s = value_get_string(where, &len);
        js_text(&text, what);
        found = len > 0 && memmem(s, len, buf_cstr(&text), text.len);
        buf_release(&text);
    }
    for (size_t i = 0; what && where && !found && value_item(where, i); i++)
        found = js_strict_equal(what, value_item(where, i));
    return value_bool(found);
}

/* A whole number between -len and len. */
static ptrdiff_t clamp(const struct value *v, size_t len)
{
    double d = js_number(v), max = (double)len;
    if (isnan(d))
        return 0;
    return (ptrdiff_t)(d < -max ? -max : d > max ? max : d);
}

/* In characters. A negative start counts from the end; a negative length leaves that many out. */
OPERATOR(substr)
{
    (void)ev;
    struct buf text = {0};
    js_text(&text, at(args, n, 0));
    const char *s = buf_cstr(&text);
    size_t count = utf8_count(s, text.len);
    ptrdiff_t total = (ptrdiff_t)count, start = n > 1 ? clamp(args[1], count) : 0;
    ptrdiff_t length = n > 2 ? clamp(args[2], count) : total;
    if (start < 0)
        start += total;
    if (length < 0)
        length += total - start;
    if (length < 0)
        length = 0;
    if (length > total - start)
        length = total - start;
    size_t from = utf8_offset(s, text.len, (size_t)start);
    size_t to = utf8_offset(s, text.len, (size_t)(start + length));
    struct value *v = value_string(s + from, to - from);
    buf_release(&text);
    return v;
}

OPERATOR(merge)
{
    size_t count = 0, m = 0;
    for (size_t i = 0; i < n; i++)
        count += value_type(args[i]) == VALUE_LIST ? value_count(args[i]) : 1;
    cleanup_free struct value **items = xmalloc((count + 1) * sizeof *items);
    for (size_t i = 0; i < n; i++) {
        if (value_type(args[i]) != VALUE_LIST)
            items[m++] = value_ref(args[i]);
        for (size_t j = 0; value_item(args[i], j); j++)
            items[m++] = value_ref(value_item(args[i], j));
    }
    return eval_limit(ev, value_list(items, m));
}

/* JsonLogic's debugging aid; here there is no console to write to. */
OPERATOR(log)
{
    (void)ev;
    return n > 0 ? value_ref(args[0]) : value_null();
}

const struct logic_op logic_ops[] = {
    {"var", logic_var, NULL},
    {"missing", logic_missing, NULL},
    {"missing_some", logic_missing_some, NULL},
    {"if", logic_if, NULL},
    {"?:", logic_if, NULL},
    {"and", logic_and, NULL},
    {"or", logic_or, NULL},
    {"map", logic_map, NULL},
    {"filter", logic_filter, NULL},
    {"reduce", logic_reduce, NULL},
    {"all", logic_all, NULL},
    {"none", logic_none, NULL},
    {"some", logic_some, NULL},
    {"==", NULL, op_equal},
    {"===", NULL, op_same},
    {"!=", NULL, op_not_equal},
    {"!==", NULL, op_not_same},
    {"!", NULL, op_negate},
    {"!!", NULL, op_truth},
    {"<", NULL, op_less},
    {"<=", NULL, op_less_equal},
    {">", NULL, op_greater},
    {">=", NULL, op_greater_equal},
    {"+", NULL, op_add},
    {"-", NULL, op_subtract},
    {"*", NULL, op_multiply},
    {"/", NULL, op_divide},
    {"%", NULL, op_modulo},
    {"max", NULL, op_max},
    {"min", NULL, op_min},
    {"cat", NULL, op_cat},
    {"substr", NULL, op_substr},
    {"in", NULL, op_in},
    {"merge", NULL, op_merge},
    {"log", NULL, op_log},
    {NULL},
};
