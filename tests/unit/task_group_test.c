/* Groups: what the check refuses, what the view says, what is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "tests/unit/task_fixture.h"
#include "tests/unit/unit.h"

enum { JOB = 3 };

static const struct {
    const char *document, *errors;
} refused[] = {
    {"{\"try\": [], \"except*\": [{\"do\": {\"return\": 1}}]}",
     "/except*/0/do: \"return\" can't stand in a handler of \"except*\"\n"},
    {"{\"while\": true, \"do\": {\"try\": [], \"except*\": [{\"do\": [{\"if\": true, \"then\":"
     " {\"break\": null}, \"else\": {\"continue\": null}}]}]}}",
     "/do/except*/0/do/0/then: \"break\" can't stand in a handler of \"except*\"\n"
     "/do/except*/0/do/0/else: \"continue\" can't stand in a handler of \"except*\"\n"},
    {"{\"try\": [], \"except*\": [{\"do\": {\"while\": false, \"do\": {\"return\": 1}}}]}",
     "/except*/0/do/do: \"return\" can't stand in a handler of \"except*\"\n"},
    {"{\"try\": [], \"except*\": [{\"do\": {\"await\": {\"return\": 1}}}]}",
     "/except*/0/do/await: \"return\" can't stand in a handler of \"except*\"\n"},
    {"[{\"try\": [], \"except*\": [{\"do\": [{\"while\": false, \"do\": {\"break\": null}},"
     " {\"create_task\": {\"return\": 1}}, {\"gather\": [{\"return\": 1}]},"
     " {\"shield\": {\"return\": 1}}]}]}, {\"return\": 1}]",
     ""},
    {"{\"try\": [], \"except*\": [{\"type\": \"ExceptionGroup\", \"do\": []}]}",
     "/except*: catching ExceptionGroup with \"except*\" is not allowed: use \"except\"\n"},
    {"{\"try\": [], \"except\": [{\"do\": []}], \"except*\": [{\"do\": []}]}",
     ": a \"try\" has \"except\" or \"except*\", not both\n"},
    {"{\"wait\": [1]}",
     ": \"wait\" takes a list of tasks, an event, a condition or a barrier (\"${…}\")\n"},
    {"[{\"set\": {\"t\": 1}}, {\"wait\": [\"${t}\"], \"return_when\": \"SOON\"}]",
     "/1: return_when is \"ALL_COMPLETED\", \"FIRST_COMPLETED\" or \"FIRST_EXCEPTION\"\n"},
    {"[{\"set\": {\"t\": 1}}, {\"shield\": \"...${t}\"}]",
     "/1/shield: one is needed here, not a list\n"},
    {"{\"gather\": {\"for\": \"x\", \"in\": {\"ticker\": 1}, \"do\": []}}",
     "/gather/in: a list or {\"range\": …} is needed here: others are for \"for\"\n"},
    {"{\"for\": \"x\", \"in\": {\"ticker\": 1, \"range\": 2}, \"do\": []}",
     "/in: a source is a list, a handle, {\"range\": …}, {\"lines\": …}, {\"ticker\": …} or "
     "{\"as_completed\": "
     "…}\n"},
    {"{\"for\": \"x\", \"in\": {\"ticker\": -1}, \"do\": []}",
     "/in/ticker: a number from 0 is needed here\n"},
    {"{\"race\": {\"a\": [], \"b\": []}}",
     "/race: a list of nodes or {\"for\", \"in\", \"do\"} is needed here: names for the nodes are "
     "for \"task_group\"\n"},
    {"{\"task_group\": {\"a\": \"...${b}\", \"b\": []}}",
     "/task_group/a: a child with a name is one\n"},
    {"{\"create_task\": [], \"in\": \"${g}\", \"inn\": 1}",
     "/inn: unknown key \"inn\" of \"create_task\"\n"},
};

START_TEST(test_refused)
{
    struct mistakes errors = {0}, warnings = {0};
    struct buf text = {0};
    const char *doc = refused[_i].document;
    struct program *p = program_parse(doc, strlen(doc), 200, runtime_kinds(), &errors, &warnings);
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(&text, "%s: %s\n", errors.all[i].pointer, errors.all[i].message);
    ck_assert_str_eq(buf_cstr(&text), refused[_i].errors);
    buf_release(&text);
    mistakes_release(&errors);
    mistakes_release(&warnings);
    program_unref(p);
}
END_TEST

static bool view_line(void *arg, const struct task_view *v)
{
    buf_printf(arg, "%u %s: %s\n", v->id, v->name, v->awaits);
    return true;
}

START_TEST(test_view)
{
    struct fixture f;
    fixture_init(&f, "[{\"create_task\": {\"sleep\": 9}, \"as\": \"t\"},"
                     " {\"create_task\": {\"task_group\": [{\"await\": \"${t}\"}]}},"
                     " {\"create_task\": {\"wait\": [\"${t}\"]}},"
                     " {\"create_task\": {\"shield\": \"${t}\"}},"
                     " {\"create_task\": {\"race\": [\"${t}\"]}},"
                     " {\"create_task\": {\"for\": \"x\", \"in\": {\"as_completed\": [\"${t}\"]},"
                     "  \"do\": []}},"
                     " {\"for\": \"x\", \"in\": {\"ticker\": 3}, \"do\": []}]");
    for (unsigned round = 0; round < 2; round++) {
        struct buf text = {0};
        fixture_run(&f, 0);
        ck_assert(runtime_view(f.rt, JOB, view_line, &text));
        ck_assert_str_eq(buf_cstr(&text), "1 main: ticker, 3 s left\n"
                                          "2 sleep: sleep, 9 s left\n"
                                          "3 task_group: task_group, 1 tasks left\n"
                                          "4 wait: wait for 1 tasks, 0 done\n"
                                          "5 shield: shield of task 3.2\n"
                                          "6 race: race of 1\n"
                                          "7 for: as_completed of 1, 0 done\n"
                                          "8 await: task 3.2\n");
        buf_release(&text);
        struct err err = {0};
        ck_assert_msg(fixture_reload(&f, &err), "%s", err.text);
    }
    fixture_release(&f);
}
END_TEST

/* Rows written while 100 children end one after the other, a tick each. */
static unsigned count_rows(const char *document)
{
    struct fixture f;
    fixture_init(&f, document);
    fixture_run(&f, 0);
    ck_assert_uint_gt(f.n_rows, 100);
    f.rows_written = 0;
    for (int64_t now = 0; now <= 20000000 && !f.over; now += 50000)
        fixture_run(&f, now);
    ck_assert(f.over);
    ck_assert_str_eq(f.outcome, "null");
    unsigned n = f.rows_written;
    fixture_release(&f);
    return n;
}

#define SLEEPERS                                                                                   \
    "{\"for\": \"i\", \"in\": {\"range\": 100}, \"do\": {\"sleep\": {\"expr\": {\"*\": [0.1,"      \
    " {\"+\": [1, {\"var\": \"i\"}]}]}}}}"
#define START                                                                                      \
    "{\"set\": {\"all\": []}}, {\"for\": \"i\", \"in\": {\"range\": 100}, \"do\": ["               \
    " {\"create_task\": {\"sleep\": {\"expr\": {\"*\": [0.1, {\"+\": [1, {\"var\": \"i\"}]}]}}},"  \
    "  \"as\": \"t\"}, {\"set\": {\"all\": [\"...${all}\", \"${t}\"]}}]},"

START_TEST(test_rows)
{
    /* A row for each end, and the one who waits once more at the end. */
    unsigned n = count_rows("[{\"task_group\": " SLEEPERS "}, {\"set\": {}}]");
    ck_assert_uint_ge(n, 100);
    ck_assert_uint_le(n, 320);
    n = count_rows("[" START " {\"wait\": \"${all}\"}, {\"set\": {}}]");
    ck_assert_uint_le(n, 320);
    n = count_rows("[" START "{\"for\": \"t\", \"in\": {\"as_completed\": \"${all}\"},"
                   " \"do\": []}]");
    ck_assert_uint_le(n, 420);
    /* Also when it waits for the same ones again and again. */
    n = count_rows("[" START "{\"while\": {\"!!\": [{\"var\": \"all\"}]}, \"do\": [{\"wait\": "
                   "\"${all}\", \"return_when\": \"FIRST_COMPLETED\", \"as\": \"w\"},"
                   " {\"set\": {\"all\": \"${w.pending}\"}}]}]");
    ck_assert_uint_le(n, 420);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("task group");
    TCase *c = tcase_create("groups");
    tcase_set_timeout(c, 50);
    tcase_add_loop_test(c, test_refused, 0, ARRAY_LEN(refused));
    tcase_add_test(c, test_view);
    tcase_add_test(c, test_rows);
    suite_add_tcase(s, c);
    return s;
}
