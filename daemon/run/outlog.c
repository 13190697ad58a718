#include "daemon/run/outlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/mem.h"

enum { PIECES = 3, STEP_BYTES = 256 * 1024 };
static const char *const suffixes[PIECES] = {"", ".t0", ".t1"};

/* One file of a log: framed bytes from `first` to before `end`. */
struct piece {
    int fd;
    uint64_t first, end;
};

static void close_pieces(struct piece (*p)[PIECES])
{
    for (int i = 0; i < PIECES; i++)
        close_fd((*p)[i].fd);
}

/* False: there is none (yet). */
static bool open_piece(int dirfd, uint64_t number, const char *suffix, struct piece *ret)
{
    char name[40], header[OUTLOG_FILE_HEADER];
    struct stat st;
    snprintf(name, sizeof name, "%llu%s", (unsigned long long)number, suffix);
    cleanup_close int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= OUTLOG_FILE_HEADER)
        return false;
    ssize_t n = pread(fd, header, sizeof header, 0);
    if (n < 0 || !outlog_file_header_parse(header, (size_t)n, &ret->first))
        return false;
    ret->end = ret->first + (uint64_t)st.st_size - OUTLOG_FILE_HEADER;
    ret->fd = steal_fd(&fd);
    return true;
}

static bool open_pieces(const char *log_dir, uint64_t number, struct piece p[PIECES],
                        struct err *err)
{
    cleanup_close int dirfd = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return err_errno(err, "%s", log_dir);
    for (int i = 0; i < PIECES; i++) {
        p[i] = (struct piece){.fd = -1};
        open_piece(dirfd, number, suffixes[i], &p[i]);
    }
    return true;
}

/* The piece with `position`, else the next one behind it, else NULL. */
static const struct piece *find_piece(const struct piece p[PIECES], uint64_t position)
{
    const struct piece *best = NULL;
    for (int i = 0; i < PIECES; i++) {
        if (p[i].fd < 0 || p[i].end <= position)
            continue;
        if (!best || p[i].first < best->first)
            best = &p[i];
    }
    return best;
}

/* Appends whole chunks; returns their bytes, -1 on a read error or a damaged file. */
static ssize_t read_piece(const struct piece *p, uint64_t position, size_t limit,
                          struct buf *framed)
{
    size_t want = limit < OUTLOG_CHUNK_HEADER + OUTLOG_CHUNK_MAX_BYTES
                      ? OUTLOG_CHUNK_HEADER + OUTLOG_CHUNK_MAX_BYTES
                      : limit;
    if (want > p->end - position)
        want = (size_t)(p->end - position);
    char *to = buf_reserve(framed, want);
    ssize_t n = pread(p->fd, to, want, (off_t)(position - p->first + OUTLOG_FILE_HEADER));
    if (n < 0)
        return -1;
    size_t whole = 0;
    struct outlog_chunk c;
    ssize_t size;
    while ((size = outlog_next(to + whole, (size_t)n - whole, &c)) > 0 &&
           (whole == 0 || whole + (size_t)size <= limit))
        whole += (size_t)size;
    if (size < 0 && whole == 0) {
        errno = EUCLEAN;
        return -1;
    }
    framed->len += whole;
    return (ssize_t)whole;
}

bool outlog_read(const char *log_dir, uint64_t number, uint64_t position, size_t limit_bytes,
                 struct buf *framed, struct outlog_range *ret, struct err *err)
{
    cleanup(close_pieces) struct piece p[PIECES] = {{-1}, {-1}, {-1}};
    struct outlog_range range = {.next = position};
    size_t got = 0;

    if (!open_pieces(log_dir, number, p, err))
        return false;
    while (got < limit_bytes) {
        const struct piece *at = find_piece(p, range.next);
        if (!at)
            break;
        if (at->first > range.next) {
            if (got > 0)
                break;
            range.dropped_bytes += at->first - range.next;
            range.next = at->first;
        }
        ssize_t n = read_piece(at, range.next, limit_bytes - got, framed);
        if (n < 0)
            return err_errno(err, "the log of attempt %llu at %llu", (unsigned long long)number,
                             (unsigned long long)range.next);
        if (n == 0)
            break; /* its last chunk is being written */
        got += (size_t)n;
        range.next += (uint64_t)n;
    }
    *ret = range;
    return true;
}

static void take(struct buf *to, const struct buf *framed, unsigned mask, size_t limit,
                 bool *truncated, uint64_t *lost)
{
    outlog_extract(framed->data, framed->len, mask, to, lost);
    if (to->len > limit) {
        to->len = limit;
        *truncated = true;
    }
}

bool outlog_read_head(const char *log_dir, uint64_t number, size_t limit_bytes, struct buf *out,
                      struct buf *err_out, bool *truncated, struct err *err)
{
    struct buf framed = {0};
    struct outlog_range range = {0};
    uint64_t position = 0, most = 8 * (uint64_t)limit_bytes + STEP_BYTES, lost = 0;
    bool ok = true;

    while (ok) {
        if (position >= most) {
            *truncated = true;
            break;
        }
        buf_clear(&framed);
        ok = outlog_read(log_dir, number, position, STEP_BYTES, &framed, &range, err);
        if (!ok || framed.len == 0)
            break;
        take(out, &framed, OUTLOG_MASK(OUTLOG_STDOUT), limit_bytes, truncated, &lost);
        take(err_out, &framed, OUTLOG_MASK(OUTLOG_STDERR), limit_bytes, truncated, NULL);
        if (range.dropped_bytes || lost)
            *truncated = true;
        position = range.next;
        if (range.dropped_bytes) /* the head is all there is of the beginning */
            break;
    }
    buf_release(&framed);
    return ok;
}
