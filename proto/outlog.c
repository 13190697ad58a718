#include "proto/outlog.h"

#include <string.h>

#include "proto/log.h"

static const char file_magic[8] = "corolog1";

static void le(char *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (char)(unsigned char)(v >> (8 * i));
}

void outlog_chunk_header(char *p, enum outlog_stream stream, size_t len)
{
    p[0] = (char)stream;
    le(p + 1, len, 4);
}

void outlog_put(struct buf *b, enum outlog_stream stream, const void *data, size_t len)
{
    if (len > OUTLOG_CHUNK_MAX_BYTES)
        fatal("an output chunk of %zu bytes", len);
    outlog_chunk_header(buf_reserve(b, OUTLOG_CHUNK_HEADER), stream, len);
    b->len += OUTLOG_CHUNK_HEADER;
    buf_add(b, data, len);
}

void outlog_put_lost(struct buf *b, uint64_t lost_bytes)
{
    char v[8];
    le(v, lost_bytes, sizeof v);
    outlog_put(b, OUTLOG_LOST, v, sizeof v);
}

ssize_t outlog_next(const void *data, size_t len, struct outlog_chunk *ret)
{
    struct reader r = READER(data, len);
    if (len < OUTLOG_CHUNK_HEADER)
        return 0;
    unsigned stream = get_u8(&r);
    uint32_t n = get_u32(&r);
    if (stream < OUTLOG_STDOUT || stream > OUTLOG_LOST || n > OUTLOG_CHUNK_MAX_BYTES ||
        (stream == OUTLOG_LOST && n != 8))
        return -1;
    if (len - OUTLOG_CHUNK_HEADER < n)
        return 0;
    ret->stream = (enum outlog_stream)stream;
    ret->data = (const char *)r.p;
    ret->len = n;
    return (ssize_t)(OUTLOG_CHUNK_HEADER + n);
}

size_t outlog_extract(const void *data, size_t len, unsigned mask, struct buf *out, uint64_t *lost)
{
    const char *p = data;
    struct outlog_chunk c;
    size_t at = 0;
    ssize_t n;

    while (at < len && (n = outlog_next(p + at, len - at, &c)) > 0) {
        if (c.stream == OUTLOG_LOST && lost) {
            struct reader r = READER(c.data, c.len);
            *lost += get_u64(&r);
        } else if (mask & OUTLOG_MASK(c.stream)) {
            buf_add(out, c.data, c.len);
        }
        at += (size_t)n;
    }
    return at;
}

void outlog_file_header(char *p, uint64_t position)
{
    memcpy(p, file_magic, sizeof file_magic);
    le(p + sizeof file_magic, position, 8);
}

bool outlog_file_header_parse(const void *p, size_t len, uint64_t *ret_position)
{
    if (len < OUTLOG_FILE_HEADER || memcmp(p, file_magic, sizeof file_magic) != 0)
        return false;
    struct reader r = READER((const char *)p + sizeof file_magic, 8);
    *ret_position = get_u64(&r);
    return true;
}
