/* The client's own reading and writing of text: durations, safe text, words, placeholders, places.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/canvas.h"
#include "client/command.h"
#include "client/map_words.h"
#include "client/outcome.h"
#include "client/place.h"
#include "client/text.h"
#include "client/words.h"
#include "proto/mem.h"
#include "tests/unit/unit.h"

static char shown[4096];

static const char *show(struct buf *b)
{
    snprintf(shown, sizeof(shown), "%s", buf_cstr(b));
    buf_release(b);
    return shown;
}

static const char *duration(double s)
{
    struct buf b = {0};
    text_put_duration(&b, s);
    return show(&b);
}

START_TEST(durations)
{
    static const struct {
        const char *text;
        double s;
    } good[] = {{"90", 90}, {"1.5", 1.5}, {"10m", 600}, {"1h30m", 5400}, {"250ms", 0.25}, {"0", 0}};
    static const char *const bad[] = {"", "x", "1x", "-1", "nan", "inf", " 1"};
    double s = -1;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(text_duration(good[i].text, &s, NULL), "%s", good[i].text);
        ck_assert_double_eq_tol(s, good[i].s, 1e-9);
    }
    s = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!text_duration(bad[i], &s, NULL), "\"%s\" was taken", bad[i]);
    ck_assert_double_eq(s, 7);
    ck_assert_str_eq(duration(0.0042), "4ms");
    ck_assert_str_eq(duration(0.25), "0.2s");
    ck_assert_str_eq(duration(12.4), "12s");
    ck_assert_str_eq(duration(250), "4m10s");
    ck_assert_str_eq(duration(3 * 3600 + 5 * 60), "3h05m");
    ck_assert_str_eq(duration(5 * 86400 + 7200), "5d2h");
    ck_assert_str_eq(duration(-3), "0ms");
}
END_TEST

START_TEST(moments)
{
    /* 2026-11-20 11:15:30 UTC; the tests run in UTC. */
    const double now = 1795173330;
    static const struct {
        const char *text;
        double s;
    } good[] = {{"2026-11-20T11:15:30Z", 1795173330},
                {"2026-11-20T12:15:30.5+01:00", 1795173330.5},
                {"2026-11-20", 1795132800},
                {"2026-11-20 11:15", 1795173300},
                {"2026-11-20T11:15:29", 1795173329},
                {"1h", 1795173330 - 3600},
                {"90", 1795173330 - 90},
                {"10:00", 1795168800},
                {"10:00:05", 1795168805}};
    static const char *const bad[] = {"",    "x",     "25:00", "2026-13-01", "2026-11-20 x",
                                      "-1h", "10:00 "};
    double s = 7;
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!text_moment(bad[i], now, &s, NULL), "\"%s\" was taken", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(text_moment(good[i].text, now, &s, NULL), "%s", good[i].text);
        ck_assert_double_eq_tol(s, good[i].s, 1e-3);
    }
}
END_TEST

static const char *safe(const char *s, size_t max, bool utf8, size_t *columns)
{
    struct buf b = {0};
    *columns = text_put_safe(&b, s, strlen(s), max, utf8);
    return show(&b);
}

START_TEST(safe_text)
{
    size_t n;
    ck_assert_str_eq(safe("a\033[2Jb\n\x7f", 0, true, &n), "a\\x1b[2Jb\\n\\x7f");
    ck_assert_uint_eq(n, strlen(shown));
    ck_assert_str_eq(safe("\xc2\x9b\xe2\x80\xae\xff", 0, true, &n), "\\x9b\\u202e\\xff");
    ck_assert_str_eq(safe("\xc3\xa9t\xc3\xa9", 0, true, &n), "\xc3\xa9t\xc3\xa9");
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(safe("\xc3\xa9t\xc3\xa9", 0, false, &n), "?t?");
    ck_assert_str_eq(safe("abcdef", 6, true, &n), "abcdef");
    ck_assert_str_eq(safe("abcdefg", 6, true, &n), "abcde…");
    ck_assert_uint_eq(n, 6);
    ck_assert_str_eq(safe("abcdefg", 6, false, &n), "abc...");
    /* An escape is never cut in the middle, a wide character neither. */
    ck_assert_str_eq(safe("ab\033cdefgh", 6, true, &n), "ab…");
    ck_assert_str_eq(safe("日本語日本語", 6, true, &n), "日本…");
    ck_assert_uint_eq(n, 5);
    ck_assert_uint_eq(text_columns("\033[31m日本\033[0m!", strlen("\033[31m日本\033[0m!")), 5);
}
END_TEST

static const char *canvas_shown(struct canvas *c)
{
    cleanup_free char *text = canvas_text(c);
    snprintf(shown, sizeof(shown), "%s", text);
    return shown;
}

START_TEST(canvases)
{
    struct screen s = {.utf8 = true};
    struct canvas c;
    canvas_init(&c, &s, 3, 8);
    ck_assert_str_eq(canvas_shown(&c), "\n\n\n");
    ck_assert_uint_eq(canvas_put(&c, 0, 2, 0, STYLE_RED, "ab"), 4);
    ck_assert_uint_eq(canvas_cell(&c, 0, 3)->style, STYLE_RED);
    ck_assert_uint_eq(canvas_put(&c, 1, 0, 4, STYLE_PLAIN, "abcdef"), 4);       /* cut */
    ck_assert_uint_eq(canvas_put(&c, 2, 6, 0, STYLE_PLAIN, "\xe6\x97\xa5"), 8); /* two columns */
    ck_assert_str_eq(canvas_shown(&c), "  ab\nabc…\n      \xe6\x97\xa5\n");
    /* Nothing is written outside, not even the half of a wide character. */
    ck_assert_uint_eq(canvas_put(&c, 0, 7, 0, STYLE_PLAIN, "\xe6\x97\xa5"), 8);
    ck_assert_uint_eq(canvas_put(&c, 7, 0, 0, STYLE_PLAIN, "x"), 0);
    ck_assert_uint_eq(canvas_put(&c, 0, 9, 0, STYLE_PLAIN, "x"), 9);
    canvas_reverse(&c, 9, 0, 9);
    canvas_reverse(&c, 1, 6, 9);
    ck_assert(canvas_cell(&c, 1, 7)->reverse && !canvas_cell(&c, 1, 5)->reverse);
    /* What combines stands with what is before it; what a terminal obeys is made visible. */
    canvas_wipe(&c, 0, 0, 3, 8);
    canvas_put(&c, 0, 0, 0, STYLE_PLAIN, "e\xcc\x81x");
    canvas_put(&c, 1, 0, 0, STYLE_PLAIN, "\033[m");
    canvas_rule(&c, 2, 0, 8, true, "");
    ck_assert_str_eq(canvas_shown(&c), "e\xcc\x81x\n\\x1b[m\n━━━━━━━━\n");
    canvas_release(&c);
    s.utf8 = false;
    canvas_init(&c, &s, 1, 4);
    canvas_put(&c, 0, 0, 0, STYLE_PLAIN, "\xc3\xa9t\xc3\xa9s!");
    ck_assert_str_eq(canvas_shown(&c), "?...\n");
    canvas_release(&c);
}
END_TEST

START_TEST(utf8)
{
    static const char *const bad[] = {
        "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80",        "\xf4\x90\x80\x80",
        "\x80",     "\xc3",         "\xf8\x88\x80\x80\x80"};
    int32_t c;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_uint_eq(text_utf8(bad[i], strlen(bad[i]), &c), 1);
        ck_assert_int_eq(c, -1);
        ck_assert(!text_is_utf8(bad[i], strlen(bad[i])));
    }
    ck_assert_uint_eq(text_utf8("\xf0\x9f\x98\x80", 4, &c), 4);
    ck_assert_int_eq(c, 0x1f600);
}
END_TEST

START_TEST(words)
{
    unsigned char all[256];
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (unsigned char)i;
    for (size_t len = 0; len <= sizeof(all); len++) {
        struct buf back = {0};
        json_t *v = word_plain((const char *)all + sizeof(all) - len, len);
        const json_t *text = json_is_string(v) ? v : json_object_get(v, "base64");
        ck_assert(word_decode(json_string_value(text), json_string_length(text),
                              text == v ? "utf-8" : "base64", &back));
        ck_assert_uint_eq(back.len, len);
        ck_assert(len == 0 || memcmp(back.data, all + sizeof(all) - len, len) == 0);
        json_decref(v);
        buf_release(&back);
    }
    json_t *v = word_escaped("${a} $${b} $ {", 14);
    ck_assert_str_eq(json_string_value(v), "$${a} $$${b} $ {");
    json_decref(v);
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"it's a b"}, (char[]){""}};
    char *line = words_line(argv, 4, 100);
    ck_assert_str_eq(line, "sh -c 'it'\\''s a b' ''");
    free(line);
}
END_TEST

static const char *item(const char *word, const char *value)
{
    char *argv[] = {(char *)(uintptr_t)word, (char[]){":::"}, (char *)(uintptr_t)value};
    struct map_words m;
    ck_assert(map_words_read(&m, 3, argv, false, NULL));
    ck_assert_uint_eq(m.n, 1);
    json_t *list = map_words_item(&m, 0);
    snprintf(shown, sizeof(shown), "%s%s", json_string_value(json_array_get(list, 0)),
             json_array_size(list) > 1 ? " +" : "");
    json_decref(list);
    map_words_release(&m);
    return shown;
}

START_TEST(placeholders)
{
    ck_assert_str_eq(item("{}", "/a/b.c"), "/a/b.c");
    ck_assert_str_eq(item("<{.}>", "/a.d/b.c"), "</a.d/b>");
    ck_assert_str_eq(item("{.}", "/a.d/b"), "/a.d/b");
    ck_assert_str_eq(item("{.}", "/a/.b"), "/a/.b");
    ck_assert_str_eq(item("{/}|{//}|{/.}", "/a/b.c"), "b.c|/a|b");
    ck_assert_str_eq(item("{//}", "b"), ".");
    ck_assert_str_eq(item("{//}", "/b"), "/");
    ck_assert_str_eq(item("{#}{1}{2}{x}{", "v"), "1v{2}{x}{");
    ck_assert_str_eq(item("{x}", "v"), "{x} +"); /* none: the value is the last word */
    ck_assert_str_eq(item("{}", "{#}${x}"), "{#}${x}");
}
END_TEST

START_TEST(places)
{
    static const char text[] =
        "{\"main\": [\n  {\"print\": 1},\n  {\"a/b~\":\n 2,\n \"c\": []}\n]}";
    static const struct {
        const char *pointer;
        size_t line;
    } rows[] = {{"", 1},          {"/main", 1},          {"/main/0/print", 2}, {"/main/1", 3},
                {"/main/1/c", 5}, {"/main/1/a~1b~0", 3}, {"/main/1/none", 3},  {"/main/7", 1},
                {"/x/y", 1},      {"/main/1/c/0", 5}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(place_line(text, sizeof(text) - 1, rows[i].pointer) == rows[i].line,
                      "%s is at %zu", rows[i].pointer,
                      place_line(text, sizeof(text) - 1, rows[i].pointer));
    struct err err = {0};
    ck_assert(!place_check("f", "{\n\"a\": }", 8, &err));
    ck_assert(strncmp(err.text, "f:2:", 4) == 0);
}
END_TEST

static int outcome(const char *json)
{
    json_t *job = json_loads(json, 0, NULL);
    ck_assert_ptr_nonnull(job);
    int status = outcome_status(job);
    json_decref(job);
    return status;
}

START_TEST(outcomes)
{
    ck_assert_int_eq(outcome("{\"state\":\"succeeded\"}"), 0);
    ck_assert_int_eq(outcome("{\"state\":\"cancelled\"}"), 130);
    ck_assert_int_eq(outcome("{\"state\":\"lost\"}"), 125);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"error\":{\"type\":\"CommandError\","
                             "\"data\":{\"exit\":3,\"signal\":null}}}"),
                     3);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"error\":{\"type\":\"CommandError\","
                             "\"data\":{\"exit\":null,\"signal\":15}}}"),
                     143);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"error\":{\"type\":\"TimeoutError\"}}"), 124);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"error\":{\"type\":\"LostError\"}}"), 125);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"error\":{\"type\":\"ValueError\"}}"), 1);
    ck_assert_int_eq(outcome("{\"state\":\"failed\",\"exit\":9}"), 9);
    ck_assert_int_eq(outcome("{}"), 125);
}
END_TEST

START_TEST(tables)
{
    size_t n = 0;
    for (const struct command *const *all = cli_commands(); *all != NULL; all++, n++) {
        const struct option *const both[] = {(*all)->options, options_global, NULL};
        struct err err = {0};
        ck_assert_msg(options_check(both, &err), "%s: %s", (*all)->name, err.text);
        ck_assert_ptr_nonnull((*all)->run);
        for (size_t i = 0; cli_commands()[i] != *all; i++)
            ck_assert_str_ne(cli_commands()[i]->name, (*all)->name);
    }
    ck_assert_uint_gt(n, 10);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("client");
    TCase *t = tcase_create("client");
    setlocale(LC_CTYPE, "C.UTF-8");
    tcase_add_test(t, durations);
    tcase_add_test(t, moments);
    tcase_add_test(t, safe_text);
    tcase_add_test(t, utf8);
    tcase_add_test(t, canvases);
    tcase_add_test(t, words);
    tcase_add_test(t, placeholders);
    tcase_add_test(t, places);
    tcase_add_test(t, outcomes);
    tcase_add_test(t, tables);
    suite_add_tcase(s, t);
    return s;
}
