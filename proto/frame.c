#include "proto/frame.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "proto/mem.h"

/* All headers of a message together. */
#define MAX_HEADER_BYTES 4096
/* A body of this length is no mistake that is worth reading to its end. */
#define MAX_DISCARD_BYTES ((size_t)1 << 30)
/* Memory that an idle reader keeps. */
#define KEEP_BYTES ((size_t)128 * 1024)

void frame_reader_init(struct frame_reader *r, size_t max_bytes)
{
    *r = (struct frame_reader){.max_bytes = max_bytes};
}

void frame_reader_release(struct frame_reader *r)
{
    buf_release(&r->in);
    *r = (struct frame_reader){0};
}

static size_t left(const struct frame_reader *r)
{
    return r->in.len - r->start;
}

static const char *here(const struct frame_reader *r)
{
    return r->in.data + r->start;
}

static void take(struct frame_reader *r, size_t n)
{
    r->start += n;
    r->looked_at = 0;
    if (r->start == r->in.len)
        r->start = r->in.len = 0;
}

char *frame_reader_space(struct frame_reader *r, size_t room)
{
    if (r->start > 0 && r->start >= left(r)) { /* moves each byte at most once a doubling */
        buf_consume(&r->in, r->start);
        r->start = 0;
    }
    return buf_reserve(&r->in, room);
}

void frame_reader_got(struct frame_reader *r, size_t n)
{
    r->in.len += n;
}

static enum frame_result next_line(struct frame_reader *r, bool ended, const char **text,
                                   size_t *len)
{
    for (;;) {
        size_t have = left(r);
        const char *p = have ? here(r) : NULL;
        const char *lf =
            have > r->looked_at ? memchr(p + r->looked_at, '\n', have - r->looked_at) : NULL;
        if (!lf && !(ended && (have > 0 || r->discarding))) {
            r->looked_at = have;
            if (r->discarding || have > r->max_bytes) {
                r->discarding = true;
                take(r, have);
            }
            return FRAME_MORE;
        }
        size_t n = lf ? (size_t)(lf - p) : have;
        bool too_long = r->discarding || n > r->max_bytes;
        r->discarding = false;
        take(r, lf ? n + 1 : n);
        if (too_long)
            return FRAME_TOO_LONG;
        if (n > 0 && p[n - 1] == '\r')
            n--;
        if (n > 0) {
            *text = p;
            *len = n;
            return FRAME_MESSAGE;
        }
    }
}

/* Takes one header line; false: it makes no sense. *length is set by Content-Length. */
static bool take_header(const char *p, size_t n, size_t *length)
{
    static const char name[] = "Content-Length:";
    const char *colon = memchr(p, ':', n);
    if (!colon)
        return false;
    if (n < sizeof name - 1 || strncasecmp(p, name, sizeof name - 1) != 0)
        return true; /* another header, such as Content-Type */
    const char *d = p + sizeof name - 1, *end = p + n;
    while (d < end && (*d == ' ' || *d == '\t'))
        d++;
    while (end > d && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (d == end || *length != SIZE_MAX)
        return false;
    size_t v = 0;
    for (; d < end; d++) {
        if (*d < '0' || *d > '9')
            return false;
        v = v * 10 + (size_t)(*d - '0');
        if (v > MAX_DISCARD_BYTES)
            return false;
    }
    *length = v;
    return true;
}

/* The headers at the start: their size with the empty line, 0 when they are not whole. */
static enum frame_result parse_headers(const struct frame_reader *r, size_t *size, size_t *length)
{
    const char *p = here(r), *end = p + left(r), *line = p;
    *length = SIZE_MAX;
    for (;;) {
        const char *lf = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        if ((size_t)((lf ? lf : end) - p) > MAX_HEADER_BYTES)
            return FRAME_BROKEN;
        if (!lf)
            return FRAME_MORE;
        size_t n = (size_t)(lf - line);
        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (n == 0) {
            *size = (size_t)(lf + 1 - p);
            return *length == SIZE_MAX ? FRAME_BROKEN : FRAME_MESSAGE;
        }
        if (!take_header(line, n, length))
            return FRAME_BROKEN;
        line = lf + 1;
    }
}

static enum frame_result next_with_headers(struct frame_reader *r, const char **text, size_t *len)
{
    for (;;) {
        if (r->discard_left > 0) {
            size_t n = left(r) < r->discard_left ? left(r) : r->discard_left;
            take(r, n);
            r->discard_left -= n;
            return r->discard_left > 0 ? FRAME_MORE : FRAME_TOO_LONG;
        }
        size_t size, length;
        if (left(r) == 0)
            return FRAME_MORE;
        enum frame_result result = parse_headers(r, &size, &length);
        if (result != FRAME_MESSAGE)
            return result;
        if (length > r->max_bytes) {
            take(r, size);
            r->discard_left = length;
            continue;
        }
        if (left(r) < size + length)
            return FRAME_MORE;
        *text = here(r) + size;
        *len = length;
        take(r, size + length);
        return FRAME_MESSAGE;
    }
}

enum frame_result frame_next(struct frame_reader *r, bool ended, const char **text, size_t *len)
{
    if (r->mode == FRAME_UNKNOWN && left(r) > 0)
        r->mode = (*here(r) | 0x20) == 'c' ? FRAME_HEADERS : FRAME_LINES;
    enum frame_result result = FRAME_MORE;
    if (r->mode == FRAME_HEADERS)
        result = next_with_headers(r, text, len);
    else if (r->mode == FRAME_LINES)
        result = next_line(r, ended, text, len);
    if (result == FRAME_MORE && r->in.len == 0 && r->in.cap > KEEP_BYTES)
        buf_release(&r->in);
    return result;
}

bool frame_is_partial(const struct frame_reader *r)
{
    return left(r) > 0 || r->discarding || r->discard_left > 0;
}

void frame_put(struct buf *out, enum frame_mode mode, const char *text, size_t len)
{
    if (mode == FRAME_HEADERS)
        buf_printf(out, "Content-Length: %zu\r\n\r\n", len);
    buf_add(out, text, len);
    if (mode != FRAME_HEADERS)
        buf_addch(out, '\n');
}
