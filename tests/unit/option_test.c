#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "proto/mem.h"
#include "proto/option.h"
#include "proto/option_value.h"
#include "tests/unit/unit.h"

struct things {
    bool all, brief;
    const char *color;
    const char **labels;
    size_t n_labels;
    unsigned number;
    int word;
};

#define OPTION_STRUCT struct things
static const struct option_word words[] = {{"one", 1}, {"two", 2}, {NULL, 0}};
static const struct option rows[] = {
    OPTION_FLAG("all", 'a', all, "Also the small ones."),
    OPTION_FLAG("brief", 'b', brief, "In few words."),
    OPTION_TEXT("color", 'c', color, "NAME", "Only of this color."),
    OPTION_LIST("label", 'l', labels, n_labels, "KEY[=VALUE]", "Only with this label."),
    OPTIONS_END,
};
static const struct option more_rows[] = {
    OPTION_INT("the-number", 'n', number, 1, 100, "7", "N",
               "A number that is explained at length."),
    OPTION_WORD("word", 0, word, words, "two", "WORD", "One of two."),
    OPTIONS_END,
};
static const struct option *const tables[] = {rows, more_rows, NULL};

static struct err err;

/* Splits line at blanks and parses it; what is left over is joined with commas into rest. */
static bool parse(struct things *t, const char *line, enum options_mode mode, char *rest)
{
    static char copy[500];
    char *argv[50], *save = NULL;
    int argc = 0;
    *t = (struct things){0};
    options_set_defaults(more_rows, t);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    argv[argc] = NULL;
    int n = options_parse(tables, t, argc, argv, mode, &err);
    *rest = '\0';
    for (int i = 0; i < n; i++)
        sprintf(rest + strlen(rest), "%s%s", i ? "," : "", argv[i]);
    ck_assert(n < 0 || argv[n] == NULL);
    return n >= 0;
}

START_TEST(a_command_line)
{
    struct things t;
    char rest[500];
    ck_assert(parse(&t, "x -ab --color=red y -l k=v -lm --label n --the_number 100 - z",
                    OPTIONS_MIXED, rest));
    ck_assert(t.all && t.brief);
    ck_assert_str_eq(t.color, "red");
    ck_assert_uint_eq(t.n_labels, 3);
    ck_assert_str_eq(t.labels[0], "k=v");
    ck_assert_str_eq(t.labels[1], "m");
    ck_assert_str_eq(t.labels[2], "n");
    ck_assert_uint_eq(t.number, 100);
    ck_assert_int_eq(t.word, 2);
    ck_assert_str_eq(rest, "x,y,-,z");
    options_release(rows, &t);
    ck_assert_uint_eq(t.n_labels, 0);

    ck_assert(parse(&t, "-a make -b --color", OPTIONS_FIRST, rest));
    ck_assert(t.all && !t.brief);
    ck_assert_str_eq(rest, "make,-b,--color");
    ck_assert(parse(&t, "a -acblue -- -b --", OPTIONS_MIXED, rest));
    ck_assert(t.all && !t.brief);
    ck_assert_str_eq(t.color, "blue");
    ck_assert_str_eq(rest, "a,-b,--");
    ck_assert(parse(&t, "--color=", OPTIONS_MIXED, rest));
    ck_assert_str_eq(t.color, "");
    ck_assert(parse(&t, "", OPTIONS_MIXED, rest));
    ck_assert_uint_eq(t.number, 7);
}
END_TEST

START_TEST(mistakes_in_a_command_line)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"--colour red", "there is no option --colour; is --color meant?"},
        {"--xyzzy", "there is no option --xyzzy"},
        {"-ax", "there is no option -x"},
        {"-\xc3\xa4", "there is no option -\xc3\xa4"},
        {"--color", "--color needs a value (NAME)"},
        {"-ac", "--color needs a value (NAME)"},
        {"--all=yes", "--all takes no value"},
        {"-n 0", "--the-number 0: it must be from 1 to 100"},
        {"-n 4x", "--the-number 4x: \"4x\" is no whole number"},
        {"-n 99999999999999999999", "is too large"},
        {"--word three", "\"three\" is none of: one, two"},
        {"--=x", "there is no option --"},
    };
    struct things t;
    char rest[500];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(!parse(&t, cases[i].line, OPTIONS_MIXED, rest), "%s", cases[i].line);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s: %s", cases[i].line, err.text);
        ck_assert_int_eq(err.code, EINVAL);
    }
}
END_TEST

START_TEST(values)
{
    static const struct {
        enum option_type type;
        const char *text;
        int64_t value; /* -1: none */
        const char *shown;
    } cases[] = {
        {OPTION_TYPE_INT, "0", 0, "0"},
        {OPTION_TYPE_INT, "9223372036854775807", INT64_MAX, "9223372036854775807"},
        {OPTION_TYPE_INT, "9223372036854775808", -1, NULL},
        {OPTION_TYPE_INT, "-1", -1, NULL},
        {OPTION_TYPE_INT, "+1", -1, NULL},
        {OPTION_TYPE_INT, " 1", -1, NULL},
        {OPTION_TYPE_INT, "", -1, NULL},
        {OPTION_TYPE_SIZE, "512", 512, "512"},
        {OPTION_TYPE_SIZE, "512B", 512, "512"},
        {OPTION_TYPE_SIZE, "64M", 64 << 20, "64M"},
        {OPTION_TYPE_SIZE, "64MiB", 64 << 20, "64M"},
        {OPTION_TYPE_SIZE, "64mb", 64 << 20, "64M"},
        {OPTION_TYPE_SIZE, "1024k", 1 << 20, "1M"},
        {OPTION_TYPE_SIZE, "1025k", 1025 << 10, "1025K"},
        {OPTION_TYPE_SIZE, "8388607T", INT64_C(8388607) << 40, "8388607T"},
        {OPTION_TYPE_SIZE, "8388608T", -1, NULL},
        {OPTION_TYPE_SIZE, "64Mi", -1, NULL},
        {OPTION_TYPE_SIZE, "M", -1, NULL},
        {OPTION_TYPE_SIZE, "1iB", -1, NULL},
        {OPTION_TYPE_DURATION, "10", 10000, "10s"},
        {OPTION_TYPE_DURATION, "0", 0, "0"},
        {OPTION_TYPE_DURATION, "1.5", 1500, "1500ms"},
        {OPTION_TYPE_DURATION, "250ms", 250, "250ms"},
        {OPTION_TYPE_DURATION, "1h30m", 5400000, "90m"},
        {OPTION_TYPE_DURATION, "0.5d", 43200000, "12h"},
        {OPTION_TYPE_DURATION, "1h30", 3630000, "3630s"},
        {OPTION_TYPE_DURATION, "2weeks", -1, NULL},
        {OPTION_TYPE_DURATION, "h", -1, NULL},
        {OPTION_TYPE_DURATION, "-1s", -1, NULL},
        {OPTION_TYPE_DURATION, "", -1, NULL},
        {OPTION_TYPE_DURATION, "99999999999999d", -1, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = {0};
        int64_t v = -1;
        bool ok = option_value_parse(cases[i].type, cases[i].text, &v, &err);
        ck_assert_msg(ok == (cases[i].value >= 0) && v == cases[i].value, "%s: %lld", cases[i].text,
                      (long long)v);
        if (ok) {
            option_value_show(cases[i].type, v, &b);
            ck_assert_str_eq(buf_cstr(&b), cases[i].shown);
        }
        buf_release(&b);
    }
}
END_TEST

START_TEST(help_is_made_of_the_rows)
{
    struct buf b = {0};
    options_help(rows, 0, &b);
    options_help(more_rows, 46, &b);
    ck_assert_str_eq(buf_cstr(&b), "  -a, --all               Also the small ones.\n"
                                   "  -b, --brief             In few words.\n"
                                   "  -c, --color NAME        Only of this color.\n"
                                   "  -l, --label KEY[=VALUE]\n"
                                   "                          Only with this label.\n"
                                   "  -n, --the-number N      A number that is\n"
                                   "                          explained at length.\n"
                                   "                          (7)\n"
                                   "      --word WORD         One of two. (two)\n");
    buf_release(&b);
}
END_TEST

START_TEST(doubled_and_unreadable_rows_are_found)
{
    static const struct option twice[] = {OPTION_FLAG("b-l", 0, all, "x"), OPTIONS_END};
    static const struct option again[] = {OPTION_FLAG("b_l", 0, all, "x"), OPTIONS_END};
    static const struct option letter[] = {OPTION_FLAG("z", 'a', all, "x"), OPTIONS_END};
    static const struct option bad[] = {OPTION_INT("i", 0, number, 1, 5, "6", "N", "x"),
                                        OPTIONS_END};
    ck_assert(options_check(tables, &err));
    ck_assert(!options_check((const struct option *const[]){twice, again, NULL}, &err));
    ck_assert(!options_check((const struct option *const[]){rows, letter, NULL}, &err));
    ck_assert(!options_check((const struct option *const[]){bad, NULL}, &err));
}
END_TEST

/* The daemon's settings. */

static bool load_text(struct config *c, const char *text, const char *more)
{
    static char file[] = "/tmp/option_test.XXXXXX";
    static char arg[64];
    char *argv[] = {(char *)(uintptr_t) "--user", arg, (char *)(uintptr_t)more};
    strcpy(file, "/tmp/option_test.XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    snprintf(arg, sizeof arg, "--config=%s", file);
    bool ok = config_load(c, more ? 3 : 2, argv, &err);
    unlink(file);
    return ok;
}

START_TEST(settings_come_from_defaults_file_and_line)
{
    struct config c;
    ck_assert_msg(load_text(&c,
                            "# a comment\n\n"
                            "  kill_grace = 1m  # and one here\r\n"
                            "log_cap=1G\n"
                            "state_dir = /some/where#else\n"
                            "admin_group = \"wheel # of fortune\"\n"
                            "log_level=debug\n"
                            "durability = normal",
                            "--max-depth=100"),
                  "%s", err.text);
    ck_assert_int_eq((int)c.kill_grace_ms, 60000);
    ck_assert_int_eq(c.log_cap_bytes, 1 << 30);
    ck_assert_str_eq(c.state_dir, "/some/where#else");
    ck_assert_str_eq(c.socket, "/some/where#else/corod.sock");
    ck_assert_str_eq(c.exec_log_dir, "/some/where#else/exec/log");
    ck_assert_str_eq(c.admin_group, "wheel # of fortune");
    ck_assert_int_eq(c.log_level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(c.durability, DURABILITY_NORMAL);
    ck_assert_uint_eq(c.max_depth, 100);
    ck_assert_uint_eq(c.max_batch, 100);
    ck_assert_int_eq(c.max_submit_bytes, 16 << 20);
    ck_assert_int_eq(c.ready_fd, -1);
    config_release(&c);
    ck_assert(load_text(&c, "kill_grace = 1m", "--kill_grace=2s"));
    ck_assert_int_eq((int)c.kill_grace_ms, 2000);
    config_release(&c);
}
END_TEST

START_TEST(mistakes_in_a_file_have_a_place)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\n\nkil_grace = 1s", ":3: there is no setting \"kil_grace\"; is kill_grace meant?"},
        {"kill_grace", ":1: this is no \"name = value\""},
        {"kill_grace = soon", ":1: kill_grace = soon: \"soon\" is no duration"},
        {"kill_grace = 9999d", "it must be from 0 to 1d"},
        {"max_batch = 5\nmax-batch = 6", ":2: max-batch is set twice"},
        {"state_dir = here", "\"here\" is no absolute path"},
        {"durability = some", "is none of: full, normal"},
        {"admin_group = \"x", "the quote is not closed"},
        {"admin_group = \"x\" y", "behind the closing quote"},
        {"check-config = yes", ":1: there is no setting \"check-config\""},
    };
    struct config c;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ck_assert_msg(!load_text(&c, cases[i].text, NULL), "%s", cases[i].text);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s: %s", cases[i].text, err.text);
    }
    ck_assert(!load_text(&c, "", "--kill_grace=soon"));
    ck_assert_str_eq(err.text, "--kill-grace soon: \"soon\" is no duration, as 10s or 1h30m are");
    ck_assert(!load_text(&c, "", "--kil-grace=1s"));
    ck_assert_str_eq(err.text, "there is no option --kil-grace; is --kill-grace meant?");
    char *argv[] = {(char *)(uintptr_t) "--config=/no/such/file"};
    ck_assert(!config_load(&c, 1, argv, &err));
    ck_assert_int_eq(err.code, ENOENT);
    argv[0] = (char *)(uintptr_t) "stray";
    ck_assert(!config_load(&c, 1, argv, &err));
}
END_TEST

START_TEST(a_reload_takes_over_what_may_change)
{
    struct config c, fresh;
    struct buf changed = {0}, ignored = {0};
    ck_assert(load_text(&c, "state_dir = /a\n", NULL));
    ck_assert(load_text(
        &fresh, "state_dir = /b\nkill_grace = 3s\nmax_batch = 5\nlog_level = error\n", NULL));
    config_take_over(&c, &fresh, &changed, &ignored);
    config_release(&fresh);
    ck_assert_int_eq((int)c.kill_grace_ms, 3000);
    ck_assert_uint_eq(c.max_batch, 5);
    ck_assert_int_eq(c.log_level, LOG_LEVEL_ERROR);
    ck_assert_str_eq(c.state_dir, "/a");
    ck_assert_str_eq(buf_cstr(&changed), "[\"log_level\", \"kill_grace\", \"max_batch\"]");
    ck_assert_str_eq(buf_cstr(&ignored),
                     "[\"socket\", \"state_dir\", \"exec_socket\", \"exec_state\"]");
    config_release(&c);
    buf_release(&changed);
    buf_release(&ignored);
}
END_TEST

START_TEST(a_reload_copies_texts)
{
    struct config c, fresh;
    struct buf changed = {0}, ignored = {0};
    struct config_keep keep;
    ck_assert(load_text(&c, "keep_pools = a=1\n", NULL));
    for (int i = 2; i < 5; i++) {
        cleanup_free char *text = xasprintf("keep_pools = a=%d\n", i);
        ck_assert(load_text(&fresh, text, NULL));
        config_take_over(&c, &fresh, &changed, &ignored);
        config_release(&fresh);
        config_keep_of(&c, "a", &keep);
        ck_assert_uint_eq(keep.jobs, (unsigned)i);
    }
    ck_assert_str_eq(buf_cstr(&changed), "[\"keep_pools\"][\"keep_pools\"][\"keep_pools\"]");
    config_release(&c);
    buf_release(&changed);
    buf_release(&ignored);
}
END_TEST

START_TEST(the_rows_of_the_daemon)
{
    ck_assert_msg(
        options_check((const struct option *const[]){config_line_rows, config_rows, NULL}, &err),
        "%s", err.text);
}
END_TEST

/* conf/corod.conf is made of the rows. When it is not, what it should be is left beside the tests.
 */
START_TEST(the_example_is_up_to_date)
{
    struct buf b = {0};
    char there[20000];
    const char *top = getenv("srcdir");
    cleanup_free char *name = xasprintf("%s/conf/corod.conf", top ? top : SRCDIR);
    buf_addstr(&b, "# Settings of corod, see corod.conf(5). Each is shown with its default.\n");
    options_example(config_rows, &b);
    FILE *f = fopen(name, "r");
    size_t n = f ? fread(there, 1, sizeof there - 1, f) : 0;
    there[n] = '\0';
    if (f)
        fclose(f);
    if (strcmp(there, buf_cstr(&b)) != 0) {
        f = fopen("corod.conf.new", "w");
        fwrite(b.data, 1, b.len, f);
        fclose(f);
        ck_abort_msg("%s differs from corod.conf.new", name);
    }
    buf_release(&b);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("option");
    TCase *t = tcase_create("option");
    tcase_add_test(t, a_command_line);
    tcase_add_test(t, mistakes_in_a_command_line);
    tcase_add_test(t, values);
    tcase_add_test(t, help_is_made_of_the_rows);
    tcase_add_test(t, doubled_and_unreadable_rows_are_found);
    suite_add_tcase(s, t);
    t = tcase_create("config");
    tcase_add_test(t, settings_come_from_defaults_file_and_line);
    tcase_add_test(t, mistakes_in_a_file_have_a_place);
    tcase_add_test(t, a_reload_takes_over_what_may_change);
    tcase_add_test(t, a_reload_copies_texts);
    tcase_add_test(t, the_rows_of_the_daemon);
    tcase_add_test(t, the_example_is_up_to_date);
    suite_add_tcase(s, t);
    return s;
}
