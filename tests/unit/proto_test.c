#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"
#include "proto/crc32c.h"
#include "proto/err.h"
#include "tests/unit/unit.h"

START_TEST(numbers_come_back)
{
    static const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    struct buf b = {0};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        put_varint(&b, numbers[i]);
        put_svarint(&b, (int64_t)numbers[i]);
        put_u64(&b, numbers[i]);
    }
    put_f64(&b, -0.1);
    put_string(&b, "käse");
    struct reader r = READER(b.data, b.len);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        ck_assert_uint_eq(get_varint(&r), numbers[i]);
        ck_assert_int_eq(get_svarint(&r), (int64_t)numbers[i]);
        ck_assert_uint_eq(get_u64(&r), numbers[i]);
    }
    ck_assert_double_eq(get_f64(&r), -0.1);
    char *s = get_string(&r);
    ck_assert_str_eq(s, "käse");
    free(s);
    ck_assert(reader_done(&r));
    buf_release(&b);
}
END_TEST

START_TEST(decimal_numbers)
{
    struct buf b = {0};
    buf_addint(&b, INT64_MIN);
    buf_addch(&b, ' ');
    buf_addint(&b, -7);
    buf_addch(&b, ' ');
    buf_adduint(&b, 0);
    buf_addch(&b, ' ');
    buf_adduint(&b, UINT64_MAX);
    ck_assert_str_eq(buf_cstr(&b), "-9223372036854775808 -7 0 18446744073709551615");
    buf_release(&b);
}
END_TEST

/* Whatever room there is. */
START_TEST(formatted_text_fits)
{
    for (int len = 0; len < 40; len++) {
        struct buf b = {0};
        for (int i = 0; i < 3; i++)
            buf_printf(&b, "%0*d", len + 1, i);
        ck_assert_uint_eq(b.len, 3 * ((size_t)len + 1));
        ck_assert_int_eq(buf_cstr(&b)[b.len - 1], '2');
        ck_assert_int_eq(b.data[(size_t)len], '0');
        buf_release(&b);
    }
}
END_TEST

START_TEST(short_input_fails_and_stays_failed)
{
    struct reader r = READER("\x05"
                             "abc",
                             4);
    size_t n;
    get_bytes(&r, &n);
    ck_assert(r.failed);
    ck_assert_uint_eq(n, 0);
    ck_assert_uint_eq(get_u8(&r), 0);
    ck_assert(!reader_done(&r));
    struct reader endless = READER("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
    get_varint(&endless);
    ck_assert(endless.failed);
}
END_TEST

START_TEST(crc_of_the_rfc)
{
    unsigned char zeros[32] = {0};
    ck_assert_uint_eq(crc32c(0, zeros, sizeof zeros), 0x8a9136aau); /* RFC 3720, B.4 */
    ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283u);
}
END_TEST

START_TEST(errors_are_cut_not_overrun)
{
    struct err e;
    char big[2000];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    ck_assert(!err_set(&e, 5, "%s", big));
    ck_assert(!err_prefix(&e, "%s", "open"));
    ck_assert_uint_lt(strlen(e.text), sizeof e.text);
    ck_assert_int_eq(strncmp(e.text, "open: xxx", 9), 0);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("proto");
    TCase *t = tcase_create("base");
    tcase_add_test(t, numbers_come_back);
    tcase_add_test(t, decimal_numbers);
    tcase_add_test(t, formatted_text_fits);
    tcase_add_test(t, short_input_fails_and_stays_failed);
    tcase_add_test(t, crc_of_the_rfc);
    tcase_add_test(t, errors_are_cut_not_overrun);
    suite_add_tcase(s, t);
    return s;
}
