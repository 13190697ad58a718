/* The test set that jsonlogic.com publishes (tests/lang/jsonlogic.json). */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "daemon/lang/expr_tree.h"
#include "daemon/lang/json.h"
#include "proto/mem.h"
#include "tests/unit/lang_fixture.h"
#include "tests/unit/unit.h"

DEFINE_CLEANUP(json_t *, json_decref);

static struct value *no_variable(void *arg, uint32_t atom)
{
    (void)arg;
    (void)atom;
    return NULL;
}

static void check_case(const json_t *one)
{
    cleanup(json_decref_p) json_t *document =
        json_pack("{s: {s: O}}", "print", "expr", json_object_get(one, "rule"));
    cleanup_free char *text = json_dumps(document, JSON_ENCODE_ANY);
    struct program *p = parse_expecting(text, NULL, NULL);
    const struct print_node *n = (const struct print_node *)(void *)program_main(p);
    const json_t *data_json = json_object_get(one, "data");
    struct value *data = data_json ? value_from_json(data_json) : value_null(), *error = NULL;
    struct value *expected = value_from_json(json_object_get(one, "result"));
    struct names names = {no_variable, NULL};
    struct value *result = expr_apply(n->value, &names, data, &error);
    ck_assert_msg(result != NULL, "%s: %s", text, error ? error_message(error) : "?");
    struct buf shown = {0};
    value_write(&shown, result, JSON_STYLE_SPACED);
    ck_assert_msg(value_equal(result, expected), "%s gives %s", text, buf_cstr(&shown));
    ck_assert_msg(value_type(result) != VALUE_REAL ||
                      value_get_number(result) != (double)(int64_t)value_get_number(result),
                  "%s gives %s", text, buf_cstr(&shown));
    buf_release(&shown);
    value_unref(result);
    value_unref(expected);
    value_unref(data);
    program_unref(p);
}

START_TEST(the_published_set_passes)
{
    json_error_t err;
    cleanup(json_decref_p) json_t *all = json_load_file(JSONLOGIC_JSON, 0, &err);
    ck_assert_msg(all != NULL, "%s: %s", JSONLOGIC_JSON, err.text);
    size_t i, cases = 0;
    const json_t *one;
    json_array_foreach (all, i, one)
        if (json_is_object(one)) {
            check_case(one);
            cases++;
        }
    ck_assert_uint_eq(cases, 278);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("jsonlogic");
    TCase *t = tcase_create("jsonlogic");
    tcase_add_test(t, the_published_set_passes);
    suite_add_tcase(s, t);
    return s;
}
