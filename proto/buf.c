#include "proto/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/log.h"
#include "proto/mem.h"

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (n > SIZE_MAX / 4 - b->len)
        fatal("buffer too large");
    if (b->cap - b->len <= n)
        b->data = xgrow(b->data, &b->cap, b->len + n + 1, 1);
    return b->data + b->len;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->len += n;
}

void buf_addstr(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addch(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_adduint(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, digits + at, sizeof digits - at);
}

void buf_addint(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_addch(b, '-');
    buf_adduint(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void buf_vprintf(struct buf *b, const char *format, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t room = b->cap - b->len;
    int n = vsnprintf(room ? b->data + b->len : NULL, room, format, ap);
    if (n < 0)
        fatal("bad format");
    if ((size_t)n >= room)
        vsnprintf(buf_reserve(b, (size_t)n), (size_t)n + 1, format, again);
    va_end(again);
    b->len += (size_t)n;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    buf_vprintf(b, format, ap);
    va_end(ap);
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
    *buf_reserve(b, 0) = '\0';
    return b->data;
}

char *buf_steal(struct buf *b)
{
    *buf_reserve(b, 0) = '\0';
    char *p = b->data;
    *b = (struct buf){0};
    return p;
}

void put_u8(struct buf *b, uint8_t v)
{
    *buf_reserve(b, 1) = (char)v;
    b->len++;
}

static void put_le(struct buf *b, uint64_t v, unsigned n)
{
    char *p = buf_reserve(b, n);
    for (unsigned i = 0; i < n; i++)
        p[i] = (char)(unsigned char)(v >> (8 * i));
    b->len += n;
}

void put_u32(struct buf *b, uint32_t v)
{
    put_le(b, v, 4);
}

void put_u64(struct buf *b, uint64_t v)
{
    put_le(b, v, 8);
}

void put_varint(struct buf *b, uint64_t v)
{
    while (v >= 0x80) {
        put_u8(b, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    put_u8(b, (uint8_t)v);
}

void put_svarint(struct buf *b, int64_t v)
{
    put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void put_f64(struct buf *b, double v)
{
    uint64_t u;
    memcpy(&u, &v, sizeof u);
    put_u64(b, u);
}

void put_bytes(struct buf *b, const void *p, size_t n)
{
    put_varint(b, n);
    buf_add(b, p, n);
}

void put_string(struct buf *b, const char *s)
{
    put_bytes(b, s, strlen(s));
}

static const unsigned char *take(struct reader *r, size_t n)
{
    if (r->failed || (size_t)(r->end - r->p) < n) {
        r->failed = true;
        return NULL;
    }
    const unsigned char *p = r->p;
    r->p += n;
    return p;
}

uint8_t get_u8(struct reader *r)
{
    const unsigned char *p = take(r, 1);
    return p ? *p : 0;
}

static uint64_t get_le(struct reader *r, unsigned n)
{
    const unsigned char *p = take(r, n);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint32_t get_u32(struct reader *r)
{
    return (uint32_t)get_le(r, 4);
}

uint64_t get_u64(struct reader *r)
{
    return get_le(r, 8);
}

uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = get_u8(r);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return r->failed ? 0 : v;
    }
    r->failed = true;
    return 0;
}

int64_t get_svarint(struct reader *r)
{
    uint64_t v = get_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

double get_f64(struct reader *r)
{
    uint64_t u = get_u64(r);
    double v;
    memcpy(&v, &u, sizeof v);
    return v;
}

const char *get_bytes(struct reader *r, size_t *n)
{
    uint64_t len = get_varint(r);
    const unsigned char *p = len > SIZE_MAX ? NULL : take(r, (size_t)len);
    if (!p)
        r->failed = true;
    *n = p ? (size_t)len : 0;
    return p ? (const char *)p : "";
}

char *get_string(struct reader *r)
{
    size_t n;
    const char *p = get_bytes(r, &n);
    if (r->failed)
        return NULL;
    char *s = xmalloc(n + 1);
    memcpy(s, p, n);
    s[n] = '\0';
    return s;
}

bool reader_done(const struct reader *r)
{
    return !r->failed && r->p == r->end;
}
