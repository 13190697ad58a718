#include "proto/option_value.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "proto/mem.h"

struct unit {
    const char *name;
    int64_t value;
};

/* Each table from large to small. */
static const struct unit sizes[] = {
    {"T", INT64_C(1) << 40}, {"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1},
};
static const struct unit durations_ms[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static bool too_large(const char *text, struct err *err)
{
    return err_set(err, ERANGE, "\"%s\" is too large", text);
}

/* Digits at *p; false when there are none or too many. */
static bool read_digits(const char **p, int64_t *ret)
{
    int64_t v = 0;
    if (!isdigit((unsigned char)**p))
        return false;
    for (; isdigit((unsigned char)**p); (*p)++) {
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, **p - '0', &v))
            return false;
    }
    *ret = v;
    return true;
}

static bool parse_int(const char *text, int64_t *ret, struct err *err)
{
    const char *p = text;
    if (!read_digits(&p, ret))
        return isdigit((unsigned char)*p) ? too_large(text, err)
                                          : err_set(err, EINVAL, "\"%s\" is no whole number", text);
    return !*p || err_set(err, EINVAL, "\"%s\" is no whole number", text);
}

static bool is_size_unit(const char *s, const char *unit)
{
    size_t n = strlen(unit);
    if (strncasecmp(s, unit, n) != 0)
        return false;
    s += n;
    return !*s || strcasecmp(s, "B") == 0 || (n && strcasecmp(s, "iB") == 0);
}

static bool parse_size(const char *text, int64_t *ret, struct err *err)
{
    const char *p = text;
    int64_t v;
    if (!read_digits(&p, &v))
        return isdigit((unsigned char)*p)
                   ? too_large(text, err)
                   : err_set(err, EINVAL, "\"%s\" is no size, as 512K or 64M are", text);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (is_size_unit(p, sizes[i].name))
            return !__builtin_mul_overflow(v, sizes[i].value, ret) || too_large(text, err);
    }
    return err_set(err, EINVAL, "\"%s\" is no size, as 512K or 64M are", text);
}

static const struct unit *duration_unit(const char **p)
{
    size_t n = 0;
    while (isalpha((unsigned char)(*p)[n]))
        n++;
    for (size_t i = 0; i < ARRAY_LEN(durations_ms); i++) {
        if (strlen(durations_ms[i].name) == n && strncmp(*p, durations_ms[i].name, n) == 0) {
            *p += n;
            return &durations_ms[i];
        }
    }
    return NULL;
}

/* One part, as 1.5h, added to *sum; a number alone is seconds. False: it is none. */
static bool read_duration_part(const char **p, int64_t *sum, bool *is_large)
{
    int64_t whole = 0, ms;
    double fraction = 0, digit = 1;
    if (!read_digits(p, &whole)) {
        *is_large = isdigit((unsigned char)**p);
        return false;
    }
    if (**p == '.') {
        for ((*p)++; isdigit((unsigned char)**p); (*p)++)
            fraction += (digit /= 10) * (**p - '0');
    }
    const struct unit *unit = **p ? duration_unit(p) : &durations_ms[4];
    if (!unit)
        return false;
    if (__builtin_mul_overflow(whole, unit->value, &ms) ||
        __builtin_add_overflow(ms, (int64_t)(fraction * (double)unit->value + 0.5), &ms) ||
        __builtin_add_overflow(*sum, ms, sum)) {
        *is_large = true;
        return false;
    }
    return true;
}

static bool parse_duration(const char *text, int64_t *ret, struct err *err)
{
    const char *p = text;
    int64_t sum = 0;
    bool is_large = false;
    do {
        if (!read_duration_part(&p, &sum, &is_large))
            return is_large
                       ? too_large(text, err)
                       : err_set(err, EINVAL, "\"%s\" is no duration, as 10s or 1h30m are", text);
    } while (*p);
    *ret = sum;
    return true;
}

bool option_value_parse(enum option_type type, const char *text, int64_t *ret, struct err *err)
{
    int64_t v;
    bool ok = type == OPTION_TYPE_SIZE       ? parse_size(text, &v, err)
              : type == OPTION_TYPE_DURATION ? parse_duration(text, &v, err)
                                             : parse_int(text, &v, err);
    if (ok)
        *ret = v;
    return ok;
}

void option_value_show(enum option_type type, int64_t v, struct buf *out)
{
    const struct unit *units = type == OPTION_TYPE_SIZE ? sizes : durations_ms;
    size_t n = type == OPTION_TYPE_SIZE ? ARRAY_LEN(sizes) : ARRAY_LEN(durations_ms);
    for (size_t i = 0; type != OPTION_TYPE_INT && v && i < n; i++) {
        if (v % units[i].value == 0) {
            buf_printf(out, "%lld%s", (long long)(v / units[i].value), units[i].name);
            return;
        }
    }
    buf_printf(out, "%lld", (long long)v);
}
