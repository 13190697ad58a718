#include "daemon/lang/expr.h"

#include <string.h>

#include "proto/mem.h"
#include "tests/unit/lang_fixture.h"
#include "tests/unit/unit.h"

static const char variables[] =
    "{\"n\": 5, \"s\": \"text\", \"r\": 3.0, \"l\": [1, [2, 3], {\"k\": null}],"
    " \"o\": {\"a\": {\"b\": [10, 20]}, \"key.with.dot\": \"dotted\", \"q\\\"\": 1, \"\": 0},"
    " \"t\": true, \"z\": null, \"e\": []}";

struct expectation {
    const char *expr, *result;
};

static void check_all(const struct expectation *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        cleanup_free char *result = evaluate(cases[i].expr, variables);
        ck_assert_msg(strcmp(result, cases[i].result) == 0, "%s\n gives    %s\n expected %s",
                      cases[i].expr, result, cases[i].result);
    }
}

START_TEST(templates)
{
    static const struct expectation cases[] = {
        {"\"${n}\"", "5"},
        {"\"${l}\"", "[1,[2,3],{\"k\":null}]"},
        {"\"${o.a.b[0]}\"", "10"},
        {"\"${o.a.b[-1]}\"", "20"},
        {"\"${o[\\\"key.with.dot\\\"]}\"", "\"dotted\""},
        {"\"${o[\\\"q\\\\\\\"\\\"]}\"", "1"},
        {"\"${o[\\\"\\\"]}\"", "0"},
        {"\"${l[1][1]}\"", "3"},
        {"\"a ${n} ${s}!\"", "\"a 5 text!\""},
        {"\"${n}${s}\"", "\"5text\""},
        {"\"x ${l} ${r} ${z} ${t}\"", "\"x [1, [2, 3], {\\\"k\\\": null}] 3.0 null true\""},
        {"\"$${n} $ {n} $n ${n}\"", "\"${n} $ {n} $n 5\""},
        {"\"$$${n}\"", "\"$${n}\""},
        {"\"$${\"", "\"${\""},
        {"{\"${n}\": \"${n}\", \"b\": [\"${s}\"]}", "{\"${n}\":5,\"b\":[\"text\"]}"},
        {"[0, \"...${l}\", \"...${e}\", \"...${l[1]}\"]", "[0,1,[2,3],{\"k\":null},2,3]"},
        {"[\"... ${n}\", \"...\", \"...${n}!\", \"...$${n}\"]",
         "[\"... 5\",\"...\",\"...5!\",\"...${n}\"]"},
        {"\"...${l}\"", "\"...[1, [2, 3], {\\\"k\\\": null}]\""},
        {"{\"expr\": {\"+\": [\"${n}\", 1]}}", "6"},
        {"[{\"expr\": {\"var\": \"o.a.b.1\"}}]", "[20]"},
        {"{\"expr\": {\"var\": \"o.a.b.${t}\"}}", "null"},
        {"{\"expr\": {\"var\": [\"l.${r}\", \"d\"]}}", "\"d\""},
        {"{\"expr\": 1, \"b\": 2}", "{\"expr\":1,\"b\":2}"},
    };
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(errors_are_cpythons)
{
    static const struct expectation cases[] = {
        {"\"${unknown}\"", "NameError: name 'unknown' is not defined"},
        {"\"x ${unknown.a}\"", "NameError: name 'unknown' is not defined"},
        {"\"${o.missing}\"", "KeyError: 'missing'"},
        {"\"${o[3]}\"", "KeyError: 3"},
        {"\"${l[3]}\"", "IndexError: list index out of range"},
        {"\"${l[-4]}\"", "IndexError: list index out of range"},
        {"\"${l.k}\"", "TypeError: list indices must be integers or slices, not str"},
        {"\"${n[0]}\"", "TypeError: 'int' object is not subscriptable"},
        {"\"${s.x}\"", "TypeError: 'str' object is not subscriptable"},
        {"\"${z.x}\"", "TypeError: 'NoneType' object is not subscriptable"},
        {"[\"...${n}\"]", "TypeError: Value after ... must be a list, not int"},
        {"{\"a\": [1, {\"b\": \"${unknown}\"}]}", "NameError: name 'unknown' is not defined"},
    };
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(logic_beyond_the_published_set)
{
    static const struct expectation cases[] = {
        {"{\"expr\": {\"var\": \"nobody\"}}", "null"},
        {"{\"expr\": {\"var\": \"n.x\"}}", "null"},
        {"{\"expr\": {\"var\": \"\"}}", "null"},
        {"{\"expr\": {\"var\": \"l.length\"}}", "3"},
        {"{\"expr\": {\"var\": \"s.length\"}}", "4"},
        {"{\"expr\": {\"var\": \"r\"}}", "3"},
        {"{\"expr\": {\"/\": [1, 0]}}", "null"},
        {"{\"expr\": {\"%\": [1, 0]}}", "null"},
        {"{\"expr\": {\"%\": [-7, 3]}}", "-1"},
        {"{\"expr\": {\"/\": [-9223372036854775807, -1]}}", "9223372036854775807"},
        {"{\"expr\": {\"%\": [-9223372036854775808, -1]}}", "0"},
        {"{\"expr\": {\"+\": [9223372036854775807, 1]}}", "9.223372036854776e+18"},
        {"{\"expr\": {\"+\": [9007199254740993, 1]}}", "9007199254740994"},
        {"{\"expr\": {\"+\": [0.1, 0.2]}}", "0.30000000000000004"},
        {"{\"expr\": {\"+\": [1.5, 1.5]}}", "3"},
        {"{\"expr\": {\"+\": [\"a\"]}}", "null"},
        {"{\"expr\": {\"+\": [\" 12px\", \"0x10\"]}}", "12"},
        {"{\"expr\": {\"-\": [\"0x10\", \"  6 \"]}}", "10"},
        {"{\"expr\": {\"-\": [\"nan\"]}}", "null"},
        {"{\"expr\": {\"-\": []}}", "null"},
        {"{\"expr\": {\"*\": []}}", "null"},
        {"{\"expr\": {\"max\": []}}", "null"},
        {"{\"expr\": {\"max\": [1, \"3\", 2]}}", "3"},
        {"{\"expr\": {\"cat\": [1, null, 2.0, [1, null, [2]], true, 1e21, 1e-7]}}",
         "\"121,,2true1e+211e-7\""},
        {"{\"expr\": {\"==\": [null, 0]}}", "false"},
        {"{\"expr\": {\"==\": [true, \"1\"]}}", "true"},
        {"{\"expr\": {\"==\": [[1, 2], \"1,2\"]}}", "true"},
        {"{\"expr\": {\"==\": [\"\", 0]}}", "true"},
        {"{\"expr\": {\"===\": [1, 1.0]}}", "true"},
        {"{\"expr\": {\"<\": [\"10\", \"9\"]}}", "true"},
        {"{\"expr\": {\"<\": [\"10\", 9]}}", "false"},
        {"{\"expr\": {\"<\": [1]}}", "false"},
        {"{\"expr\": {\"<\": [null, 1]}}", "true"},
        {"{\"expr\": {\"in\": [1, \"123\"]}}", "true"},
        {"{\"expr\": {\"in\": [\"1\", [1]]}}", "false"},
        {"{\"expr\": {\"substr\": [\"k\u00e4se\", 1, 2]}}", "\"\u00e4s\""},
        {"{\"expr\": {\"substr\": [\"abc\", 9]}}", "\"\""},
        {"{\"expr\": {\"substr\": [\"abc\", -9, 2]}}", "\"ab\""},
        {"{\"expr\": {\"substr\": [\"abc\", 2, -2]}}", "\"\""},
        {"{\"expr\": {\"map\": [{\"var\": \"l\"}, \"${n}\"]}}", "[5,5,5]"},
        {"{\"expr\": {\"+\": [\"...${o.a.b}\", 1]}}", "31"},
        {"{\"expr\": {\"map\": [[\"${o}\"], {\"missing\": [\"\", \"b\"]}]}}", "[[\"b\"]]"},
        {"{\"expr\": {\"map\": [[\"${o}\"], {\"var\": [[]]}]}}", "[0]"},
        {"{\"expr\": {\"if\": [{}, \"object\"]}}", "\"object\""},
        {"{\"expr\": {\"log\": \"x\"}}", "\"x\""},
        {"{\"expr\": {\"+\": [\"${unknown}\"]}}", "NameError: name 'unknown' is not defined"},
    };
    check_all(cases, ARRAY_LEN(cases));
}
END_TEST

START_TEST(work_is_limited)
{
    struct buf list = {0};
    buf_addstr(&list, "{\"l\": [0");
    for (int i = 1; i < 1000; i++)
        buf_printf(&list, ",%d", i);
    buf_addstr(&list, "]}");
    cleanup_free char *result = evaluate(
        "{\"expr\": {\"map\": [{\"var\": \"l\"}, {\"map\": [\"${l}\", {\"+\": [1, 1]}]}]}}",
        buf_cstr(&list));
    ck_assert_str_eq(result, "ValueError: the expression takes more than 500000 steps");
    buf_clear(&list);
    buf_addstr(&list, "{\"s\": \"");
    for (int i = 0; i < 1 << 20; i++)
        buf_addstr(&list, "aaaaaaaaa");
    buf_addstr(&list, "\"}");
    cleanup_free char *large = evaluate("\"${s}${s}\"", buf_cstr(&list));
    ck_assert_str_eq(large, "ValueError: the value is larger than 16 MiB");
    cleanup_free char *pair = evaluate("[\"${s}\", \"${s}\"]", buf_cstr(&list));
    ck_assert_str_eq(pair, "ValueError: the value is larger than 16 MiB or deeper than 100");
    buf_release(&list);
}
END_TEST

START_TEST(literals_are_seen)
{
    static const struct {
        const char *expr;
        bool literal;
    } cases[] = {
        {"1", true},
        {"[1, {\"a\": []}]", true},
        {"\"$${n}\"", true},
        {"\"${n}\"", false},
        {"[1, {\"a\": \"${n}\"}]", false},
        {"{\"expr\": {\"var\": \"n\"}}", false},
        {"{\"expr\": true}", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        cleanup_free char *text = xasprintf("{\"print\": %s}", cases[i].expr);
        struct program *p = parse_expecting(text, NULL, NULL);
        const struct print_node *n = (const struct print_node *)(void *)program_main(p);
        ck_assert_msg((expr_literal(n->value) != NULL) == cases[i].literal, "%s", cases[i].expr);
        program_unref(p);
    }
    ck_assert_ptr_null(expr_literal(NULL));
}
END_TEST

START_TEST(bad_syntax_is_a_mistake)
{
    static const char *const bad[] = {
        "${",     "${}",     "${1}",        "${a",    "${a.}",
        "${a[}",  "${a[x]}", "${a[\\\"x]}", "${a b}", "${a[99999999999999999999]}",
        "${a[-]}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cleanup_free char *text = xasprintf("[{\"print\": [\"x %s\"]}]", bad[i]);
        struct mistakes e = {0}, w = {0};
        ck_assert_ptr_null(program_parse(text, strlen(text), 50, &test_kinds, &e, &w));
        ck_assert_uint_eq(e.n, 1);
        ck_assert_str_eq(e.all[0].pointer, "/0/print/0");
        ck_assert_str_eq(e.all[0].hint, "a literal ${ is written $${");
        mistakes_release(&e);
        mistakes_release(&w);
    }
    parse_expecting("{\"print\": \"${a-b} ${c}\"}",
                    "/print: \"${a-b}\" is no name with .key, [index] or [\"key\"] behind it (a "
                    "literal ${ is written $${)",
                    NULL);
    parse_expecting("{\"if\": {\"ad\": [1, {\"vor\": \"x\"}]}, \"then\": []}",
                    "/if/ad: unknown operator \"ad\" of JsonLogic (did you mean \"and\"?)", NULL);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("expr");
    TCase *t = tcase_create("expr");
    tcase_add_test(t, templates);
    tcase_add_test(t, errors_are_cpythons);
    tcase_add_test(t, logic_beyond_the_published_set);
    tcase_add_test(t, work_is_limited);
    tcase_add_test(t, literals_are_seen);
    tcase_add_test(t, bad_syntax_is_a_mistake);
    suite_add_tcase(s, t);
    return s;
}
