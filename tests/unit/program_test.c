#include "daemon/lang/program.h"

#include <stdio.h>
#include <string.h>

#include "proto/mem.h"
#include "tests/unit/lang_fixture.h"
#include "tests/unit/unit.h"

#define AS_NODE(kind, n) ((struct kind##_node *)(void *)(n))

static const char *verb_name(const struct node *n)
{
    return n ? n->verb->name : "(none)";
}

START_TEST(a_document_has_its_keys)
{
    struct program *p = parse_good(
        "{\"name\": \"nightly\", \"cwd\": \"/tmp\", \"env\": {\"A\": \"x\", \"B\": 1, \"C\": 0.5},"
        " \"umask\": \"027\", \"pool\": \"io\", \"priority\": -7, \"timeout\": 1.5,"
        " \"labels\": {\"who\": \"me\"}, \"key\": \"k1\","
        " \"input\": {\"files\": [\"a\", \"${literal}\"], \"n\": 3},"
        " \"define\": {\"f\": {\"params\": [\"x\", \"y\"], \"defaults\": {\"y\": [1]},"
        "   \"do\": {\"print\": \"${x} ${y} ${n}\"}}},"
        " \"main\": [{\"call\": \"f\", \"args\": {\"x\": \"${files[1]}\"}}]}");
    const struct document *d = program_document(p);
    ck_assert_str_eq(d->name, "nightly");
    ck_assert_str_eq(d->cwd, "/tmp");
    ck_assert_str_eq(d->pool, "io");
    ck_assert_str_eq(d->key, "k1");
    ck_assert_int_eq(d->umask, 027);
    ck_assert_int_eq(d->priority, -7);
    ck_assert_double_eq(d->timeout, 1.5);
    ck_assert_str_eq(value_get_string(value_find(d->env, "B"), NULL), "1");
    ck_assert_str_eq(value_get_string(value_find(d->env, "C"), NULL), "0.5");
    ck_assert_str_eq(value_get_string(value_find(d->labels, "who"), NULL), "me");
    struct value *files = program_input(p, program_atom(p, "files"));
    ck_assert(files && files == value_find(d->input, "files"));
    ck_assert_str_eq(value_get_string(value_item(files, 1), NULL), "${literal}");
    ck_assert_ptr_null(program_input(p, program_atom(p, "x")));
    ck_assert_uint_eq(program_atom(p, "nowhere"), 0);
    const struct function *f = program_function(p, "f");
    ck_assert(f && f->program == p && f->n_params == 2 && !f->defaults[0]);
    ck_assert_uint_eq(value_count(f->defaults[1]), 1);
    ck_assert_str_eq(program_atom_name(p, f->params[1]), "y");
    ck_assert_str_eq(verb_name(f->body), "print");
    const struct block *main = (const struct block *)(void *)program_main(p);
    ck_assert(main->node.verb == test_kinds.block && main->n == 1);
    const struct call_node *call = AS_NODE(call, main->children[0]);
    ck_assert(call->function == f && call->args.n == 1 && !call->wrappers);
    ck_assert_uint_eq(call->args.all[0].name, f->params[0]);
    ck_assert(program_ref(p) == p);
    program_unref(p);
    program_unref(p);
}
END_TEST

START_TEST(a_bare_node_is_a_document)
{
    struct program *p = parse_good("[]");
    const struct document *d = program_document(p);
    ck_assert(!d->name && !d->env && d->umask == -1 && d->timeout < 0 && d->priority == 0);
    ck_assert_uint_eq(value_count(d->input), 0);
    ck_assert(program_main(p)->verb == test_kinds.block);
    program_unref(p);
    p = parse_good("{\"name\": \"n\", \"timeout\": 3, \"do\": []}");
    ck_assert(program_main(p)->verb == test_kinds.timeout && !program_document(p)->name);
    program_unref(p);
    p = parse_good("{\"name\": \"n\", \"timeout\": 3, \"main\": []}");
    ck_assert(program_main(p)->verb == test_kinds.block && program_document(p)->name);
    program_unref(p);
}
END_TEST

START_TEST(one_verb_per_object)
{
    static const struct {
        const char *text, *verb;
    } cases[] = {
        {"{\"do\": [], \"for\": \"x\", \"in\": [1]}", "for"},
        {"{\"do\": []}", "do"},
        {"{\"into\": \"q\", \"put\": 1}", "put"},
        {"{\"else\": [], \"try\": []}", "try"},
        {"{\"else\": [], \"then\": [], \"if\": true}", "if"},
        {"{\"timeout\": 3, \"wait\": []}", "wait"},
        {"{\"timeout\": null, \"sleep\": 1}", "sleep"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct program *p = parse_good(cases[i].text);
        ck_assert_str_eq(verb_name(program_main(p)), cases[i].verb);
        program_unref(p);
    }
}
END_TEST

START_TEST(modifiers_wrap_and_ids_are_stable)
{
    struct program *p = parse_good(
        "{\"input\": {\"t\": 2}, \"main\": [{\"retry\": {\"attempts\": 4, \"delay\": 0.1, \"on\": "
        "[\"CommandError\"]}, \"as\": \"r\", \"timeout\": \"${t}\", \"name\": \"n ${t}\","
        " \"run\": [\"true\"]}, {\"timeout\": 1, \"do\": [], \"retry\": 2}]}");
    /* Values in order: document 1, input 2, its t 3, main 4, the first node 5. */
    struct block *main = (struct block *)(void *)program_main(p);
    ck_assert_uint_eq(main->node.id, 4 * 4);
    struct as_node *as = AS_NODE(as, main->children[0]);
    ck_assert(as->node.verb == test_kinds.as && as->node.id == 4 * 5 + 3);
    ck_assert_str_eq(program_atom_name(p, as->name), "r");
    struct retry_node *retry = AS_NODE(retry, as->child);
    ck_assert(retry->node.verb == test_kinds.retry && retry->node.id == 4 * 5 + 2);
    ck_assert_int_eq(value_get_int(expr_literal(retry->attempts)), 4);
    ck_assert(retry->delay && !retry->backoff && !retry->jitter && !retry->max_delay);
    ck_assert(strcmp(retry->on[0], "CommandError") == 0 && !retry->on[1]);
    struct timeout_node *timeout = AS_NODE(timeout, retry->child);
    ck_assert(timeout->node.verb == test_kinds.timeout && timeout->node.id == 4 * 5 + 1);
    ck_assert(timeout->from_start && !expr_literal(timeout->seconds));
    struct node *run = timeout->child;
    ck_assert_str_eq(verb_name(run), "run");
    ck_assert_uint_eq(run->id, 4 * 5);
    ck_assert(node_name(p, run) && node_name(p, run) == node_name(p, &as->node));
    ck_assert_ptr_null(node_name(p, &main->node));
    struct node *nodes[] = {&main->node, &as->node, &retry->node, &timeout->node, run};
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        ck_assert(program_node(p, nodes[i]->id) == nodes[i]);
    ck_assert_ptr_null(program_node(p, 0));
    ck_assert_ptr_null(program_node(p, 4 * 4 + 1));
    ck_assert_ptr_null(program_node(p, UINT32_MAX));
    retry = AS_NODE(retry, main->children[1]);
    ck_assert(retry->node.verb == test_kinds.retry && !retry->on);
    ck_assert(!AS_NODE(timeout, retry->child)->from_start);
    program_unref(p);
}
END_TEST

START_TEST(a_calls_wrappers_belong_to_its_coroutine)
{
    struct program *p =
        parse_good("{\"define\": {\"f\": {\"do\": []}},"
                   " \"main\": {\"call\": \"f\", \"timeout\": 1, \"retry\": 2, \"as\": \"c\"}}");
    struct as_node *as = AS_NODE(as, program_main(p));
    ck_assert(as->node.verb == test_kinds.as);
    struct call_node *call = AS_NODE(call, as->child);
    ck_assert(call->node.verb == test_kinds.call);
    struct retry_node *retry = AS_NODE(retry, call->wrappers);
    ck_assert(retry->node.verb == test_kinds.retry);
    struct timeout_node *timeout = AS_NODE(timeout, retry->child);
    ck_assert(timeout->node.verb == test_kinds.timeout && !timeout->child);
    ck_assert(program_node(p, timeout->node.id) == &timeout->node);
    program_unref(p);
}
END_TEST

START_TEST(items_and_sources)
{
    struct program *p = parse_good(
        "{\"input\": {\"t\": 1, \"l\": []}, \"define\": {\"f\": {\"do\": []}}, \"main\": ["
        "{\"gather\": [{\"call\": \"f\"}, \"${t}\", \"...${l}\", [], {\"expr\": {\"var\": \"t\"}}],"
        " \"limit\": 2},"
        "{\"gather\": \"${l}\"},"
        "{\"gather\": {\"for\": \"x\", \"in\": {\"range\": [1, \"${t}\", 2]}, \"do\": {\"print\": "
        "\"${x}\"}}},"
        "{\"task_group\": {\"a\": [{\"await\": \"${b}\"}], \"b\": {\"sleep\": 1}}},"
        "{\"await\": [\"${t}\", {\"call\": \"f\"}]},"
        "{\"await\": {\"call\": \"f\"}},"
        "{\"for\": \"i\", \"in\": {\"range\": 3}, \"do\": []},"
        "{\"for\": \"i\", \"in\": \"${l}\", \"do\": []},"
        "{\"for\": \"i\", \"in\": [1, \"...${l}\"], \"do\": []}]}");
    struct node **c = ((struct block *)(void *)program_main(p))->children;
    const struct items *items = &AS_NODE(gather, c[0])->items;
    ck_assert_uint_eq(items->n, 5);
    ck_assert(items->all[0].node->verb == test_kinds.call && !items->all[0].value);
    ck_assert(!items->all[1].node && items->all[1].value && !items->all[1].splice);
    ck_assert(!items->all[2].node && items->all[2].value && items->all[2].splice);
    ck_assert(items->all[3].node->verb == test_kinds.block);
    ck_assert(!items->all[4].node && items->all[4].value);
    items = &AS_NODE(gather, c[1])->items;
    ck_assert(items->n == 1 && items->all[0].splice && items->var == 0);
    items = &AS_NODE(gather, c[2])->items;
    ck_assert(items->n == 0 && items->body && !items->source.list);
    ck_assert_str_eq(program_atom_name(p, items->var), "x");
    ck_assert(items->source.start && items->source.stop && items->source.step);
    items = &AS_NODE(gather, c[3])->items;
    ck_assert(items->n == 2 && items->all[0].node && items->all[1].node);
    ck_assert_str_eq(program_atom_name(p, items->all[1].name), "b");
    const struct operand *o = &AS_NODE(await, c[4])->operand;
    ck_assert(o->is_list && o->list.n == 2 && o->list.all[0].value && o->list.all[1].node);
    o = &AS_NODE(await, c[5])->operand;
    ck_assert(!o->is_list && o->list.n == 1 && o->list.all[0].node && !o->list.all[0].splice);
    const struct source *s = &AS_NODE(for, c[6])->in;
    ck_assert(!s->list && !s->start && s->stop && !s->step);
    ck_assert(AS_NODE(for, c[7])->in.list && AS_NODE(for, c[8])->in.list);
    program_unref(p);
}
END_TEST

START_TEST(handlers_and_scripts)
{
    struct program *p = parse_good(
        "{\"try\": {\"sh\": \"echo ${HOME} $1\"}, \"except\": [{\"type\": [\"A\", \"B\"], \"as\": "
        "\"e\", \"do\": {\"print\": \"${e.message}\"}}, {\"do\": []}], \"finally\": []}");
    const struct try_node *t = AS_NODE(try, program_main(p));
    ck_assert_uint_eq(t->handlers.n, 2);
    ck_assert(strcmp(t->handlers.all[0].types[1], "B") == 0 && !t->handlers.all[0].types[2]);
    ck_assert(!t->handlers.all[1].types && !t->handlers.all[1].as && t->handlers.all[1].body);
    ck_assert_str_eq(AS_NODE(sh, t->body)->script, "echo ${HOME} $1");
    ck_assert(t->finally && !t->otherwise);
    program_unref(p);
}
END_TEST

struct expectation {
    const char *text, *mistakes;
};

static const struct expectation wrong[] = {
    {"[{\"print\": 1}, {\"gathr\": []}]",
     "/1/gathr: unknown verb \"gathr\" (did you mean \"gather\"?)"},
    {"{\"main\": [{\"print\": 1}, {\"gathr\": [], \"as\": \"x\"}]}",
     "/main/1/gathr: unknown verb \"gathr\" (did you mean \"gather\"?)"},
    {"{\"gathr\": []}", "/gathr: unknown verb \"gathr\" (did you mean \"gather\"?)"},
    {"{\"fro\": \"x\", \"in\": [], \"do\": []}",
     "/fro: unknown verb \"fro\" (did you mean \"for\"?)"},
    {"[{}, {\"as\": \"x\"}, 3, \"x\"]",
     "/0: a node needs a verb\n"
     "/1: a node needs a verb\n"
     "/2: a node (an object with a verb, or a list of nodes) is needed here, not a number\n"
     "/3: a node (an object with a verb, or a list of nodes) is needed here, not a string"},
    {"{\"gather\": [], \"limt\": 2}",
     "/limt: unknown key \"limt\" of \"gather\" (did you mean \"limit\"?)"},
    {"{\"print\": 1, \"nmae\": \"x\"}",
     "/nmae: unknown key \"nmae\" of \"print\" (did you mean \"name\"?)"},
    {"{\"print\": 1, \"sleep\": 2}",
     "/sleep: \"print\" and \"sleep\" are two verbs: a node has one"},
    {"{\"print\": 1, \"prin\": 2}", "/prin: unknown key \"prin\" of \"print\""},
    {"{\"put\": 1}", ": \"put\" needs the key \"into\""},
    {"{\"mian\": []}", "/mian: unknown key \"mian\" of a job (did you mean \"main\"?)\n"
                       ": a job needs the key \"main\""},
    {"{\"name\": 3, \"main\": [], \"hold\": 1, \"umask\": \"999\", \"priority\": 1.5,"
     " \"env\": {\"A=\": []}, \"labels\": {\"x\": 1}, \"timeout\": -1, \"input\": [],"
     " \"define\": 1}",
     "/name: a string is needed here, not a number\n"
     "/input: an object is needed here, not a list\n"
     "/env/A=: \"A=\" can't be the name of an environment variable\n"
     "/env/A=: a string, a number or null is needed here, not a list\n"
     "/define: an object of function: {\"params\", \"defaults\", \"do\"} is needed here, not a "
     "number\n"
     "/umask: a umask is a string of octal digits such as \"022\", or a whole number up to 511\n"
     "/priority: a priority is a whole number from -1000 to 1000\n"
     "/timeout: a timeout is a number of seconds from 0, or null\n"
     "/labels/x: a string is needed here, not a number\n"
     "/hold: true or false is needed here, not a number"},
    {"{\"main\": [], \"delay\": -1, \"at\": \"tomorrow\", \"after\": [3, \"4\", 0, true]}",
     "/delay: a delay is a number of seconds from 0 to 1000000000\n"
     "/at: a time is written as RFC 3339 has it: \"2026-12-24T22:30:00Z\"\n"
     "/after/2: a job's id is a whole number from 1"},
    {"{\"main\": [], \"delay\": null, \"after\": {\"okay\": 3, \"any\": \"x\"}}",
     "/delay: a delay is a number of seconds from 0 to 1000000000\n"
     "/after/okay: \"after\" has \"ok\" (succeeded), \"any\" (ended) and \"fail\" (did not "
     "succeed), not \"okay\"\n"
     "/after/any: a job's id is a whole number from 1"},
    {"{\"input\": {\"a b\": 1, \"x/y~z\": 2}, \"main\": []}",
     "/input/a b: \"a b\" is no name for a variable\n"
     "/input/x~1y~0z: \"x/y~z\" is no name for a variable"},
    {"{\"define\": {\"fetch\": {\"params\": [\"url\", \"url\", \"2\"], \"defaults\": {\"ulr\": 1},"
     " \"do\": []}, \"g\": {}, \"a-b\": {\"do\": []}}, \"main\": ["
     "{\"call\": \"fetsh\"}, {\"call\": \"fetch\", \"args\": {\"uri\": 1}}, {\"call\": 1}]}",
     "/define/a-b: \"a-b\" is no name for a function\n"
     "/define/fetch/params/1: the parameter \"url\" comes twice\n"
     "/define/fetch/params/2: \"2\" is no name: letters, digits and _, not beginning with a "
     "digit\n"
     "/define/fetch/defaults/ulr: \"ulr\" is no parameter (did you mean \"url\"?)\n"
     "/define/g: the function \"g\" needs the key \"do\"\n"
     "/main/0/call: no function \"fetsh\" is defined (did you mean \"fetch\"?)\n"
     "/main/1/args/uri: fetch() got an unexpected keyword argument 'uri' (did you mean \"url\"?)\n"
     "/main/1: fetch() missing the required argument 'url'\n"
     "/main/2/call: the name of a function is needed here, not a number"},
    {"[{\"sleep\": -1}, {\"sleep\": \"x\"}, {\"sleep\": true}, {\"run\": []}, {\"run\": \"ls\"},"
     " {\"run\": [\"a\", 1, {\"base64\": \"!\"}, \"\\u0000\"]},"
     " {\"run\": [\"a\"], \"check\": 1, \"env\": {\"\": true}, \"cwd\": 1}]",
     "/0/sleep: a number from 0 is needed here\n"
     "/1/sleep: a number or null is needed here, not a string\n"
     "/2/sleep: a number or null is needed here, not true\n"
     "/3/run: the list is empty: its first string is the program\n"
     "/4/run: a list of strings is needed here, not a string\n"
     "/5/run/1: a string is needed here, not a number\n"
     "/5/run/2: this is no base64 (RFC 4648)\n"
     "/5/run/3: a NUL byte can't stand in this string\n"
     "/6/env/: \"\" can't be the name of an environment variable\n"
     "/6/env/: a string is needed here, not true\n"
     "/6/cwd: a string is needed here, not a number\n"
     "/6/check: true or false is needed here, not a number"},
    {"[{\"print\": 1, \"retry\": 0}, {\"print\": 1, \"retry\": {\"atempts\": 1, \"on\": [1]}},"
     " {\"print\": 1, \"as\": \"a b\", \"timeout\": \"x\", \"name\": 1}]",
     "/0/retry: the number of attempts is a whole number from 1\n"
     "/1/retry/atempts: unknown key \"atempts\" of retry (did you mean \"attempts\"?)\n"
     "/1/retry/on/0: a type of errors (a name) is needed here, not a number\n"
     "/2/name: a string is needed here, not a number\n"
     "/2/timeout: a number or null is needed here, not a string\n"
     "/2/as: \"a b\" is no name: letters, digits and _, not beginning with a digit"},
    {"[{\"gather\": {\"a\": []}}, {\"gather\": [\"x\", 1]}, {\"gather\": 1},"
     " {\"gather\": {\"for\": \"x\", \"do\": []}}, {\"gather\": \"x ${y}\"}]",
     "/0/gather: a list of nodes or {\"for\", \"in\", \"do\"} is needed here: names for the nodes "
     "are for \"task_group\"\n"
     "/1/gather/0: a node or a handle (\"${task}\") is needed here, not a string\n"
     "/1/gather/1: a node or a handle (\"${task}\") is needed here, not a number\n"
     "/2/gather: a list of nodes or {\"for\", \"in\", \"do\"} is needed here, not a number\n"
     "/3/gather: {\"for\", \"in\", \"do\"} needs the key \"in\"\n"
     "/4/gather: a node or a handle (\"${task}\") is needed here, not a string"},
    {"[{\"for\": \"x\", \"in\": {\"rnge\": 1}, \"do\": []}, {\"for\": 1, \"in\": \"abc\", \"do\": "
     "[]},"
     " {\"for\": \"x\", \"in\": {\"range\": [1, 2, 0]}, \"do\": []},"
     " {\"for\": \"x\", \"in\": {\"lines\": {}}, \"do\": []},"
     " {\"for\": \"x\", \"in\": {\"range\": []}, \"do\": []},"
     " {\"for\": \"x\", \"in\": {\"range\": 1.5}, \"do\": []}, {\"for\": \"x\", \"in\": {}, "
     "\"do\": []}]",
     "/0/in/rnge: unknown key \"rnge\" of a source (did you mean \"range\"?)\n"
     "/1/for: a name is needed here, not a number\n"
     "/1/in: a list or another source is needed here, not a string\n"
     "/2/in/range/2: a range's step can't be 0\n"
     "/3/in/lines: a node needs a verb\n"
     "/4/in/range: a range is stop, [start, stop] or [start, stop, step]\n"
     "/5/in/range: a whole number is needed here, not a number\n"
     "/6/in: a source is a list, a handle, {\"range\": …}, {\"lines\": …}, {\"ticker\": …} or "
     "{\"as_completed\": …}"},
    {"{\"a\": 1, \"a\": 2}", ": line 1, column 12: duplicate object key near '\"a\"'"},
};

START_TEST(mistakes_name_the_place_and_the_word)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        parse_expecting(wrong[i].text, wrong[i].mistakes, NULL);
}
END_TEST

START_TEST(warnings)
{
    static const struct expectation cases[] = {
        {"[{\"set\": {\"file\": 1}}, {\"sh\": \"cat ${file} ${other}\"},"
         " {\"sh\": \"cat ${file%.c}\", \"env\": {\"file\": \"${file}\"}}]",
         "/1/sh: ${file} is the shell's variable here, not the job's (pass it with \"env\": "
         "{\"file\": \"${file}\"}, or with \"args\")"},
        {"{\"env\": {\"a\": \"1\"}, \"input\": {\"a\": 1, \"b\": 2}, \"main\": {\"sh\": \"echo "
         "${a}${b}\"}}",
         "/main/sh: ${b} is the shell's variable here, not the job's (pass it with \"env\": "
         "{\"b\": \"${b}\"}, or with \"args\")"},
        {"[{\"set\": {\"count\": 1}}, {\"print\": \"${cuont} ${count}\"}]",
         "/1/print: the name \"cuont\" is bound nowhere (did you mean \"count\"?)"},
        {"[{\"if\": {\"var\": \"a\"}, \"then\": []}, {\"if\": {\"var\": [\"b\", 1]}, \"then\": []},"
         " {\"if\": {\"map\": [[1], {\"var\": \"c\"}]}, \"then\": []}]",
         "/0/if/var: the name \"a\" is bound nowhere"},
        {"{\"define\": {\"f\": {\"params\": [\"p\"], \"do\": {\"print\": \"${x} ${p} ${i}\"}}},"
         " \"input\": {\"i\": 1}, \"main\": [{\"set\": {\"x\": 1}}, {\"print\": \"${p}\"},"
         " {\"call\": \"f\", \"args\": {\"p\": 1}}, {\"call\": \"f\", \"args\": {\"p\": 1}, "
         "\"as\": \"c\"},"
         " {\"call\": \"f\", \"args\": {\"p\": \"${c}\"}}]}",
         "/main/2: this coroutine is never awaited: \"call\" makes it, \"await\" or "
         "\"create_task\" runs it\n"
         "/define/f/do/print: function \"f\" does not see \"x\": a function reads its parameters "
         "and the job's input\n"
         "/main/1/print: \"p\" is bound in another function only"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        program_unref(parse_expecting(cases[i].text, NULL, cases[i].mistakes));
}
END_TEST

START_TEST(mistakes_are_capped)
{
    struct buf text = {0};
    buf_addch(&text, '[');
    for (int i = 0; i < 300; i++)
        buf_printf(&text, "%s{\"prnt%d\": 1}", i ? "," : "", i);
    buf_addch(&text, ']');
    struct mistakes e = {0}, w = {0};
    ck_assert_ptr_null(program_parse(text.data, text.len, 50, &test_kinds, &e, &w));
    ck_assert_uint_eq(e.n, 100);
    ck_assert_uint_eq(e.dropped, 200);
    mistakes_release(&e);
    buf_clear(&text);
    for (int i = 0; i < 101; i++)
        buf_addch(&text, '[');
    for (int i = 0; i < 101; i++)
        buf_addch(&text, ']');
    ck_assert_ptr_null(program_parse(text.data, text.len, 200, &test_kinds, &e, &w));
    ck_assert_str_eq(e.all[0].message, "nodes are nested deeper than 100");
    mistakes_release(&e);
    ck_assert_ptr_null(program_parse(text.data, text.len, 50, &test_kinds, &e, &w));
    ck_assert_str_eq(e.all[0].message, "line 1, column 51: nested deeper than 50 levels");
    mistakes_release(&e);
    mistakes_release(&w);
    buf_release(&text);
}
END_TEST

/* A megabyte of anything takes no more than a moment: nothing is quadratic. */
START_TEST(large_documents)
{
    static const char *const parts[][3] = {
        {"[", "{\"print\": [\"${a}\", 1]}", "]"},
        {"{\"print\": 1", "\"k%d\": 1", "}"},
        {"{", "\"k%d\": 1", "}"},
        {"{\"input\": {\"x\": 1", "\"k%d\": 1", "}, \"main\": []}"},
        {"{\"main\": [], \"define\": {\"x\": {\"do\": []}",
         "\"k%d\": {\"do\": [{\"call\": \"k0\"}]}", "}}"},
        {"{\"main\": [], \"define\": {\"x\": {\"do\": [], \"params\": [\"x\"", "\"k%d\"", "]}}}"},
        {"{\"set\": {\"x\": 1", "\"k%d\": \"${k%d}\"", "}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct buf text = {0};
        buf_addstr(&text, parts[i][0]);
        bool first = parts[i][0][strlen(parts[i][0]) - 1] == '[' ||
                     parts[i][0][strlen(parts[i][0]) - 1] == '{';
        for (int n = 0; text.len < 1 << 20; n++, first = false) {
            if (!first)
                buf_addch(&text, ',');
            for (const char *s = parts[i][1]; *s; s++) {
                if (s[0] == '%' && s[1] == 'd')
                    buf_printf(&text, "%d", n), s++;
                else
                    buf_addch(&text, *s);
            }
        }
        buf_addstr(&text, parts[i][2]);
        struct mistakes e = {0}, w = {0};
        program_unref(program_parse(text.data, text.len, 50, &test_kinds, &e, &w));
        mistakes_release(&e);
        mistakes_release(&w);
        buf_release(&text);
    }
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("program");
    TCase *t = tcase_create("program");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_document_has_its_keys);
    tcase_add_test(t, a_bare_node_is_a_document);
    tcase_add_test(t, one_verb_per_object);
    tcase_add_test(t, modifiers_wrap_and_ids_are_stable);
    tcase_add_test(t, a_calls_wrappers_belong_to_its_coroutine);
    tcase_add_test(t, items_and_sources);
    tcase_add_test(t, handlers_and_scripts);
    tcase_add_test(t, mistakes_name_the_place_and_the_word);
    tcase_add_test(t, warnings);
    tcase_add_test(t, mistakes_are_capped);
    tcase_add_test(t, large_documents);
    suite_add_tcase(s, t);
    return s;
}
