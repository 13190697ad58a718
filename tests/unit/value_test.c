#include "daemon/lang/value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "daemon/lang/utf8.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

static struct value *parse(const char *text)
{
    struct err err = {0};
    struct value *v = value_parse(text, strlen(text), 100, &err);
    ck_assert_msg(v != NULL, "%s: %s", text, err.text);
    return v;
}

static char *write_json(const struct value *v, enum json_style style)
{
    struct buf out = {0};
    value_write(&out, v, style);
    buf_cstr(&out);
    return buf_steal(&out);
}

START_TEST(json_comes_back)
{
    static const char *const texts[] = {
        "null",
        "true",
        "[]",
        "{}",
        "-9223372036854775808",
        "9223372036854775807",
        "0.1",
        "3.0",
        "-0.0",
        "1e+16",
        "1000000000000000.0",
        "1e-05",
        "0.0001",
        "5e-324",
        "1.7976931348623157e+308",
        "5.684341886080802e-14",
        "123456789.125",
        "\"k\xc3\xa4se \\u0000\\u001f\\n\\\"\\\\/\"",
        "{\"b\":[1,2,{\"a\":null}],\"a\":{\"x\":\"y\"}}",
        "{\"k9\":1,\"k1\":2,\"k8\":3,\"k2\":4,\"k7\":5,\"k3\":6,\"k6\":7,\"k4\":8,\"k5\":9}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct value *v = parse(texts[i]);
        cleanup_free char *text = write_json(v, JSON_STYLE_COMPACT);
        ck_assert_str_eq(text, texts[i]);
        value_unref(v);
    }
}
END_TEST

START_TEST(spaced_as_print_shows)
{
    struct value *v = parse("{\"a\":[1,2.0,\"x\"],\"b\":{}}");
    cleanup_free char *text = write_json(v, JSON_STYLE_SPACED);
    ck_assert_str_eq(text, "{\"a\": [1, 2.0, \"x\"], \"b\": {}}");
    value_unref(v);
}
END_TEST

START_TEST(bad_json_is_refused)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"{\"a\": 1,\n \"a\": 2}", "line 2, column 4: duplicate object key near '\"a\"'"},
        {"[1,\n2", "line 2, column 1: ']' expected near end of file"},
        {"9223372036854775808", "line 1, column 19: too big integer near '9223372036854775808'"},
        {"[1e999]", "line 1, column 6: real number overflow near '1e999'"},
        {"\"\xff\"", "line 1, column 1: unable to decode byte 0xff near '\"'"},
        {"[[[\"]\", [[", "line 1, column 10: nested deeper than 4 levels"},
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        ck_assert_ptr_null(value_parse(cases[i].text, strlen(cases[i].text), 4, &err));
        if (strlen(cases[i].text) > 0)
            ck_assert_str_eq(err.text, cases[i].error);
    }
    size_t n = 1000000;
    cleanup_free char *deep = xmalloc(n);
    memset(deep, '[', n);
    struct err err;
    ck_assert_ptr_null(value_parse(deep, n, 200, &err));
}
END_TEST

START_TEST(objects_keep_order_and_find_members)
{
    enum { N = 100 };
    struct value_member m[2 * N];
    for (int i = 0; i < 2 * N; i++) {
        char key[16];
        int k = i < N ? i * 37 % N : i - N;
        snprintf(key, sizeof key, "k%d", k);
        m[i] = (struct value_member){value_text(key), value_int(i)};
    }
    struct value *v = value_object(m, 2 * N);
    ck_assert_uint_eq(value_count(v), N);
    for (int i = 0; i < N; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        ck_assert_int_eq(value_get_int(value_find(v, key)), N + i); /* the last one wins … */
        snprintf(key, sizeof key, "k%d", i * 37 % N);
        ck_assert_str_eq(value_get_string(value_member(v, (size_t)i)->key, NULL),
                         key); /* … at the first one's place */
    }
    ck_assert_ptr_null(value_find(v, "k100"));
    ck_assert_ptr_null(value_find(v, ""));
    cleanup_value struct value *one = value_int(1);
    struct value *w = value_with(v, "new", one), *x = value_with(w, "k3", one);
    ck_assert_uint_eq(value_count(w), N + 1);
    ck_assert_uint_eq(value_count(x), N + 1);
    ck_assert(value_find(x, "k3") == one);
    ck_assert_int_eq(value_get_int(value_find(v, "k3")), N + 3);
    value_unref(v);
    value_unref(w);
    value_unref(x);
}
END_TEST

START_TEST(depth_and_size_are_limited)
{
    struct value *v = value_null();
    for (int i = 0; i < VALUE_MAX_DEPTH; i++) {
        v = value_list(&v, 1);
        ck_assert_ptr_nonnull(v);
        ck_assert_uint_eq(value_depth(v), (unsigned)i + 1);
    }
    struct value_member m = {value_text("k"), value_ref(v)};
    ck_assert_ptr_null(value_object(&m, 1));
    ck_assert_ptr_null(value_list(&v, 1)); /* releases v */
    cleanup_free char *big = xcalloc(1, VALUE_MAX_BYTES / 2);
    struct value *half = value_string(big, VALUE_MAX_BYTES / 2), *pair[] = {half, value_ref(half)};
    ck_assert_ptr_null(value_list(pair, 2));
    /* Shared parts count each time, so what is written stays small, too. */
    v = value_text("0123456789");
    unsigned doublings = 0;
    for (struct value *next;; v = next, doublings++) {
        struct value *two[] = {v, value_ref(v)};
        next = value_list(two, 2);
        if (!next)
            break;
    }
    ck_assert_uint_lt(doublings, 25);
}
END_TEST

START_TEST(numbers_are_compared_by_value)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"9007199254740993", "9007199254740992.0", false},
        {"[1, {\"a\": 2, \"b\": []}]", "[1.0, {\"b\": [], \"a\": 2}]", true},
        {"{\"a\": 1}", "{\"b\": 1}", false},
        {"{\"a\": 1}", "{\"a\": 1, \"b\": 1}", false},
        {"[1, 2]", "[1]", false},
        {"\"1\"", "1", false},
        {"null", "false", false},
        {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct value *a = parse(cases[i].a), *b = parse(cases[i].b);
        ck_assert_msg(value_equal(a, b) == cases[i].equal, "%s == %s", cases[i].a, cases[i].b);
        ck_assert(value_equal(b, a) == cases[i].equal);
        value_unref(a);
        value_unref(b);
    }
    ck_assert(value_real(NAN) == value_null() && value_real(INFINITY) == value_null());
}
END_TEST

/* Most integers are no memory; the largest are. */
START_TEST(integers_of_any_size_are_the_same)
{
    static const int64_t borders[] = {0, INT64_C(1) << 62, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_LEN(borders); i++) {
        for (int64_t by = -3; by <= 3; by++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                int64_t n = (int64_t)(((uint64_t)borders[i] + (uint64_t)by) * (uint64_t)sign);
                cleanup_value struct value *v = value_int(n), *same = value_int(n);
                cleanup_value struct value *next = value_int(n == INT64_MAX ? n - 1 : n + 1);
                cleanup_value struct value *list = value_list(&(struct value *){value_ref(v)}, 1);
                char text[32];
                ck_assert_int_eq(value_type(v), VALUE_INT);
                ck_assert_int_eq(value_get_int(v), n);
                ck_assert(value_equal(v, same));
                ck_assert(!value_equal(v, next));
                ck_assert_uint_eq(value_bytes(v), 16);
                ck_assert_uint_eq(value_depth(list), 1);
                ck_assert(!value_has_handles(list));
                snprintf(text, sizeof text, "[%" PRId64 "]", n);
                cleanup_free char *shown = write_json(list, JSON_STYLE_COMPACT);
                ck_assert_str_eq(shown, text);
                cleanup_value struct value *read = parse(text);
                ck_assert(value_equal(read, list));
                struct buf b = {0};
                value_save(&b, list);
                struct reader r = READER(b.data, b.len);
                cleanup_value struct value *back = value_load(&r, NULL, NULL);
                ck_assert(back && reader_done(&r) && value_equal(back, list));
                buf_release(&b);
            }
        }
    }
}
END_TEST

START_TEST(bytes_become_text_or_base64)
{
    static const struct {
        const char *bytes, *json;
    } cases[] = {
        {"abc", "\"abc\""},
        {"\xff", "{\"base64\":\"/w==\"}"},
        {"\xff\xfe", "{\"base64\":\"//4=\"}"},
        {"\xff\xfe\x01", "{\"base64\":\"//4B\"}"},
        {"\xc0\x80", "{\"base64\":\"wIA=\"}"},             /* overlong */
        {"\xed\xa0\x80", "{\"base64\":\"7aCA\"}"},         /* a surrogate */
        {"\xf4\x90\x80\x80", "{\"base64\":\"9JCAgA==\"}"}, /* above U+10FFFF */
        {"\xe2\x82", "{\"base64\":\"4oI=\"}"},             /* cut */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t len = strlen(cases[i].bytes);
        struct value *v = value_from_bytes(cases[i].bytes, len);
        cleanup_free char *text = write_json(v, JSON_STYLE_COMPACT);
        ck_assert_str_eq(text, cases[i].json);
        struct buf out = {0};
        ck_assert(value_to_bytes(v, &out));
        ck_assert_uint_eq(out.len, len);
        ck_assert_mem_eq(out.data, cases[i].bytes, len);
        buf_release(&out);
        value_unref(v);
    }
    static const char *const bad[] = {"1",
                                      "{\"base64\": 1}",
                                      "{\"base64\": \"abc\"}",
                                      "{\"base64\": \"a=bc\"}",
                                      "{\"base64\": \"a===\"}",
                                      "{\"base64\": \"\", \"x\": 1}",
                                      "{\"base64\": \"\\u0000AAA\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct value *v = parse(bad[i]);
        struct buf out = {0};
        ck_assert_msg(!value_to_bytes(v, &out) && out.len == 0, "%s", bad[i]);
        buf_release(&out);
        value_unref(v);
    }
}
END_TEST

static unsigned released;

static void release(void *object)
{
    (void)object;
    released++;
}

static void text(void *object, struct buf *out)
{
    buf_addstr(out, object);
}

static const struct handle_class test_class = {"task", NULL, text, release};
static char object[] = "<task \"a\">";

static struct value *resolve(void *arg, const char *kind, uint64_t id)
{
    ck_assert_str_eq(kind, "task");
    ck_assert_uint_eq(id, 7);
    return value_handle(&test_class, arg, id);
}

START_TEST(saved_values_come_back)
{
    struct value *items[] = {
        parse("{\"a\": [1, -2, 0.1, \"x\\u0000y\", true, false, null], \"b\": {}}"),
        value_handle(&test_class, object, 7)};
    struct value *v = value_list(items, 2);
    struct buf b = {0};
    value_save(&b, v);
    struct reader r = READER(b.data, b.len);
    struct value *w = value_load(&r, resolve, object);
    ck_assert(w && reader_done(&r) && value_equal(v, w));
    cleanup_free char *shown = write_json(w, JSON_STYLE_COMPACT);
    ck_assert_str_eq(shown, "[{\"a\":[1,-2,0.1,\"x\\u0000y\",true,false,null],\"b\":{}},"
                            "\"<task \\\"a\\\">\"]");
    value_unref(w);
    for (size_t n = 0; n < b.len; n++) {
        struct reader cut = READER(b.data, n);
        ck_assert_ptr_null(value_load(&cut, resolve, object));
    }
    value_unref(v);
    ck_assert_uint_ge(released, 2);
    buf_release(&b);
    for (int i = 0; i < 1000; i++) /* nested lists without an end, and a count of nothing */
        buf_addstr(&b, "\x06\x01");
    buf_addstr(&b, "\x06\xff\xff\xff\xff\x0f");
    r = READER(b.data, b.len);
    ck_assert_ptr_null(value_load(&r, NULL, NULL));
    r = READER(b.data + 2000, 6);
    ck_assert_ptr_null(value_load(&r, NULL, NULL));
    buf_release(&b);
}
END_TEST

START_TEST(errors_are_values)
{
    struct value *data = value_int(3), *cause = error_new("KeyError", "'%s'", "k");
    struct value *e = error_make("CommandError", "exit \xff", data, cause);
    cleanup_free char *shown = write_json(e, JSON_STYLE_COMPACT);
    ck_assert_str_eq(shown, "{\"type\":\"CommandError\",\"message\":\"exit ?\",\"data\":3,"
                            "\"cause\":{\"type\":\"KeyError\",\"message\":\"'k'\"}}");
    ck_assert(error_matches(e, "CommandError") && error_matches(e, "Exception"));
    ck_assert(error_matches(e, "BaseException") && !error_matches(e, "KeyError"));
    struct value *c = error_new("CancelledError", "%s", "");
    ck_assert(!error_matches(c, "Exception") && error_matches(c, "BaseException"));
    value_unref(data);
    value_unref(cause);
    value_unref(e);
    value_unref(c);
}
END_TEST

START_TEST(characters_are_counted)
{
    const char *s = "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z";
    ck_assert(utf8_valid(s, strlen(s)));
    ck_assert_uint_eq(utf8_count(s, strlen(s)), 5);
    ck_assert_uint_eq(utf8_offset(s, strlen(s), 3), 6);
    ck_assert_uint_eq(utf8_offset(s, strlen(s), 9), strlen(s));
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("value");
    TCase *t = tcase_create("value");
    tcase_add_test(t, json_comes_back);
    tcase_add_test(t, spaced_as_print_shows);
    tcase_add_test(t, bad_json_is_refused);
    tcase_add_test(t, objects_keep_order_and_find_members);
    tcase_add_test(t, depth_and_size_are_limited);
    tcase_add_test(t, numbers_are_compared_by_value);
    tcase_add_test(t, integers_of_any_size_are_the_same);
    tcase_add_test(t, bytes_become_text_or_base64);
    tcase_add_test(t, saved_values_come_back);
    tcase_add_test(t, errors_are_values);
    tcase_add_test(t, characters_are_counted);
    suite_add_tcase(s, t);
    return s;
}
