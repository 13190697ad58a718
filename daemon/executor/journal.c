#include "daemon/executor/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "proto/crc32c.h"
#include "proto/errinj.h"
#include "proto/mem.h"

enum { HEADER_BYTES = 8 + 8 + 8 + 8 + 4, RECORD_VERSION = 1, HEAD_BYTES = 22 };
static const char segment_magic[8] = "corojnl1";

static void le(unsigned char *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t from_le(const unsigned char *p, unsigned n)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* The head up to the payload; the checksum begins behind sync. */
static void record_head(unsigned char *p, uint64_t sync, enum journal_type type, uint64_t number,
                        size_t len)
{
    le(p, sync, 8);
    p[8] = RECORD_VERSION;
    p[9] = (unsigned char)type;
    le(p + 10, len, 4);
    le(p + 14, number, 8);
}

static bool write_record(int fd, const struct iovec *v, int n)
{
    size_t want = 0;
    for (int i = 0; i < n; i++)
        want += v[i].iov_len;
    ssize_t got;
    do {
        got = writev(fd, v, n);
    } while (got < 0 && errno == EINTR);
    if (got >= 0 && (size_t)got < want) {
        errno = ENOSPC;
        return false;
    }
    return got >= 0;
}

/* Acts out a writer that is killed, or a disk that fills up, in the middle of a record. */
static bool torn(const struct journal_pen *pen, enum journal_type type, struct iovec *v)
{
    bool dies = errinj(type == JOURNAL_START ? ERRINJ_EXEC_TORN_S
                       : type == JOURNAL_PID ? ERRINJ_EXEC_TORN_P
                                             : ERRINJ_EXEC_TORN_E);
    if (!dies && !errinj(type == JOURNAL_START ? ERRINJ_EXEC_FULL_S
                         : type == JOURNAL_PID ? ERRINJ_EXEC_FULL_P
                                               : ERRINJ_EXEC_FULL_E))
        return false;
    v[1].iov_len /= 2;
    write_record(pen->fd, v, 2);
    if (dies)
        kill(getpid(), SIGKILL);
    errno = ENOSPC;
    return true;
}

bool journal_append(const struct journal_pen *pen, enum journal_type type, uint64_t number,
                    const void *payload, size_t len)
{
    unsigned char head[HEAD_BYTES], crc[4];
    record_head(head, pen->sync, type, number, len);
    le(crc, crc32c(crc32c(0, head + 8, HEAD_BYTES - 8), payload, len), 4);
    struct iovec v[3] = {{head, sizeof head}, {(void *)(uintptr_t)payload, len}, {crc, sizeof crc}};
    if (torn(pen, type, v))
        return false;
    return write_record(pen->fd, v, 3);
}

bool journal_append_pid(const struct journal_pen *pen, uint64_t number,
                        const struct journal_pid *pid)
{
    unsigned char p[JOURNAL_PID_BYTES];
    le(p, (uint64_t)pid->monitor_pid, 8);
    le(p + 8, pid->monitor_start, 8);
    le(p + 16, (uint64_t)pid->sid, 8);
    le(p + 24, (uint64_t)pid->started_us, 8);
    le(p + 32, (uint64_t)pid->started_boot_us, 8);
    return journal_append(pen, JOURNAL_PID, number, p, sizeof p);
}

bool journal_pid_parse(const void *payload, size_t len, struct journal_pid *ret)
{
    struct reader r = READER(payload, len);
    struct journal_pid p = {.monitor_pid = (int64_t)get_u64(&r)};
    p.monitor_start = get_u64(&r);
    p.sid = (int64_t)get_u64(&r);
    p.started_us = (int64_t)get_u64(&r);
    p.started_boot_us = (int64_t)get_u64(&r);
    if (!reader_done(&r))
        return false;
    *ret = p;
    return true;
}

bool segment_create(int dirfd, unsigned id, uint64_t highest, struct segment *ret,
                    struct journal_pen *ret_pen, struct err *err)
{
    struct segment s = {.id = id, .highest = highest, .scanned = HEADER_BYTES};
    char name[32], tmp[40];
    unsigned char h[HEADER_BYTES];

    if (getrandom(&s.sync, sizeof s.sync, 0) != sizeof s.sync)
        return err_errno(err, "random bytes");
    memcpy(h, segment_magic, 8);
    le(h + 8, s.sync, 8);
    le(h + 16, highest, 8);
    le(h + 24, id, 8);
    le(h + 32, crc32c(0, h, 32), 4);
    snprintf(name, sizeof name, SEGMENT_NAME_FORMAT, id);
    snprintf(tmp, sizeof tmp, "%s.new", name);
    unlinkat(dirfd, tmp, 0); /* of one who died here */
    cleanup_close int fd =
        openat(dirfd, tmp, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_errno(err, "create journal/%s", tmp);
    struct iovec v = {h, sizeof h};
    if (!write_record(fd, &v, 1))
        return err_errno(err, "write journal/%s", tmp);
    errinj(ERRINJ_EXEC_ROTATE);
    if (renameat(dirfd, tmp, dirfd, name) < 0)
        return err_errno(err, "rename journal/%s", tmp);
    *ret = s;
    *ret_pen = (struct journal_pen){.fd = steal_fd(&fd), .sync = s.sync};
    return true;
}

static int open_segment(int dirfd, unsigned id, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, SEGMENT_NAME_FORMAT, id);
    int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        err_errno(err, "open journal/%s", name);
    return fd;
}

bool segment_open(int dirfd, unsigned id, struct segment *ret, struct err *err)
{
    unsigned char h[HEADER_BYTES];
    cleanup_close int fd = open_segment(dirfd, id, err);
    if (fd < 0)
        return false;
    ssize_t n = pread(fd, h, sizeof h, 0);
    if (n < 0)
        return err_errno(err, "read journal/" SEGMENT_NAME_FORMAT, id);
    if (n < (ssize_t)sizeof h || memcmp(h, segment_magic, 8) != 0 || from_le(h + 24, 8) != id ||
        from_le(h + 32, 4) != crc32c(0, h, 32))
        return err_set(err, EUCLEAN, "journal/" SEGMENT_NAME_FORMAT " has no valid header", id);
    *ret = (struct segment){.id = id,
                            .sync = from_le(h + 8, 8),
                            .highest = from_le(h + 16, 8),
                            .scanned = HEADER_BYTES};
    return true;
}

bool segment_remove(int dirfd, unsigned id, struct err *err)
{
    char name[32];
    snprintf(name, sizeof name, SEGMENT_NAME_FORMAT, id);
    if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
        return err_errno(err, "remove journal/%s", name);
    return true;
}

/* The whole record at the start of p: its size; 0 when there is none (torn, or not all there yet).
 */
static size_t record_parse(const unsigned char *p, size_t len, uint64_t sync,
                           struct journal_record *ret)
{
    if (len < JOURNAL_RECORD_OVERHEAD || from_le(p, 8) != sync || p[8] != RECORD_VERSION)
        return 0;
    size_t n = from_le(p + 10, 4);
    if (n > JOURNAL_RECORD_MAX_BYTES || len - JOURNAL_RECORD_OVERHEAD < n)
        return 0;
    if (from_le(p + HEAD_BYTES + n, 4) != crc32c(0, p + 8, HEAD_BYTES - 8 + n))
        return 0;
    ret->type = (enum journal_type)p[9];
    ret->number = from_le(p + 14, 8);
    ret->payload = (const char *)p + HEAD_BYTES;
    ret->len = n;
    return JOURNAL_RECORD_OVERHEAD + n;
}

/* Where the next record may begin, at or after p + 1; len when nowhere. */
static size_t resync(const unsigned char *p, size_t len, uint64_t sync)
{
    unsigned char s[8];
    le(s, sync, 8);
    const unsigned char *q = len > 1 ? memmem(p + 1, len - 1, s, sizeof s) : NULL;
    return q ? (size_t)(q - p) : len;
}

enum { WINDOW_BYTES = 1024 * 1024 };

bool segment_scan(int dirfd, struct segment *s,
                  void (*on_record)(void *arg, struct segment *s, const struct journal_record *r),
                  void *arg, struct err *err)
{
    cleanup_close int fd = open_segment(dirfd, s->id, err);
    if (fd < 0)
        return false;
    cleanup_free unsigned char *w = xmalloc(WINDOW_BYTES);
    uint64_t at = s->scanned; /* of w[0]; s->scanned never passes a torn tail */
    for (;;) {
        ssize_t got = pread(fd, w, WINDOW_BYTES, (off_t)at);
        if (got < 0)
            return err_errno(err, "read journal/" SEGMENT_NAME_FORMAT, s->id);
        size_t len = (size_t)got, i = 0;
        bool last = len < WINDOW_BYTES;
        while (i < len) {
            struct journal_record r = {.offset = at + i};
            size_t n = record_parse(w + i, len - i, s->sync, &r);
            if (n) {
                i += n;
                s->scanned = at + i;
                on_record(arg, s, &r);
            } else if (!last && len - i < JOURNAL_RECORD_MAX_BYTES + JOURNAL_RECORD_OVERHEAD) {
                break; /* its end may be behind the window */
            } else {
                size_t skip = resync(w + i, len - i, s->sync);
                if (i + skip == len && !last)
                    skip -= 7; /* the next record's sync may be cut by the window */
                i += skip;
            }
        }
        if (last)
            return true;
        at += i;
    }
}

bool segment_read(int dirfd, const struct segment *s, uint64_t offset, struct buf *b,
                  struct journal_record *r, struct err *err)
{
    cleanup_close int fd = open_segment(dirfd, s->id, err);
    if (fd < 0)
        return false;
    buf_clear(b);
    size_t room = JOURNAL_RECORD_MAX_BYTES + JOURNAL_RECORD_OVERHEAD;
    ssize_t n = pread(fd, buf_reserve(b, room), room, (off_t)offset);
    if (n < 0)
        return err_errno(err, "read journal/" SEGMENT_NAME_FORMAT, s->id);
    b->len = (size_t)n;
    struct journal_record got = {.offset = offset};
    if (!record_parse((unsigned char *)b->data, b->len, s->sync, &got))
        return err_set(err, EUCLEAN, "no record at %llu of journal/" SEGMENT_NAME_FORMAT,
                       (unsigned long long)offset, s->id);
    *r = got;
    return true;
}

bool segment_name_parse(const char *name, unsigned *ret)
{
    char *end;
    if (strlen(name) < 8 || strspn(name, "0123456789") != strlen(name))
        return false;
    errno = 0;
    unsigned long v = strtoul(name, &end, 10);
    if (errno || *end || v > 0xffffffffu)
        return false;
    *ret = (unsigned)v;
    return true;
}
