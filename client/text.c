#include "client/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "proto/json_out.h"
#include "proto/mem.h"
#include "proto/option.h"

bool text_duration(const char *s, double *ret_s, struct err *err)
{
    /* As every option of the three programs reads it. */
    struct holder {
        int64_t ms;
    } holder = {0};
    static const struct option row = {.name = "duration",
                                      .type = OPTION_TYPE_DURATION,
                                      .where = OPTION_ON_LINE,
                                      .offset = offsetof(struct holder, ms),
                                      .max = INT64_C(1000) * 1000000000};
    if (!option_set(&row, &holder, s, err))
        return false;
    *ret_s = (double)holder.ms / 1e3;
    return true;
}

/* Reads all of s by a strptime(3) format; what it does not name is as in *t. */
static bool read_moment(const char *s, const char *format, struct tm t, double *ret_s)
{
    const char *end = strptime(s, format, &t);
    if (end == NULL || *end != '\0')
        return false;
    t.tm_isdst = -1;
    time_t at = mktime(&t);
    *ret_s = (double)at;
    return at != (time_t)-1;
}

/* An hour of the day that is `days` after the one of now. */
static bool read_hour(const char *s, double now_s, int days, double *ret_s)
{
    static const char *const hours[] = {"%H:%M", "%H:%M:%S"};
    time_t now = (time_t)now_s;
    struct tm day;

    localtime_r(&now, &day);
    day.tm_sec = 0;
    day.tm_mday += days;
    for (size_t i = 0; i < ARRAY_LEN(hours); i++) {
        if (read_moment(s, hours[i], day, ret_s))
            return true;
    }
    return false;
}

static bool read_date(const char *s, double *ret_s)
{
    static const char *const days[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
                                       "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    struct tm empty = {0};
    int64_t us;

    if (rfc3339_parse(s, &us)) {
        *ret_s = (double)us / 1e6;
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(days); i++) {
        if (read_moment(s, days[i], empty, ret_s))
            return true;
    }
    return false;
}

bool text_moment(const char *s, double now_s, double *ret_s, struct err *err)
{
    double ago;

    if (read_date(s, ret_s) || read_hour(s, now_s, 0, ret_s))
        return true;
    if (!text_duration(s, &ago, NULL))
        return err_set(err, EINVAL,
                       "\"%s\" is no time: 1h (ago), 14:00, 2026-11-20 or \"2026-11-20 14:00\"", s);
    *ret_s = now_s - ago;
    return true;
}

bool text_moment_to_come(const char *s, double now_s, double *ret_s, struct err *err)
{
    double at;

    if (!read_date(s, &at) && !read_hour(s, now_s, 0, &at))
        return err_set(err, EINVAL, "\"%s\" is no time: 14:00, 2026-11-20 or \"2026-11-20 14:00\"",
                       s);
    if (at < now_s)
        read_hour(s, now_s, 1, &at);
    *ret_s = at;
    return true;
}

bool text_whole(const char *s, int64_t min, int64_t max, int64_t *ret, struct err *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (end == s || *end != '\0' || strchr("0123456789-", *s) == NULL)
        return err_set(err, EINVAL, "\"%s\" is no whole number", s);
    if (v < min && max == INT64_MAX)
        return err_set(err, EINVAL, "%s is less than %lld", s, (long long)min);
    if (errno == ERANGE || v < min || v > max)
        return err_set(err, EINVAL, "%s is not within %lld … %lld", s, (long long)min,
                       (long long)max);
    *ret = v;
    return true;
}

void text_put_duration(struct buf *out, double s)
{
    if (s < 0)
        s = 0;
    if (s < 9.95) {
        if (s < 0.0995)
            buf_printf(out, "%.0fms", s * 1e3);
        else
            buf_printf(out, "%.1fs", s);
        return;
    }
    long long n = (long long)(s + 0.5);
    if (n < 60)
        buf_printf(out, "%llds", n);
    else if (n < 3600)
        buf_printf(out, "%lldm%02llds", n / 60, n % 60);
    else if (n < 86400)
        buf_printf(out, "%lldh%02lldm", n / 3600, n / 60 % 60);
    else
        buf_printf(out, "%lldd%lldh", n / 86400, n / 3600 % 24);
}

void text_put_moment(struct buf *out, double at_s, double now_s)
{
    time_t at = (time_t)at_s, now = (time_t)now_s;
    struct tm t, today;
    char text[32] = "";

    if (localtime_r(&at, &t) == NULL || localtime_r(&now, &today) == NULL)
        return;
    size_t n;
    if (t.tm_year != today.tm_year)
        n = strftime(text, sizeof(text), "%Y-%m-%d", &t);
    else if (t.tm_yday != today.tm_yday)
        n = strftime(text, sizeof(text), "%b %e %H:%M", &t);
    else
        n = strftime(text, sizeof(text), "%H:%M:%S", &t);
    if (n > 0)
        buf_addstr(out, text);
}

size_t text_utf8(const char *s, size_t n, int32_t *ret)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    int32_t c = p[0];

    if (len == 1) {
        *ret = c;
        return 1;
    }
    *ret = -1;
    if (len == 0 || p[0] > 0xf4 || len > n)
        return 1;
    c &= 0xff >> (len + 1);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10ffff)) ||
        (c >= 0xd800 && c < 0xe000))
        return 1;
    *ret = c;
    return len;
}

bool text_is_utf8(const char *s, size_t len)
{
    return utf8_length(s, len) == len;
}

/* Turns the direction of what follows, or is a line separator. */
static bool is_tricky(int32_t c)
{
    return (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x061c || c == 0xfeff;
}

/* Appends one character as it may be shown; the columns it takes. */
static size_t put_one(struct buf *out, const char *s, size_t len, int32_t c, bool utf8)
{
    size_t before = out->len;

    if (c < 0) {
        buf_printf(out, "\\x%02x", (unsigned char)s[0]);
    } else if (c == '\n' || c == '\t' || c == '\r') {
        buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
    } else if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
        buf_printf(out, "\\x%02x", (unsigned)c);
    } else if (is_tricky(c)) {
        buf_printf(out, "\\u%04x", (unsigned)c);
    } else if (c < 0x80) {
        buf_addch(out, (char)c);
    } else if (!utf8) {
        buf_addch(out, '?');
    } else {
        int w = wcwidth((wchar_t)c);
        if (w >= 0) {
            buf_add(out, s, len);
            return (size_t)w;
        }
        buf_printf(out, "\\u%04x", (unsigned)c);
    }
    return out->len - before;
}

size_t text_put_safe(struct buf *out, const char *s, size_t len, size_t max, bool utf8)
{
    size_t columns = 0, ellipsis = utf8 ? 1 : 3;
    size_t fits_bytes = out->len, fits_columns = 0; /* the longest part with room for "…" */

    if (max > 0 && max < ellipsis)
        ellipsis = max;
    for (size_t i = 0; i < len;) {
        int32_t c;
        size_t n = text_utf8(s + i, len - i, &c);
        columns += put_one(out, s + i, n, c, utf8);
        i += n;
        if (max == 0)
            continue;
        if (columns + ellipsis <= max) {
            fits_bytes = out->len;
            fits_columns = columns;
        }
        if (columns > max) {
            out->len = fits_bytes;
            if (utf8)
                buf_addstr(out, "…");
            else
                buf_add(out, "...", ellipsis);
            return fits_columns + ellipsis;
        }
    }
    return columns;
}

size_t text_columns(const char *s, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len;) {
        if (s[i] == '\033') {
            while (i < len && s[i] != 'm')
                i++;
            i++;
            continue;
        }
        int32_t c;
        i += text_utf8(s + i, len - i, &c);
        int w = c < 0 ? 1 : c < 0x80 ? 1 : wcwidth((wchar_t)c);
        columns += w > 0 ? (size_t)w : 0;
    }
    return columns;
}

void text_put_quoted(struct buf *out, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./,:@%^";
    size_t len = strlen(word);
    bool bare = len > 0;

    for (size_t i = 0; i < len; i++)
        bare = bare && ((word[i] & 0x80) != 0 || strchr(plain, word[i]) != NULL);
    if (bare) {
        buf_add(out, word, len);
        return;
    }
    buf_addch(out, '\'');
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '\'')
            buf_addstr(out, "'\\''");
        else
            buf_addch(out, word[i]);
    }
    buf_addch(out, '\'');
}
