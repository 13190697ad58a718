#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/exec.h"
#include "proto/outlog.h"
#include "tests/unit/unit.h"

static const char *const argv[] = {"prog", "", "a b", NULL};
static const char *const env[] = {"PATH=/bin", "X=", NULL};
static const struct exec_limit limits[] = {{7, 10, UINT64_MAX}};

static struct exec_start sample(void)
{
    return (struct exec_start){.number = 1ull << 40,
                               .uid = 1000,
                               .argv = argv,
                               .env = env,
                               .cwd = "/tmp",
                               .input = "in\0put",
                               .input_len = 6,
                               .umask = 027,
                               .grace_ms = 1500,
                               .log_cap_bytes = 5,
                               .window_bytes = 6,
                               .merge_stderr = true,
                               .files = {NULL, "out", "/err"},
                               .append = {false, false, true},
                               .limits = limits,
                               .n_limits = 1};
}

static struct exec_frame only_frame(const struct buf *b)
{
    struct exec_frame f;
    ck_assert_int_eq(exec_frame_parse(b->data, b->len, &f, NULL), (ssize_t)b->len);
    return f;
}

START_TEST(a_start_comes_back)
{
    struct buf b = {0};
    struct exec_start in = sample(), out;
    exec_put_start(&b, &in);
    struct exec_frame f = only_frame(&b);
    ck_assert_int_eq(f.type, EXEC_MSG_START);
    ck_assert(exec_get_start(f.payload, f.len, &out, NULL));
    ck_assert_uint_eq(out.number, in.number);
    ck_assert_uint_eq(exec_peek_number(f.payload, f.len), in.number);
    ck_assert_uint_eq(exec_peek_uid(f.payload, f.len), 1000);
    for (int i = 0; i < 3; i++)
        ck_assert_str_eq(out.argv[i], argv[i]);
    ck_assert_ptr_null(out.argv[3]);
    ck_assert_str_eq(out.env[1], "X=");
    ck_assert_ptr_null(out.env[2]);
    ck_assert_str_eq(out.cwd, "/tmp");
    ck_assert_uint_eq(out.input_len, 6);
    ck_assert_mem_eq(out.input, "in\0put", 6);
    ck_assert_uint_eq(out.umask, 027);
    ck_assert_uint_eq(out.grace_ms, 1500);
    ck_assert_uint_eq(out.window_bytes, 6);
    ck_assert(out.merge_stderr && !out.keep_leftovers);
    ck_assert_ptr_null(out.files[0]);
    ck_assert(strcmp(out.files[1], "out") == 0 && !out.append[1]);
    ck_assert(strcmp(out.files[2], "/err") == 0 && out.append[2]);
    ck_assert_uint_eq(out.n_limits, 1);
    ck_assert_uint_eq(out.limits[0].hard, UINT64_MAX);
    exec_start_release(&out);
    buf_release(&b);
}
END_TEST

/* Whatever is cut off or changed is refused or read, never read past: the sanitizers watch. */
START_TEST(a_damaged_start_is_refused)
{
    struct buf b = {0};
    struct exec_start in = sample(), out;
    exec_put_start(&b, &in);
    struct exec_frame f = only_frame(&b);
    for (size_t n = 0; n < f.len; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, f.payload, n);
        ck_assert(!exec_get_start(copy, n, &out, NULL));
        free(copy);
    }
    for (size_t i = 0; i < f.len * 8; i++) {
        char *copy = malloc(f.len);
        memcpy(copy, f.payload, f.len);
        copy[i / 8] = (char)(copy[i / 8] ^ 1 << i % 8);
        if (exec_get_start(copy, f.len, &out, NULL))
            exec_start_release(&out);
        free(copy);
    }
    buf_release(&b);
}
END_TEST

START_TEST(an_end_comes_back)
{
    struct buf b = {0};
    struct exec_end in = {.number = 9,
                          .outcome = EXEC_SIGNALED,
                          .status = 9,
                          .stopped = true,
                          .log_in_file = true,
                          .text = "why",
                          .pid = 77,
                          .cpu_user_us = 1,
                          .cpu_sys_us = 2,
                          .maxrss_kib = 3,
                          .started_us = 4,
                          .ended_us = 5,
                          .duration_us = 6,
                          .output = "xyz",
                          .output_len = 3,
                          .log_bytes = 8,
                          .log_lost = 9},
                    out;
    exec_put_end(&b, &in);
    struct exec_frame f = only_frame(&b);
    ck_assert(exec_get_end(f.payload, f.len, &out, NULL));
    ck_assert_uint_eq(out.number, 9);
    ck_assert_int_eq(out.outcome, EXEC_SIGNALED);
    ck_assert(out.stopped && out.log_in_file && !out.core_dumped && !out.never_ran);
    ck_assert_str_eq(out.text, "why");
    ck_assert_int_eq(out.duration_us, 6);
    ck_assert_uint_eq(out.log_lost, 9);
    ck_assert_mem_eq(out.output, "xyz", 3);
    for (size_t n = 0; n < f.len; n++)
        ck_assert(!exec_get_end(f.payload, n, &out, NULL));
    buf_release(&b);
}
END_TEST

START_TEST(frames_are_taken_one_by_one)
{
    struct buf b = {0};
    struct exec_frame f;
    struct err err;
    exec_put_stop(&b, 5, 100);
    size_t first = b.len;
    exec_put_notice(&b, 5, "text");
    for (size_t n = 0; n < first; n++)
        ck_assert_int_eq(exec_frame_parse(b.data, n, &f, &err), 0);
    ck_assert_int_eq(exec_frame_parse(b.data, b.len, &f, &err), (ssize_t)first);
    ck_assert_int_eq(f.type, EXEC_MSG_STOP);
    ck_assert_int_eq(exec_frame_parse(b.data + first, b.len - first, &f, &err),
                     (ssize_t)(b.len - first));
    uint64_t number;
    const char *text;
    ck_assert(exec_get_notice(f.payload, f.len, &number, &text));
    ck_assert_str_eq(text, "text");
    ck_assert_int_eq(exec_frame_parse("\0\0\0\0", 4, &f, &err), -1);
    ck_assert_int_eq(exec_frame_parse("\1\0\20\1", 4, &f, &err), -1);
    buf_release(&b);
}
END_TEST

START_TEST(hellos)
{
    struct buf b = {0}, open = {0};
    struct exec_hello h;
    struct err err;
    put_u64(&open, 3);
    put_u64(&open, 8);
    exec_put_hello(&b, 10, open.data, 2);
    struct exec_frame f = only_frame(&b);
    ck_assert(exec_get_hello(f.payload, f.len, &h, &err));
    ck_assert_uint_eq(h.highest, 10);
    ck_assert_uint_eq(h.n_open, 2);
    ck_assert(!exec_get_hello(f.payload, f.len - 8, &h, &err));
    b.data[EXEC_FRAME_HEADER] = 99; /* its version */
    ck_assert(!exec_get_hello(f.payload, f.len, &h, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "versions"));
    buf_clear(&b);
    exec_put_hello_back(&b, 11, "boot");
    f = only_frame(&b);
    uint64_t highest;
    const char *boot;
    ck_assert(exec_get_hello_back(f.payload, f.len, &highest, &boot, &err));
    ck_assert_uint_eq(highest, 11);
    ck_assert_str_eq(boot, "boot");
    buf_release(&b);
    buf_release(&open);
}
END_TEST

START_TEST(output_chunks)
{
    struct buf b = {0}, out = {0};
    struct outlog_chunk c;
    uint64_t lost = 0;
    outlog_put(&b, OUTLOG_STDOUT, "one", 3);
    outlog_put(&b, OUTLOG_STDERR, "two", 3);
    outlog_put_lost(&b, 1000);
    outlog_put(&b, OUTLOG_STDOUT, "", 0);
    outlog_put(&b, OUTLOG_STDOUT, "three", 5);
    ck_assert_uint_eq(outlog_extract(b.data, b.len, OUTLOG_MASK(OUTLOG_STDOUT), &out, &lost),
                      b.len);
    ck_assert_str_eq(buf_cstr(&out), "onethree");
    ck_assert_uint_eq(lost, 1000);
    buf_clear(&out);
    /* The last chunk is not all there. */
    size_t whole = b.len - OUTLOG_CHUNK_HEADER - 5;
    ck_assert_uint_eq(outlog_extract(b.data, b.len - 1, OUTLOG_MASK_ALL, &out, NULL), whole);
    ck_assert_str_eq(buf_cstr(&out), "onetwo");
    ck_assert_int_eq(outlog_next(b.data, 0, &c), 0);
    ck_assert_int_eq(outlog_next("\0\1\0\0\0x", 6, &c), -1);
    ck_assert_int_eq(outlog_next("\1\1\0\1\1x", 6, &c), -1);
    char header[OUTLOG_FILE_HEADER];
    uint64_t position;
    outlog_file_header(header, 1ull << 33);
    ck_assert(outlog_file_header_parse(header, sizeof header, &position));
    ck_assert_uint_eq(position, 1ull << 33);
    ck_assert(!outlog_file_header_parse(header, sizeof header - 1, &position));
    buf_release(&b);
    buf_release(&out);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("exec codec");
    TCase *t = tcase_create("codec");
    tcase_add_test(t, a_start_comes_back);
    tcase_add_test(t, a_damaged_start_is_refused);
    tcase_add_test(t, an_end_comes_back);
    tcase_add_test(t, frames_are_taken_one_by_one);
    tcase_add_test(t, hellos);
    tcase_add_test(t, output_chunks);
    suite_add_tcase(s, t);
    return s;
}
