#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/json_scan.h"
#include "tests/unit/unit.h"

static void feed(struct frame_reader *r, const char *bytes, size_t n)
{
    memcpy(frame_reader_space(r, n), bytes, n);
    frame_reader_got(r, n);
}

static void feed_text(struct frame_reader *r, const char *text)
{
    feed(r, text, strlen(text));
}

static void expect(struct frame_reader *r, bool ended, const char *wanted)
{
    const char *text;
    size_t len;
    ck_assert_int_eq(frame_next(r, ended, &text, &len), FRAME_MESSAGE);
    ck_assert_uint_eq(len, strlen(wanted));
    ck_assert(memcmp(text, wanted, len) == 0);
}

static void expect_result(struct frame_reader *r, bool ended, enum frame_result wanted)
{
    const char *text;
    size_t len;
    ck_assert_int_eq(frame_next(r, ended, &text, &len), wanted);
}

START_TEST(lines_however_they_come)
{
    static const char stream[] = "{\"a\":1}\r\n\n\r\n[2]\n{\"käse\":3}";
    for (size_t step = 1; step < sizeof stream; step++) {
        struct frame_reader r;
        size_t got = 0;
        static const char *const wanted[] = {"{\"a\":1}", "[2]", "{\"käse\":3}"};
        frame_reader_init(&r, 100);
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t n = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
            feed(&r, stream + at, n);
            const char *text;
            size_t len;
            while (frame_next(&r, false, &text, &len) == FRAME_MESSAGE) {
                ck_assert_uint_eq(len, strlen(wanted[got]));
                ck_assert(memcmp(text, wanted[got++], len) == 0);
            }
        }
        ck_assert_uint_eq(got, 2);
        ck_assert(frame_is_partial(&r));
        expect(&r, true, wanted[2]); /* no LF, but the stream has ended */
        expect_result(&r, true, FRAME_MORE);
        ck_assert(!frame_is_partial(&r));
        frame_reader_release(&r);
    }
}
END_TEST

START_TEST(headers_however_they_come)
{
    static const char stream[] = "Content-Length: 4\r\n\r\n[1]\n"
                                 "content-type: x\ncontent-length:  3 \n\n[2]"
                                 "Content-Length: 0\r\n\r\n";
    for (size_t step = 1; step < sizeof stream; step++) {
        struct frame_reader r;
        size_t got = 0;
        static const char *const wanted[] = {"[1]\n", "[2]", ""};
        frame_reader_init(&r, 100);
        for (size_t at = 0; at < sizeof stream - 1; at += step) {
            size_t n = sizeof stream - 1 - at < step ? sizeof stream - 1 - at : step;
            feed(&r, stream + at, n);
            const char *text;
            size_t len;
            while (frame_next(&r, false, &text, &len) == FRAME_MESSAGE) {
                ck_assert_uint_eq(len, strlen(wanted[got]));
                ck_assert(memcmp(text, wanted[got++], len) == 0);
            }
        }
        ck_assert_uint_eq(got, 3);
        ck_assert_int_eq(r.mode, FRAME_HEADERS);
        frame_reader_release(&r);
    }
}
END_TEST

START_TEST(a_long_line_is_skipped_in_little_memory)
{
    struct frame_reader r;
    char piece[1000];
    memset(piece, 'x', sizeof piece);
    frame_reader_init(&r, 5000);
    for (int i = 0; i < 10000; i++) {
        feed(&r, piece, sizeof piece);
        expect_result(&r, false, FRAME_MORE);
        ck_assert_uint_lt(r.in.cap, 64 * 1024);
    }
    ck_assert(frame_is_partial(&r));
    feed_text(&r, "\n[1]\n");
    expect_result(&r, false, FRAME_TOO_LONG);
    expect(&r, false, "[1]");
    for (int i = 0; i < 6; i++)
        feed(&r, piece, sizeof piece);
    feed_text(&r, "\n"); /* all there at once, and still too long */
    expect_result(&r, false, FRAME_TOO_LONG);
    feed_text(&r, "[2]");
    expect(&r, true, "[2]");
    frame_reader_release(&r);
}
END_TEST

START_TEST(a_long_body_is_skipped_in_little_memory)
{
    struct frame_reader r;
    char piece[1000] = {0};
    frame_reader_init(&r, 5000);
    feed_text(&r, "Content-Length: 1000000\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        expect_result(&r, false, FRAME_MORE);
        feed(&r, piece, sizeof piece);
        ck_assert_uint_lt(r.in.cap, 64 * 1024);
    }
    feed_text(&r, "Content-Length: 3\r\n\r\n[1]");
    expect_result(&r, false, FRAME_TOO_LONG);
    expect(&r, false, "[1]");
    frame_reader_release(&r);
}
END_TEST

static const char *const broken[] = {
    "Content-Length: x\r\n\r\n",
    "Content-Length: -1\r\n\r\n",
    "Content-Length:\r\n\r\n",
    "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "Content-Length: 99999999999999999999999\r\n\r\n",
    "Content-Type: json\r\n\r\n",
    "Content\r\n\r\n",
    "C\n",
};

START_TEST(headers_without_sense_are_refused)
{
    struct frame_reader r;
    frame_reader_init(&r, 5000);
    feed_text(&r, broken[_i]);
    expect_result(&r, false, FRAME_BROKEN);
    frame_reader_release(&r);
}
END_TEST

START_TEST(headers_without_end_are_refused)
{
    struct frame_reader r;
    frame_reader_init(&r, 1 << 20);
    feed_text(&r, "Content-Type: ");
    for (int i = 0; i < 500; i++)
        feed_text(&r, "0123456789");
    expect_result(&r, false, FRAME_BROKEN);
    frame_reader_release(&r);
}
END_TEST

START_TEST(writing)
{
    struct buf b = {0};
    frame_put(&b, FRAME_LINES, "[1]", 3);
    frame_put(&b, FRAME_HEADERS, "[2]", 3);
    ck_assert_str_eq(buf_cstr(&b), "[1]\nContent-Length: 3\r\n\r\n[2]");
    buf_release(&b);
}
END_TEST

/* json_scan: what a message goes through before a parser sees it. */

static const struct {
    const char *text;
    bool good;
} texts[] = {
    {"{}", true},
    {" [ ] ", true},
    {"[1,-0.5e+3,\"\\u00e4\\n\",true,false,null,{\"a\":[{}]}]", true},
    {"0", true},
    {"\"x\"", true},
    {"-0", true},
    {"", false},
    {" ", false},
    {"[", false},
    {"]", false},
    {"{", false},
    {"{]", false},
    {"[}", false},
    {"[1,]", false},
    {"[,1]", false},
    {"{\"a\"}", false},
    {"{\"a\":}", false},
    {"{\"a\":1,}", false},
    {"{1:2}", false},
    {"{\"a\":1 \"b\":2}", false},
    {"01", false},
    {"1.", false},
    {".5", false},
    {"1e", false},
    {"-", false},
    {"+1", false},
    {"tru", false},
    {"nulll", false},
    {"\"", false},
    {"\"\\x\"", false},
    {"\"\\u12g4\"", false},
    {"\"\t\"", false},
    {"[1] [2]", false},
    {"{} x", false},
    {"'a'", false},
    {"NaN", false},
};

START_TEST(syntax)
{
    struct err err = {0};
    bool good = json_scan_check(texts[_i].text, strlen(texts[_i].text), 64, &err);
    ck_assert_msg(good == texts[_i].good, "%s", texts[_i].text);
    if (!good)
        ck_assert_int_eq(err.code, ERR_PARSE);
}
END_TEST

START_TEST(depth)
{
    char text[300];
    struct err err;
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    ck_assert(json_scan_check(text, 128, 64, &err));
    ck_assert(!json_scan_check(text, 128, 63, &err));
    ck_assert_int_eq(err.code, ERR_TOO_LARGE);
    size_t n = 1000 * 1000;
    char *many = malloc(n);
    memset(many, '[', n);
    for (int i = 0; i < 100000; i++) /* only the first 65 are looked at */
        ck_assert(!json_scan_check(many, n, 64, NULL));
    free(many);
}
END_TEST

static bool is(struct slice s, const char *text)
{
    return s.p && s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

START_TEST(members)
{
    static const char text[] =
        " { \"a\" : [1, {\"b\":2}] ,\"b\":\"}\\\"\" , \"c\":{}, \"a\" : -1 } ";
    struct slice all = {text, sizeof text - 1}, key, value;
    static const char *const keys[] = {"\"a\"", "\"b\"", "\"c\"", "\"a\""};
    static const char *const values[] = {"[1, {\"b\":2}]", "\"}\\\"\"", "{}", "-1"};
    size_t at = 0, n = 0;
    while (json_scan_next(all, &at, &key, &value)) {
        ck_assert(is(key, keys[n]));
        ck_assert(is(value, values[n++]));
    }
    ck_assert_uint_eq(n, 4);
    ck_assert(is(json_scan_member(all, "a"), "-1")); /* the last one counts */
    ck_assert(!json_scan_member(all, "d").p);
    struct slice list = {values[0], strlen(values[0])};
    ck_assert(is(json_scan_item(list, 0), "1"));
    ck_assert(is(json_scan_item(list, 1), "{\"b\":2}"));
    ck_assert(!json_scan_item(list, 2).p);
    ck_assert(!json_scan_item((struct slice){"[ ]", 3}, 0).p);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("frame");
    TCase *t = tcase_create("all");
    tcase_add_test(t, lines_however_they_come);
    tcase_add_test(t, headers_however_they_come);
    tcase_add_test(t, a_long_line_is_skipped_in_little_memory);
    tcase_add_test(t, a_long_body_is_skipped_in_little_memory);
    tcase_add_loop_test(t, headers_without_sense_are_refused, 0,
                        (int)(sizeof broken / sizeof *broken));
    tcase_add_test(t, headers_without_end_are_refused);
    tcase_add_test(t, writing);
    tcase_add_loop_test(t, syntax, 0, (int)(sizeof texts / sizeof *texts));
    tcase_add_test(t, depth);
    tcase_add_test(t, members);
    suite_add_tcase(s, t);
    return s;
}
