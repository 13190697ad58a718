#include <math.h>
#include <string.h>

#include "proto/fields.h"
#include "proto/method.h"
#include "proto/nearest.h"
#include "proto/state.h"
#include "tests/unit/unit.h"

struct things {
    const char *text;
    int64_t number;
    double real;
    bool flag;
    uint64_t id;
    const json_t *ids;
    struct json_task task;
    uint32_t states;
    int choice;
    const json_t *map;
    int64_t time;
};

static const char *const colors[] = {"red", "green", NULL};

#define FIELD(nm, k, ...)                                                                          \
    {                                                                                              \
        .name = #nm, .kind = JSON_FIELD_##k, .offset = offsetof(struct things, nm), __VA_ARGS__    \
    }
static const struct json_field fields[] = {
    FIELD(text, TEXT, .required = true, .min = 1, .max = 5),
    FIELD(number, INT, .min = -3, .max = INT64_MAX, .absent = 7),
    FIELD(real, NUMBER, .max = 10, .absent = -1),
    FIELD(flag, BOOL, .absent = 1),
    FIELD(id, ID),
    FIELD(ids, IDS, .max = 3),
    FIELD(task, TASK),
    FIELD(states, STATES),
    FIELD(choice, CHOICE, .choices = colors),
    FIELD(map, MAP, .max = 2),
    FIELD(time, TIME),
    {0},
};

static bool read(const char *text, struct things *t, struct json_mistakes *m)
{
    json_error_t e;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &e);
    ck_assert_msg(v != NULL, "%s: %s", text, e.text);
    memset(t, 0, sizeof *t);
    memset(m, 0, sizeof *m);
    bool good = json_fields_read(fields, v, t, m);
    json_decref(v); /* borrowed members are not looked at behind this but by tests that keep v */
    return good;
}

START_TEST(what_is_given_and_what_is_absent)
{
    struct things t;
    struct json_mistakes m;
    ck_assert(read("{\"text\":\"a\"}", &t, &m));
    ck_assert_int_eq(t.number, 7);
    ck_assert(t.real < 0);
    ck_assert(t.flag);
    ck_assert_uint_eq(t.id, 0);
    ck_assert_ptr_null(t.ids);
    ck_assert_int_eq(t.choice, 0);
    ck_assert(
        read("{\"text\":\"a\",\"number\":\"9007199254740993\",\"real\":2,\"flag\":false,\"id\":"
             "\"12\",\"task\":\"3.44\",\"states\":[\"failed\",\"lost\"],\"choice\":\"green\","
             "\"time\":\"1970-01-01T01:00:00.5+01:00\",\"ids\":null}",
             &t, &m));
    ck_assert_int_eq(t.number, 9007199254740993);
    ck_assert_double_eq(t.real, 2);
    ck_assert(!t.flag);
    ck_assert_uint_eq(t.id, 12);
    ck_assert_uint_eq(t.task.number, 44);
    ck_assert_uint_eq(t.task.job, 3);
    ck_assert_uint_eq(t.states, 1u << JOB_STATE_FAILED | 1u << JOB_STATE_LOST);
    ck_assert_int_eq(t.choice, 1);
    ck_assert_int_eq(t.time, 500000);
    ck_assert_ptr_null(t.ids);
    ck_assert(read("[\"a\",3]", &t, &m)); /* by position */
    ck_assert_int_eq(t.number, 3);
}
END_TEST

static const struct {
    const char *text, *pointer;
} wrong[] = {
    {"{}", "/text"},
    {"{\"text\":null}", "/text"},
    {"5", ""},
    {"{\"text\":\"\"}", "/text"},
    {"{\"text\":\"123456\"}", "/text"},
    {"{\"text\":5}", "/text"},
    {"{\"text\":\"a\",\"number\":-4}", "/number"},
    {"{\"text\":\"a\",\"number\":1.5}", "/number"},
    {"{\"text\":\"a\",\"number\":\"1x\"}", "/number"},
    {"{\"text\":\"a\",\"number\":\"99999999999999999999\"}", "/number"},
    {"{\"text\":\"a\",\"number\":true}", "/number"},
    {"{\"text\":\"a\",\"real\":\"1\"}", "/real"},
    {"{\"text\":\"a\",\"real\":11}", "/real"},
    {"{\"text\":\"a\",\"flag\":1}", "/flag"},
    {"{\"text\":\"a\",\"id\":0}", "/id"},
    {"{\"text\":\"a\",\"id\":-1}", "/id"},
    {"{\"text\":\"a\",\"id\":\" 1\"}", "/id"},
    {"{\"text\":\"a\",\"ids\":[]}", "/ids"},
    {"{\"text\":\"a\",\"ids\":[1,2,3,4]}", "/ids"},
    {"{\"text\":\"a\",\"ids\":[1,\"x\"]}", "/ids/1"},
    {"{\"text\":\"a\",\"task\":\"1.\"}", "/task"},
    {"{\"text\":\"a\",\"task\":\".1\"}", "/task"},
    {"{\"text\":\"a\",\"task\":\"1.2.3\"}", "/task"},
    {"{\"text\":\"a\",\"task\":\"1.99999999999\"}", "/task"},
    {"{\"text\":\"a\",\"states\":\"gone\"}", "/states"},
    {"{\"text\":\"a\",\"states\":[1]}", "/states"},
    {"{\"text\":\"a\",\"choice\":\"blue\"}", "/choice"},
    {"{\"text\":\"a\",\"map\":{\"a/b~\":1}}", "/map/a~1b~0"},
    {"{\"text\":\"a\",\"map\":{\"a\":\"1\",\"b\":\"2\",\"c\":\"3\"}}", "/map"},
    {"{\"text\":\"a\",\"map\":[]}", "/map"},
    {"{\"text\":\"a\",\"time\":\"yesterday\"}", "/time"},
    {"{\"text\":\"a\",\"other\":1}", "/other"},
    {"[\"a\",1,1,true,1,1,1,\"held\",\"red\",{},null,5]", ""},
};

START_TEST(each_mistake_has_its_place)
{
    struct things t;
    struct json_mistakes m;
    ck_assert_msg(!read(wrong[_i].text, &t, &m), "%s", wrong[_i].text);
    ck_assert_uint_ge(m.n, 1);
    ck_assert_str_eq(m.all[m.n - 1].pointer, wrong[_i].pointer);
    ck_assert(m.all[0].message[0]);
}
END_TEST

START_TEST(all_mistakes_at_once_and_no_more_than_fit)
{
    struct things t;
    struct json_mistakes m;
    ck_assert(!read("{\"flags\":1,\"number\":\"x\",\"id\":{}}", &t, &m));
    ck_assert_uint_eq(m.n, 4);
    ck_assert_str_eq(m.all[3].hint, "did you mean \"flag\"?");
    struct buf b = {0}, many = {0};
    struct json_out o = {.out = &b};
    json_mistakes_write(&m, &o);
    json_t *v = json_loadb(b.data, b.len, 0, NULL);
    ck_assert_uint_eq(json_array_size(v), 4);
    json_decref(v);
    buf_addstr(&many, "{\"text\":\"a\"");
    for (int i = 0; i < 1000; i++)
        buf_printf(&many, ",\"unknown%d\":1", i);
    buf_addch(&many, '}');
    ck_assert(!read(buf_cstr(&many), &t, &m));
    ck_assert_uint_eq(m.n + m.dropped, 1000);
    buf_release(&b);
    buf_release(&many);
}
END_TEST

START_TEST(nearest)
{
    static const char *const names[] = {"gather", "sleep", "print", NULL};
    ck_assert_str_eq(nearest_name("gathr", names, sizeof *names), "gather");
    ck_assert_str_eq(nearest_name("slepe", names, sizeof *names), "sleep");
    ck_assert_ptr_null(nearest_name("xxxxx", names, sizeof *names));
    ck_assert_ptr_null(nearest_name("", names, sizeof *names));
    /* A peer's words without end take no time without end. */
    struct hint h = {.word = "gathr"};
    for (int i = 0; i < 100000; i++)
        hint_try(&h, "xxxxx");
    ck_assert_uint_lt(h.tried, 10000);
    hint_try(&h, "gather");
    ck_assert_ptr_null(h.best);
}
END_TEST

/* The tables of the methods. */

START_TEST(methods_are_found_and_described)
{
    const char *hint = NULL;
    for (const struct method *m = methods; m->name; m++) {
        ck_assert_ptr_eq(method_find(m->name, NULL), m);
        ck_assert(m->help && m->result);
        for (const struct json_field *f = m->params; f->name; f++) {
            struct buf b = {0};
            struct json_out o = {.out = &b};
            json_field_schema(f, &o);
            json_t *v = json_loadb(b.data, b.len, JSON_REJECT_DUPLICATES, NULL);
            ck_assert_msg(json_is_object(v), "%s %s: %.*s", m->name, f->name, (int)b.len, b.data);
            json_decref(v);
            buf_release(&b);
            ck_assert(f->help != NULL);
            ck_assert(f->kind != JSON_FIELD_CHOICE || f->choices);
            ck_assert(f->kind != JSON_FIELD_OBJECT || f->fields);
        }
    }
    ck_assert_ptr_eq(&methods[METHOD_job_get], method_find("job.get", NULL));
    ck_assert_ptr_null(method_find("job.gte", &hint));
    ck_assert_str_eq(hint, "job.get");
}
END_TEST

/* json_out */

static const char *written(void (*write)(struct json_out *o))
{
    static char text[1000];
    struct buf b = {0};
    struct json_out o = {.out = &b};
    write(&o);
    ck_assert_uint_lt(b.len, sizeof text);
    memcpy(text, buf_cstr(&b), b.len + 1);
    buf_release(&b);
    return text;
}

static void write_all(struct json_out *o)
{
    jout_begin_object(o);
    jout_key(o, "a");
    jout_begin_array(o);
    jout_int(o, 9007199254740992);
    jout_int(o, -9007199254740993);
    jout_uint(o, UINT64_MAX);
    jout_real(o, 0.1);
    jout_real(o, INFINITY);
    jout_bool(o, true);
    jout_null(o);
    jout_begin_object(o);
    jout_end_object(o);
    jout_end_array(o);
    jout_key(o, "b");
    jout_string(o, "\"\\\n\x01\x7fkäse\xff\xc3", 12);
    jout_key(o, "c");
    jout_time(o, 1700000000000001);
    jout_key(o, "d");
    jout_bytes(o,
               "\xff\x00"
               "a",
               3);
    jout_end_object(o);
}

START_TEST(json_is_written)
{
    ck_assert_str_eq(written(write_all),
                     "{\"a\":[9007199254740992,\"-9007199254740993\",\"18446744073709551615\",0.1,"
                     "null,true,null,{}],\"b\":\"\\\"\\\\\\n\\u0001\\u007fkäse\xef\xbf\xbd\xef\xbf"
                     "\xbd\",\"c\":\"2023-11-14T22:13:20.000001Z\",\"d\":\"/wBh\"}");
}
END_TEST

START_TEST(times_come_back)
{
    static const int64_t times[] = {0, 1, -1, 1700000000123456, 253402300799999999};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[RFC3339_SIZE];
        int64_t us;
        rfc3339_format(text, times[i]);
        ck_assert_msg(rfc3339_parse(text, &us), "%s", text);
        ck_assert_int_eq(us, times[i]);
    }
    static const char *const bad[] = {"",
                                      "2026-01-31",
                                      "2026-01-31T00:00:00",
                                      "2026-02-30T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00+1:00",
                                      "2026-01-01T00:00:00Zx",
                                      "x026-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us;
        ck_assert_msg(!rfc3339_parse(bad[i], &us), "%s", bad[i]);
    }
}
END_TEST

START_TEST(utf8)
{
    ck_assert_uint_eq(utf8_length("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82", 10), 10);
    ck_assert_uint_eq(utf8_length("a\xc0\x80", 3), 1);         /* overlong */
    ck_assert_uint_eq(utf8_length("a\xed\xa0\x80", 4), 1);     /* a surrogate */
    ck_assert_uint_eq(utf8_length("a\xf4\x90\x80\x80", 5), 1); /* beyond U+10FFFF */
    ck_assert_uint_eq(utf8_length("a\xe2\x82", 3), 1);         /* cut */
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("fields");
    TCase *t = tcase_create("all");
    tcase_add_test(t, what_is_given_and_what_is_absent);
    tcase_add_loop_test(t, each_mistake_has_its_place, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_test(t, all_mistakes_at_once_and_no_more_than_fit);
    tcase_add_test(t, nearest);
    tcase_add_test(t, methods_are_found_and_described);
    tcase_add_test(t, json_is_written);
    tcase_add_test(t, times_come_back);
    tcase_add_test(t, utf8);
    suite_add_tcase(s, t);
    return s;
}
