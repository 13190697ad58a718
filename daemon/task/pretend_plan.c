/* The key "simulate": what a command or a request does when it is only pretended. */
#include <math.h>
#include <string.h>

#include "daemon/lang/parser.h"
#include "daemon/task/feed.h"
#include "daemon/task/leaf_http.h"
#include "daemon/task/pretend.h"
#include "proto/mem.h"
#include "proto/nearest.h"

static const double max_seconds = 1e9;

/* Reading it. */

struct plan {
    double duration_s;
    int exit, signal;
    bool lost;
    const struct value *out, *err;
    /* Of a request. */
    int status;
    const struct value *headers, *json, *error;
};

static bool read_number(const struct value *v, double max, double *ret)
{
    double d = value_get_number(v);
    if (!value_is_number(v) || !(d >= 0 && d <= max))
        return false;
    *ret = d;
    return true;
}

static bool read_whole(const struct value *v, double max, int *ret)
{
    double d;
    if (value_type(v) != VALUE_INT || !read_number(v, max, &d))
        return false;
    *ret = (int)d;
    return true;
}

static bool read_bytes(const struct value *v, const struct value **ret)
{
    *ret = v;
    return value_is_bytes(v);
}

static bool set_duration(struct plan *p, const struct value *v)
{
    return read_number(v, max_seconds, &p->duration_s);
}
static bool set_exit(struct plan *p, const struct value *v)
{
    return read_whole(v, 255, &p->exit);
}
static bool set_signal(struct plan *p, const struct value *v)
{
    return read_whole(v, 64, &p->signal);
}
static bool set_lost(struct plan *p, const struct value *v)
{
    p->lost = value_is_true(v);
    return value_type(v) == VALUE_BOOL;
}
static bool set_stdout(struct plan *p, const struct value *v)
{
    return read_bytes(v, &p->out);
}
static bool set_stderr(struct plan *p, const struct value *v)
{
    return read_bytes(v, &p->err);
}

static bool set_status(struct plan *p, const struct value *v)
{
    return read_whole(v, 599, &p->status) && p->status >= 100;
}
static bool set_headers(struct plan *p, const struct value *v)
{
    p->headers = v;
    for (size_t i = 0; value_type(v) == VALUE_OBJECT && i < value_count(v); i++)
        if (value_type(value_member(v, i)->value) != VALUE_STRING)
            return false;
    return value_type(v) == VALUE_OBJECT;
}
static bool set_json(struct plan *p, const struct value *v)
{
    p->json = v;
    return true;
}
static bool set_error(struct plan *p, const struct value *v)
{
    p->error = v;
    return value_type(v) == VALUE_STRING;
}

enum { OF_COMMAND = 1, OF_REQUEST = 2 };

static const struct plan_key {
    const char *name;
    unsigned of;
    bool (*set)(struct plan *p, const struct value *v);
    const char *what;
} plan_keys[] = {
    {"duration", OF_COMMAND | OF_REQUEST, set_duration, "a number of seconds"},
    {"lost", OF_COMMAND | OF_REQUEST, set_lost, "true or false"},
    {"exit", OF_COMMAND, set_exit, "0 to 255"},
    {"signal", OF_COMMAND, set_signal, "a signal's number"},
    {"stdout", OF_COMMAND, set_stdout, "a string"},
    {"stderr", OF_COMMAND, set_stderr, "a string"},
    {"status", OF_REQUEST, set_status, "100 to 599"},
    {"headers", OF_REQUEST, set_headers, "an object of strings"},
    {"body", OF_REQUEST, set_stdout, "a string"},
    {"json", OF_REQUEST, set_json, "a value"},
    {"error", OF_REQUEST, set_error, "a string: why there is no answer"},
};

static const struct plan_key *find_key(const char *name, unsigned of)
{
    for (size_t i = 0; i < ARRAY_LEN(plan_keys); i++)
        if (plan_keys[i].of & of && strcmp(plan_keys[i].name, name) == 0)
            return &plan_keys[i];
    return NULL;
}

/* False: what is wrong is appended. */
static bool plan_read(const struct value *v, unsigned of, struct plan *p, struct buf *wrong)
{
    *p = (struct plan){.status = 200};
    if (value_type(v) != VALUE_OBJECT) {
        buf_printf(wrong, "\"simulate\" takes an object, not %s", value_type_name(v));
        return false;
    }
    for (size_t i = 0; i < value_count(v); i++) {
        const struct value_member *m = value_member(v, i);
        const char *name = value_get_string(m->key, NULL);
        const struct plan_key *key = find_key(name, of);
        if (!key) {
            buf_printf(wrong, "unknown key \"%.100s\" of \"simulate\"", name);
            return false;
        }
        if (!key->set(p, m->value)) {
            buf_printf(wrong, "\"%s\" of \"simulate\" is %s", name, key->what);
            return false;
        }
    }
    return true;
}

static void parse_plan(struct parser *p, const json_t *json, unsigned of, void *out)
{
    size_t complaints = p->complaints;
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *)(uintptr_t)json, name, member) {
        if (find_key(name, of))
            continue;
        struct hint h = parser_hint(p, name);
        for (size_t i = 0; i < ARRAY_LEN(plan_keys); i++)
            if (plan_keys[i].of & of)
                hint_try(&h, plan_keys[i].name);
        parser_complain_key(p, name, hint_text(&h), "unknown key \"%.100s\" of \"simulate\"", name);
    }
    field_expr.parse(p, json, out);
    const struct value *v = *(struct expr **)out ? expr_literal(*(struct expr **)out) : NULL;
    struct plan plan;
    struct buf wrong = {0};
    if (v && p->complaints == complaints && !plan_read(v, of, &plan, &wrong))
        parser_complain(p, NULL, "%s", buf_cstr(&wrong));
    buf_release(&wrong);
}

static void parse_simulate(struct parser *p, const json_t *json, void *out)
{
    parse_plan(p, json, OF_COMMAND, out);
}

static void parse_simulate_http(struct parser *p, const json_t *json, void *out)
{
    parse_plan(p, json, OF_REQUEST, out);
}

static void release_simulate(void *out)
{
    field_expr.release(out);
}

const struct field_type field_simulate = {parse_simulate, release_simulate, "an object"};
const struct field_type field_simulate_http = {parse_simulate_http, release_simulate, "an object"};

/* Doing it. */

void pretend_takes(struct pretended *c, double seconds)
{
    seconds = seconds > 0 ? fmin(seconds, max_seconds) : 0;
    c->due_us = c->started_us + llround(seconds * 1e6);
}

/* The node of a command that waits for its start: a task's own, or the source of its loop. */
static const struct leaf_node *node_of(const struct leaf_run *run)
{
    const struct act *a = task_top(run->task);
    if (a && act_kind(a)->leaf)
        return (const struct leaf_node *)(const void *)a->node;
    if (a && act_kind(a) == &node_for && run->leaf.spec.lines) {
        const struct for_node *n = (const struct for_node *)(const void *)a->node;
        return (const struct leaf_node *)(const void *)n->source.lines;
    }
    return NULL;
}

static void plan_command(struct pretended *c, const struct plan *plan)
{
    c->outcome.status = plan->exit;
    if (plan->signal)
        c->outcome = (struct leaf_outcome){.how = LEAF_SIGNALED, .status = plan->signal};
    if (plan->out)
        value_to_bytes(plan->out, &c->out);
    if (plan->err)
        value_to_bytes(plan->err, &c->err);
}

static void plan_answer(struct pretended *c, const struct plan *plan)
{
    c->outcome.status = plan->status;
    if (plan->headers)
        c->headers = value_ref((struct value *)(uintptr_t)plan->headers);
    if (plan->json) {
        cleanup_value struct value *type = value_text("application/json");
        struct value *others = c->headers ? c->headers : value_object(NULL, 0);
        value_write(&c->out, plan->json, JSON_STYLE_COMPACT);
        c->headers = value_with(others, "content-type", type);
        value_unref(others);
    } else if (plan->out) {
        value_to_bytes(plan->out, &c->out);
    }
    if (plan->error) {
        value_write_text(&c->err, plan->error);
        c->outcome = (struct leaf_outcome){.how = LEAF_NOT_STARTED, .text = buf_cstr(&c->err)};
    }
}

bool pretend_planned(struct pretended *c, struct leaf *leaf)
{
    struct leaf_run *run = container_of(leaf, struct leaf_run, leaf);
    const struct leaf_node *n = node_of(run);
    struct value *error = NULL;
    struct plan plan = {0};
    struct buf wrong = {0};
    if (!n || !n->simulate)
        return false;
    cleanup_value struct value *v = task_try_eval(run->task, n->simulate, &error);
    if (!v)
        buf_printf(&wrong, "\"simulate\": %s", error_message(error));
    if (v && plan_read(v, leaf->spec.request ? OF_REQUEST : OF_COMMAND, &plan, &wrong)) {
        pretend_takes(c, plan.duration_s);
        (leaf->spec.request ? plan_answer : plan_command)(c, &plan);
        if (plan.lost && !leaf->first_attempt) /* what is done again is not lost again */
            c->outcome =
                (struct leaf_outcome){.how = LEAF_LOST, .text = "the machine was restarted"};
    } else {
        buf_add(&c->err, wrong.data, wrong.len);
        c->outcome = (struct leaf_outcome){
            .how = LEAF_NOT_STARTED, .status = 127, .text = buf_cstr(&c->err)};
    }
    value_unref(error);
    buf_release(&wrong);
    return true;
}
