#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/executor/output.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

enum {
    MIB = 1024 * 1024,
    CAP = 4 * MIB,      /* the least whose tail is held in memory */
    SLACK = 600 * 1024, /* what two reads take, framed */
    PIPE_BYTES = 256 * 1024,
    TURN_US = 1000,
};

static char dir[] = "/tmp/exec_output.XXXXXX";
static int dirfd_, pipe_[2];
static struct output out;
static int64_t now_us;
static uint64_t written; /* bytes of the command */
static unsigned char *payload;

/* Where in the stream what was read begins, and where in the command's bytes. */
static struct {
    uint64_t position, at;
} * reads;
static size_t n_reads, reads_cap;

/* No two places look alike. */
static void fill(unsigned char *p, uint64_t at, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t v = (at + i) / 8 * 0x9e3779b97f4a7c15u;
        p[i] = (unsigned char)(v >> 8 * ((at + i) % 8));
    }
}

static void setup(void)
{
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(pipe2(pipe_, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(pipe_[1], F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    payload = xcalloc(PIPE_BYTES, 1);
    out = (struct output){.fd = -1};
    now_us = 1;
    written = 0;
    n_reads = 0;
    signal(SIGXFSZ, SIG_IGN);
}

static void teardown(void)
{
    char rm[80];
    close(pipe_[0]);
    close(pipe_[1]);
    close(dirfd_);
    free(payload);
    free(reads);
    reads = NULL;
    reads_cap = 0;
    buf_release(&out.pending);
    snprintf(rm, sizeof rm, "rm -rf %s", dir);
    ck_assert_int_eq(system(rm), 0);
}

/* The command writes n bytes, the monitor takes a turn. */
static void turn(size_t n, int64_t us)
{
    fill(payload, written, n);
    ck_assert_int_eq(write(pipe_[1], payload, n), (ssize_t)n);
    while (n > 0) {
        reads = xgrow(reads, &reads_cap, n_reads + 1, sizeof *reads);
        reads[n_reads].position = out.position;
        reads[n_reads].at = written;
        n_reads++;
        ssize_t got = output_read(&out, pipe_[0], OUTLOG_STDOUT, now_us);
        ck_assert_int_gt(got, 0);
        written += (size_t)got;
        n -= (size_t)got;
        if (output_should_flush(&out, now_us))
            output_flush(&out, now_us);
    }
    now_us += us;
}

/* The command's bytes at a position where a chunk begins. */
static uint64_t bytes_at(uint64_t position)
{
    size_t low = 0, high = n_reads;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (reads[middle].position <= position)
            low = middle;
        else
            high = middle;
    }
    uint64_t chunks =
        (position - reads[low].position) / (OUTLOG_CHUNK_HEADER + OUTLOG_CHUNK_MAX_BYTES);
    return reads[low].at + chunks * OUTLOG_CHUNK_MAX_BYTES;
}

struct piece {
    uint64_t first, end; /* positions */
    uint64_t bytes;      /* of the command */
};

/* Reads a piece and checks that each chunk is what the command wrote there. */
static struct piece read_piece(const char *name)
{
    struct piece piece = {0};
    struct stat st;
    cleanup_close int fd = openat(dirfd_, name, O_RDONLY);
    if (fd < 0)
        return piece;
    ck_assert_int_eq(fstat(fd, &st), 0);
    size_t len = (size_t)st.st_size, at = OUTLOG_FILE_HEADER;
    cleanup_free char *data = xcalloc(len, 1);
    ck_assert_int_eq(read(fd, data, len), (ssize_t)len);
    ck_assert(outlog_file_header_parse(data, len, &piece.first));
    piece.end = piece.first;
    while (at < len) {
        struct outlog_chunk c;
        ssize_t n = outlog_next(data + at, len - at, &c);
        ck_assert_int_gt(n, 0);
        ck_assert_uint_le(c.len, PIPE_BYTES);
        if (c.stream == OUTLOG_STDOUT) {
            fill(payload, bytes_at(piece.end), c.len);
            ck_assert_int_eq(memcmp(payload, c.data, c.len), 0);
            piece.bytes += c.len;
        }
        at += (size_t)n;
        piece.end += (uint64_t)n;
    }
    return piece;
}

/* All that is kept is true; returns the tail's last stretch without a gap. */
static uint64_t check_files(void)
{
    struct piece head = read_piece("1"), a = read_piece("1.t0"), b = read_piece("1.t1");
    ck_assert_uint_eq(head.first, 0);
    ck_assert_uint_le(head.end, CAP / 2);
    ck_assert_uint_gt(head.end, CAP / 2 - SLACK);
    if (a.end > b.end) {
        struct piece last = a;
        a = b;
        b = last;
    }
    ck_assert_uint_eq(b.end, out.piece_end);
    ck_assert_uint_le(a.end, b.first);
    ck_assert_uint_le(a.end - a.first, CAP / 4 + SLACK);
    ck_assert_uint_le(b.end - b.first, CAP / 4 + SLACK);
    return b.end - (a.end == b.first ? a.first : b.first);
}

static void end_with_files(void)
{
    bool in_memory = true;
    output_finish(&out, &in_memory);
    ck_assert(!in_memory);
    ck_assert_uint_eq(out.pending.cap, 0);
}

START_TEST(the_tail_of_what_comes_fast)
{
    unsigned seed = 1;
    output_begin(&out, dirfd_, 1, CAP, false);
    for (int i = 0; i < 400; i++) {
        uint64_t was = written;
        size_t most = i % 3 == 0 ? 300 : i % 3 == 1 ? 5000 : PIPE_BYTES;
        for (int k = 0; k < 20; k++)
            turn(1 + (size_t)rand_r(&seed) % most, TURN_US);
        ck_assert_uint_gt(written, was);
        ck_assert_uint_le(out.pending.len + out.wrap - out.first, CAP / 4);
        if (i % 40 == 39)
            check_files();
        if (i % 50 == 49) {
            output_flush(&out, now_us); /* asked for */
            ck_assert_uint_gt(check_files(), CAP / 4 - SLACK);
        }
    }
    end_with_files();
    ck_assert_uint_gt(check_files(), CAP / 4 - SLACK);
    ck_assert_uint_gt(written, 50 * MIB);
    ck_assert_uint_eq(out.lost_bytes, 0);
}
END_TEST

START_TEST(what_comes_no_faster_has_no_gap)
{
    output_begin(&out, dirfd_, 1, CAP, false);
    uint64_t seen = 0;
    for (int i = 0; i < 2000; i++) {
        turn(8000, 2 * TURN_US);
        /* Somebody who follows is never behind by more than what waits. */
        ck_assert_uint_le(out.pending.len, 52 * 8005);
        if (out.tail >= 0 && i % 10 == 0) {
            struct piece p = read_piece(out.tail ? "1.t1" : "1.t0"),
                         before = read_piece(out.tail ? "1.t0" : "1.t1");
            ck_assert(p.first <= seen || before.end == 0 || before.first <= seen);
            seen = p.end;
        }
    }
    end_with_files();
    ck_assert_uint_gt(check_files(), CAP / 4);
    ck_assert_uint_eq(written, 16000000);
}
END_TEST

static void limit_files(rlim_t bytes)
{
    struct rlimit l;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &l), 0);
    l.rlim_cur = bytes;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

START_TEST(a_tail_that_cannot_be_written)
{
    output_begin(&out, dirfd_, 1, CAP, false);
    while (out.tail < 0 || out.pending.len == 0)
        turn(PIPE_BYTES, TURN_US);
    const char *last = out.tail ? "1.t1" : "1.t0";
    uint64_t end = out.piece_end;
    ck_assert_uint_eq(read_piece(last).end, end);
    /* It is held, as much as it may be, and is there once the disk takes it. */
    limit_files(MIB / 2);
    for (int i = 0; i < 1000; i++)
        turn(PIPE_BYTES, TURN_US);
    ck_assert(!output_flush(&out, now_us));
    ck_assert_uint_eq(read_piece(last).end, end); /* what is on disk stays */
    ck_assert_uint_eq(out.lost_bytes, 0);
    limit_files(RLIM_INFINITY);
    ck_assert(output_flush(&out, now_us));
    ck_assert_uint_gt(check_files(), CAP / 4 - SLACK);
    /* At the end it is lost, and counted. */
    limit_files(MIB / 2);
    for (int i = 0; i < 400; i++)
        turn(PIPE_BYTES, TURN_US);
    bool in_memory = true;
    output_finish(&out, &in_memory);
    limit_files(RLIM_INFINITY);
    ck_assert(!in_memory);
    ck_assert_uint_gt(out.lost_bytes, CAP / 4 - SLACK);
    ck_assert_uint_le(out.lost_bytes, CAP / 4);
}
END_TEST

START_TEST(a_burst_s_memory_goes_back)
{
    output_begin(&out, dirfd_, 1, CAP, false);
    for (int i = 0; i < 40; i++)
        turn(PIPE_BYTES, TURN_US);
    ck_assert_uint_ge(out.pending.cap, CAP / 4);
    output_flush(&out, now_us);
    turn(100, TURN_US);
    ck_assert(output_flush(&out, now_us));
    ck_assert_uint_eq(out.pending.cap, 0);
    turn(100, TURN_US);
    end_with_files();
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("exec output");
    TCase *t = tcase_create("output");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_tail_of_what_comes_fast);
    tcase_add_test(t, what_comes_no_faster_has_no_gap);
    tcase_add_test(t, a_tail_that_cannot_be_written);
    tcase_add_test(t, a_burst_s_memory_goes_back);
    suite_add_tcase(s, t);
    return s;
}
