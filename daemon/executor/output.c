#include "daemon/executor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/exec.h"
#include "proto/mem.h"

enum { NAME_BYTES = 32, SPILL_BYTES = EXEC_OUTPUT_MAX_BYTES, FLUSH_BYTES = 48 * 1024 };
/* A command that writes more than it is read fills a larger pipe, which is read so many chunks at a
 * time: fewer turns of both. Not larger: a user's pipes have 64 MiB together (pipe(7)). */
enum { WIDE_CHUNKS = 4, WIDE_BYTES = WIDE_CHUNKS * OUTLOG_CHUNK_MAX_BYTES };
#define CHUNK_BYTES ((size_t)OUTLOG_CHUNK_HEADER + OUTLOG_CHUNK_MAX_BYTES)
enum { RING_MAX_BYTES = 16 * 1024 * 1024 }; /* of memory for one command */

void output_begin(struct output *o, int dirfd, uint64_t number, uint64_t cap_bytes, bool keep_all)
{
    struct buf pending = o->pending;
    buf_clear(&pending);
    *o = (struct output){.dirfd = dirfd,
                         .number = number,
                         .cap_bytes = cap_bytes,
                         .keep_all = keep_all,
                         .pending = pending,
                         .fd = -1,
                         .tail = -1};
}

/* Its files' pieces are much larger than what is read at a time. */
static bool has_large_pieces(const struct output *o)
{
    return !o->keep_all && (o->cap_bytes == 0 || o->cap_bytes >= 16 * (uint64_t)WIDE_BYTES);
}

/*
 * In a log's tail, pending holds as much as a piece. When it is full its oldest chunks give way:
 * what came behind them is as much as the tail is to keep. So what comes faster than files are
 * written is not written only to be removed.
 */
static bool is_ring(const struct output *o)
{
    return o->tail >= 0 && has_large_pieces(o) && o->cap_bytes / 4 <= RING_MAX_BYTES;
}

static size_t pending_bytes(const struct output *o)
{
    return o->pending.len + o->wrap - o->first;
}

static void clear_pending(struct output *o)
{
    buf_clear(&o->pending);
    o->first = o->wrap = 0;
}

/* Room for `need` bytes behind pending.len. */
static char *make_room(struct output *o, size_t need)
{
    struct buf *b = &o->pending;
    struct outlog_chunk oldest;

    if (!is_ring(o))
        return buf_reserve(b, need);
    size_t size = (size_t)o->cap_bytes / 4;
    buf_reserve(b, size - b->len);
    while (b->len + need > (o->wrap ? o->first : size)) {
        if (!o->wrap) {
            o->wrap = b->len;
            b->len = 0;
            continue;
        }
        o->first += (size_t)outlog_next(b->data + o->first, o->wrap - o->first, &oldest);
        if (o->first == o->wrap)
            o->first = o->wrap = 0;
    }
    return b->data + b->len;
}

static int64_t hold_us(const struct output *o)
{
    if (is_ring(o))
        return OUTPUT_RING_HOLD_US;
    return o->keep_all ? OUTPUT_SPOOL_HOLD_US : OUTPUT_HOLD_US;
}

ssize_t output_read(struct output *o, int fd, enum outlog_stream stream, int64_t now_us)
{
    struct iovec v[WIDE_CHUNKS];
    bool wide = is_ring(o) || (o->fd >= 0 && o->pending.len == 0 && has_large_pieces(o));
    size_t chunks = wide ? WIDE_CHUNKS : 1;
    char *p = make_room(o, chunks * CHUNK_BYTES);
    for (size_t i = 0; i < chunks; i++)
        v[i] = (struct iovec){p + i * CHUNK_BYTES + OUTLOG_CHUNK_HEADER, OUTLOG_CHUNK_MAX_BYTES};
    ssize_t n = readv(fd, v, (int)chunks);
    if (n <= 0)
        return n;
    if (chunks > 1 && n == OUTLOG_CHUNK_MAX_BYTES && !(o->widened & OUTLOG_MASK(stream))) {
        o->widened |= OUTLOG_MASK(stream);
        fcntl(fd, F_SETPIPE_SZ, WIDE_BYTES); /* else it stays as it is */
    }
    for (size_t left = (size_t)n; left > 0; p += CHUNK_BYTES) {
        size_t len = left < OUTLOG_CHUNK_MAX_BYTES ? left : OUTLOG_CHUNK_MAX_BYTES;
        outlog_chunk_header(p, stream, len);
        o->pending.len += OUTLOG_CHUNK_HEADER + len;
        o->position += OUTLOG_CHUNK_HEADER + len;
        left -= len;
    }
    if (!o->flush_at_us)
        o->flush_at_us = now_us + hold_us(o);
    return n;
}

bool output_should_flush(const struct output *o, int64_t now_us)
{
    if (!o->flush_at_us)
        return false;
    if (o->flush_at_us <= now_us)
        return true;
    return !is_ring(o) && o->pending.len > (o->fd < 0 ? (size_t)SPILL_BYTES : (size_t)FLUSH_BYTES);
}

bool output_full(const struct output *o)
{
    return o->keep_all && o->pending.len >= OUTPUT_PENDING_MAX_BYTES;
}

static void piece_name(char name[NAME_BYTES], uint64_t number, int tail)
{
    if (tail < 0)
        snprintf(name, NAME_BYTES, "%llu", (unsigned long long)number);
    else
        snprintf(name, NAME_BYTES, "%llu.t%d", (unsigned long long)number, tail);
}

/* Begins a piece in a file of its own; the one before stays as it is. */
static bool open_piece(struct output *o, int tail)
{
    char name[NAME_BYTES], header[OUTLOG_FILE_HEADER];
    piece_name(name, o->number, tail);
    /* A number is never used twice, so what is there is the tail before the last (or of another
     * life of this directory). A reader that has it open keeps it. */
    unlinkat(o->dirfd, name, 0);
    cleanup_close int fd = openat(
        o->dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return false;
    outlog_file_header(header, o->position - pending_bytes(o));
    if (write(fd, header, sizeof header) != sizeof header) {
        unlinkat(o->dirfd, name, 0);
        return false;
    }
    close_fd(o->fd);
    o->fd = steal_fd(&fd);
    o->tail = tail;
    o->piece_end = o->position - pending_bytes(o);
    o->piece_bytes = 0;
    return true;
}

/* Opens the piece that the pending chunks belong to. */
static bool choose_piece(struct output *o)
{
    if (o->fd < 0)
        return open_piece(o, -1);
    if (o->cap_bytes == 0)
        return true;
    size_t n = pending_bytes(o);
    uint64_t room = o->tail < 0 ? o->cap_bytes / 2 : o->cap_bytes / 4;
    bool follows = o->piece_end == o->position - n; /* else some were dropped between */
    if (follows && (o->piece_bytes == 0 || o->piece_bytes + n <= room))
        return true;
    if (o->piece_bytes == 0) /* nothing of it could be written: the other is what the tail has */
        return open_piece(o, o->tail);
    return open_piece(o, o->tail == 0 ? 1 : 0);
}

static bool write_pending(struct output *o)
{
    if (!choose_piece(o))
        return false;
    const struct buf *b = &o->pending;
    struct iovec v[2] = {{b->data + o->first, o->wrap - o->first}, {b->data, b->len}};
    ssize_t n = writev(o->fd, v, 2);
    if (n >= 0 && (size_t)n == pending_bytes(o)) {
        o->piece_end = o->position;
        o->piece_bytes += (size_t)n;
        clear_pending(o);
        return true;
    }
    /* Whole or not at all; when even this fails, a reader stops at the torn chunk. */
    if (n > 0 && ftruncate(o->fd, (off_t)(OUTLOG_FILE_HEADER + o->piece_bytes)) < 0)
        return false;
    return false;
}

/* What was dropped is told in the stream, where it was. */
static void tell_lost(struct output *o)
{
    size_t before = o->pending.len;
    outlog_put_lost(&o->pending, o->untold_bytes);
    o->position += o->pending.len - before;
    o->untold_bytes = 0;
}

static void count_lost(struct output *o, size_t at, size_t end)
{
    struct outlog_chunk c;
    ssize_t n;
    while ((n = outlog_next(o->pending.data + at, end - at, &c)) > 0) {
        if (c.stream == OUTLOG_LOST) {
            struct reader r = READER(c.data, c.len);
            o->untold_bytes += get_u64(&r);
        } else {
            o->untold_bytes += c.len;
            o->lost_bytes += c.len;
        }
        at += (size_t)n;
    }
}

static void drop_pending(struct output *o)
{
    count_lost(o, o->first, o->wrap);
    count_lost(o, 0, o->pending.len);
    o->position -= pending_bytes(o);
    clear_pending(o);
}

bool output_flush(struct output *o, int64_t now_us)
{
    size_t n = pending_bytes(o);
    o->flush_at_us = 0;
    if (n == 0)
        return true;
    if (write_pending(o)) {
        if (is_ring(o) && n < o->cap_bytes / 16)
            buf_release(&o->pending); /* what more of it was used for */
        return true;
    }
    if (!o->keep_all && !is_ring(o) && n >= OUTPUT_PENDING_MAX_BYTES / 2) {
        drop_pending(o);
        tell_lost(o);
    }
    o->flush_at_us = now_us + OUTPUT_HOLD_US;
    return false;
}

void output_finish(struct output *o, bool *in_memory)
{
    o->flush_at_us = 0;
    *in_memory = o->fd < 0 && o->pending.len <= EXEC_OUTPUT_MAX_BYTES;
    if (!*in_memory && pending_bytes(o) > 0 && !write_pending(o))
        drop_pending(o);
    if (!*in_memory)
        buf_release(&o->pending);
    o->fd = close_fd(o->fd);
}

bool output_remove(int dirfd, uint64_t number)
{
    char name[NAME_BYTES];
    bool gone = true;
    for (int tail = -1; tail <= 1; tail++) {
        piece_name(name, number, tail);
        gone &= unlinkat(dirfd, name, 0) == 0 || errno == ENOENT;
    }
    return gone;
}
