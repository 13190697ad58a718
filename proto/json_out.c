#include "proto/json_out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/base64.h"
#include "proto/mem.h"

static void separate(struct json_out *o)
{
    if (o->comma)
        buf_addch(o->out, ',');
    o->comma = true;
}

static void open_with(struct json_out *o, char c)
{
    separate(o);
    buf_addch(o->out, c);
    o->comma = false;
}

static void close_with(struct json_out *o, char c)
{
    buf_addch(o->out, c);
    o->comma = true;
}

void jout_begin_object(struct json_out *o)
{
    open_with(o, '{');
}

void jout_end_object(struct json_out *o)
{
    close_with(o, '}');
}

void jout_begin_array(struct json_out *o)
{
    open_with(o, '[');
}

void jout_end_array(struct json_out *o)
{
    close_with(o, ']');
}

/* Length of the UTF-8 character at s, 0 when there is none (RFC 3629, section 4). */
static size_t utf8_char(const unsigned char *s, size_t len)
{
    unsigned c = s[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (len < n)
        return 0;
    unsigned least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < least || s[1] > most)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t utf8_length(const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t i = 0;
    while (i < len) {
        size_t n = utf8_char(u + i, len - i);
        if (n == 0)
            break;
        i += n;
    }
    return i;
}

static void put_escape(struct buf *b, unsigned char c)
{
    static const char shorts[] = "btn\0fr";
    if (c == '"' || c == '\\')
        buf_printf(b, "\\%c", c);
    else if (c >= '\b' && c <= '\r' && shorts[c - '\b'])
        buf_printf(b, "\\%c", shorts[c - '\b']);
    else
        buf_printf(b, "\\u%04x", c);
}

static void put_escaped(struct buf *b, const char *s, size_t len)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t from = 0, i = 0;
    while (i < len) {
        if (u[i] >= 0x20 && u[i] < 0x7f && u[i] != '"' && u[i] != '\\') {
            i++;
            continue;
        }
        size_t n = u[i] < 0x80 ? 0 : utf8_char(u + i, len - i);
        if (n > 0) {
            i += n;
            continue;
        }
        buf_add(b, s + from, i - from);
        if (u[i] < 0x80)
            put_escape(b, u[i]);
        else
            buf_addstr(b, "\xef\xbf\xbd");
        from = ++i;
    }
    buf_add(b, s + from, len - from);
}

void jout_string(struct json_out *o, const char *s, size_t len)
{
    separate(o);
    buf_addch(o->out, '"');
    if (len > 0) /* an empty buffer is NULL */
        put_escaped(o->out, s, len);
    buf_addch(o->out, '"');
}

void jout_text(struct json_out *o, const char *s)
{
    if (s)
        jout_string(o, s, strlen(s));
    else
        jout_null(o);
}

void jout_key(struct json_out *o, const char *name)
{
    jout_text(o, name);
    buf_addch(o->out, ':');
    o->comma = false;
}

void jout_printf(struct json_out *o, const char *format, ...)
{
    struct buf b = {0};
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&b, format, ap);
    va_end(ap);
    jout_string(o, b.data, b.len);
    buf_release(&b);
}

/* Around an integer that is too large for readers of JSON: it is a string. */
static void quote_if(struct json_out *o, bool big)
{
    if (big)
        buf_addch(o->out, '"');
}

void jout_int(struct json_out *o, int64_t v)
{
    separate(o);
    bool big = v > JSON_OUT_MAX_INT || v < -JSON_OUT_MAX_INT;
    quote_if(o, big);
    buf_addint(o->out, v);
    quote_if(o, big);
}

void jout_uint(struct json_out *o, uint64_t v)
{
    separate(o);
    bool big = v > (uint64_t)JSON_OUT_MAX_INT;
    quote_if(o, big);
    buf_adduint(o->out, v);
    quote_if(o, big);
}

void jout_real(struct json_out *o, double v)
{
    if (!isfinite(v)) {
        jout_null(o);
        return;
    }
    separate(o);
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) /* the shortest of these that reads back the same */
            break;
    }
    buf_addstr(o->out, text);
}

void jout_bool(struct json_out *o, bool v)
{
    separate(o);
    buf_addstr(o->out, v ? "true" : "false");
}

void jout_null(struct json_out *o)
{
    separate(o);
    buf_addstr(o->out, "null");
}

void jout_raw(struct json_out *o, const char *json, size_t len)
{
    separate(o);
    buf_add(o->out, json, len);
}

void rfc3339_format(char text[RFC3339_SIZE], int64_t us)
{
    int64_t fraction = us % 1000000;
    time_t seconds = (time_t)(us / 1000000);
    if (fraction < 0) {
        fraction += 1000000;
        seconds--;
    }
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    size_t n = strftime(text, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, RFC3339_SIZE - n, ".%06dZ", (int)fraction);
}

void jout_time(struct json_out *o, int64_t us)
{
    char text[RFC3339_SIZE];
    if (us == 0) {
        jout_null(o);
        return;
    }
    rfc3339_format(text, us);
    jout_text(o, text);
}

void jout_seconds(struct json_out *o, int64_t us)
{
    jout_real(o, (double)us / 1e6);
}

bool jout_bytes(struct json_out *o, const void *p, size_t len)
{
    if (utf8_length(p, len) == len) {
        jout_string(o, p, len);
        return true;
    }
    separate(o);
    buf_addch(o->out, '"');
    base64_put(o->out, p, len);
    buf_addch(o->out, '"');
    return false;
}

/* Reads the fraction and the zone behind the seconds: microseconds and the zone's offset. */
static bool parse_tail(const char *s, int64_t *us, int64_t *offset_s)
{
    *us = *offset_s = 0;
    if (*s == '.') {
        int64_t unit = 100000;
        int digits = 0;
        for (s++; *s >= '0' && *s <= '9'; s++, unit /= 10, digits++)
            *us += (*s - '0') * unit;
        if (digits == 0 || digits > 9)
            return false;
    }
    if ((*s == 'Z' || *s == 'z') && s[1] == '\0')
        return true;
    int hours, minutes, end = 0;
    char sign = *s;
    if ((sign != '+' && sign != '-') || sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 ||
        end != 5 || s[6] != '\0' || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *offset_s = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
    return true;
}

bool rfc3339_parse(const char *text, int64_t *ret_us)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    size_t n = sizeof form - 1;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool fits = form[i] == 'd'   ? c >= '0' && c <= '9'
                    : form[i] == 'T' ? c == 'T' || c == 't' || c == ' '
                                     : c == form[i];
        if (!fits)
            return false;
    }
    struct tm tm = {0};
    int64_t us, offset_s;
    if (sscanf(text, "%4d-%2d-%2d%*1c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6 ||
        tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60 || !parse_tail(text + n, &us, &offset_s))
        return false;
    int day = tm.tm_mday;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    int64_t seconds = (int64_t)timegm(&tm);
    if (tm.tm_mday != day && tm.tm_sec != 60)
        return false; /* timegm() moved 31 February on */
    *ret_us = (seconds - offset_s) * 1000000 + us;
    return true;
}
