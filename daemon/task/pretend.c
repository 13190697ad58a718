#include "daemon/task/pretend.h"

#include <math.h>
#include <string.h>

#include "daemon/lang/parser.h"
#include "daemon/task/feed.h"
#include "daemon/task/leaf.h"
#include "proto/mem.h"
#include "proto/nearest.h"

enum {
    KILL_US = 230000,       /* a command ends so long after its signal */
    READ_BYTES = 64 * 1024, /* of its lines, at a time */
};
static const double max_seconds = 1e9;

/* The key "simulate". */

struct plan {
    double duration_s;
    int exit, signal;
    bool lost;
    const struct value *out, *err;
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
    struct buf bytes = {0};
    bool ok = value_to_bytes(v, &bytes);
    buf_release(&bytes);
    *ret = v;
    return ok;
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

static const struct plan_key {
    const char *name;
    bool (*set)(struct plan *p, const struct value *v);
    const char *what;
} plan_keys[] = {
    {"duration", set_duration, "a number of seconds"},
    {"exit", set_exit, "0 to 255"},
    {"signal", set_signal, "a signal's number"},
    {"lost", set_lost, "true or false"},
    {"stdout", set_stdout, "a string"},
    {"stderr", set_stderr, "a string"},
};

static const struct plan_key *find_key(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(plan_keys); i++)
        if (strcmp(plan_keys[i].name, name) == 0)
            return &plan_keys[i];
    return NULL;
}

/* False: what is wrong is appended. */
static bool plan_read(const struct value *v, struct plan *p, struct buf *wrong)
{
    *p = (struct plan){0};
    if (value_type(v) != VALUE_OBJECT) {
        buf_printf(wrong, "\"simulate\" takes an object, not %s", value_type_name(v));
        return false;
    }
    for (size_t i = 0; i < value_count(v); i++) {
        const struct value_member *m = value_member(v, i);
        const char *name = value_get_string(m->key, NULL);
        const struct plan_key *key = find_key(name);
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

static void parse_simulate(struct parser *p, const json_t *json, void *out)
{
    size_t complaints = p->complaints;
    const char *name;
    json_t *member;
    json_object_foreach ((json_t *)(uintptr_t)json, name, member) {
        if (find_key(name))
            continue;
        struct hint h = parser_hint(p, name);
        for (size_t i = 0; i < ARRAY_LEN(plan_keys); i++)
            hint_try(&h, plan_keys[i].name);
        parser_complain_key(p, name, hint_text(&h), "unknown key \"%.100s\" of \"simulate\"", name);
    }
    field_expr.parse(p, json, out);
    const struct value *v = *(struct expr **)out ? expr_literal(*(struct expr **)out) : NULL;
    struct plan plan;
    struct buf wrong = {0};
    if (v && p->complaints == complaints && !plan_read(v, &plan, &wrong))
        parser_complain(p, NULL, "%s", buf_cstr(&wrong));
    buf_release(&wrong);
}

static void release_simulate(void *out)
{
    field_expr.release(out);
}

const struct field_type field_simulate = {parse_simulate, release_simulate, "an object"};

/* What a command does. */

static bool is_script(const struct leaf *leaf)
{
    return value_count(leaf->spec.argv) > 2 &&
           strcmp(value_get_string(value_item(leaf->spec.argv, 1), NULL), "-c") == 0;
}

/* The script, or the words. */
static char *text_of(const struct leaf *leaf)
{
    struct buf text = {0};
    size_t n = value_count(leaf->spec.argv);
    if (is_script(leaf))
        value_write_text(&text, value_item(leaf->spec.argv, 2));
    for (size_t i = 0; i < n && !is_script(leaf); i++) {
        if (i > 0)
            buf_addch(&text, ' ');
        value_write_text(&text, value_item(leaf->spec.argv, i));
    }
    buf_addstr(&text, "");
    return buf_steal(&text);
}

/* What echo writes: $1 … $9 of a script are its arguments. */
static void put_echo(struct buf *out, const char *text, const struct leaf *leaf)
{
    for (; *text && *text != ';'; text++) {
        if (is_script(leaf) && *text == '$' && text[1] >= '1' && text[1] <= '9') {
            const struct value *arg = value_item(leaf->spec.argv, 3 + (size_t)(*++text - '0'));
            if (arg)
                value_write_text(out, arg);
        } else {
            buf_addch(out, *text);
        }
    }
}

/* A time that does not leave what microseconds can count. */
static void set_duration_of(struct pretended *c, double seconds)
{
    seconds = seconds > 0 ? fmin(seconds, max_seconds) : 0;
    c->due_us = c->started_us + llround(seconds * 1e6);
}

/* Of a command whose lines are read: one thing after the other. */
static void guess_lines(struct pretended *c, const char *text, const struct leaf *leaf)
{
    double seconds = 0;
    for (; *text; text += strcspn(text, ";"), text += strspn(text, "; \n")) {
        bool echo = strncmp(text, "echo ", 5) == 0;
        if (strncmp(text, "sleep ", 6) == 0) {
            seconds += fmax(strtod(text + 6, NULL), 0);
        } else if (strncmp(text, "exit ", 5) == 0) {
            c->outcome.status = (int)(strtoul(text + 5, NULL, 10) & 255);
            break;
        } else if (echo || strncmp(text, "printf ", 7) == 0) {
            put_echo(&c->out, strchr(text, ' ') + 1, leaf);
            if (echo)
                buf_addch(&c->out, '\n');
            set_duration_of(c, seconds);
            c->pieces = xgrow(c->pieces, &c->cap_pieces, c->n_pieces + 1, sizeof *c->pieces);
            c->pieces[c->n_pieces++] = (struct pretended_piece){c->due_us, c->out.len};
        }
    }
    set_duration_of(c, seconds);
}

static void guess(struct pretended *c, const char *text, const struct leaf *leaf)
{
    const char *sleep = strstr(text, "sleep "), *echo = strstr(text, "echo "),
               *status = strstr(text, "exit ");
    if (sleep)
        set_duration_of(c, strtod(sleep + 6, NULL));
    if (strncmp(text, "false", 5) == 0)
        c->outcome.status = 1;
    else if (status)
        c->outcome.status = (int)(strtoul(status + 5, NULL, 10) & 255);
    if (echo)
        put_echo(&c->out, echo + 5, leaf);
}

/* The node of a command that waits for its start: a task's own, or the source of its loop. */
static const struct leaf_node *node_of(const struct leaf_run *run)
{
    const struct act *a = task_top(run->task);
    if (a && a->kind->leaf)
        return (const struct leaf_node *)(const void *)a->node;
    if (a && a->kind == &node_for && run->leaf.spec.lines) {
        const struct for_node *n = (const struct for_node *)(const void *)a->node;
        return (const struct leaf_node *)(const void *)n->source.lines;
    }
    return NULL;
}

/* False: the leaf has no plan. */
static bool planned(struct pretended *c, struct leaf *leaf)
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
    if (v && plan_read(v, &plan, &wrong)) {
        set_duration_of(c, plan.duration_s);
        c->outcome.status = plan.exit;
        if (plan.lost)
            c->outcome =
                (struct leaf_outcome){.how = LEAF_LOST, .text = "the machine was restarted"};
        else if (plan.signal)
            c->outcome = (struct leaf_outcome){.how = LEAF_SIGNALED, .status = plan.signal};
        if (plan.out)
            value_to_bytes(plan.out, &c->out);
        if (plan.err)
            value_to_bytes(plan.err, &c->err);
    } else {
        buf_add(&c->err, wrong.data, wrong.len);
        c->outcome = (struct leaf_outcome){
            .how = LEAF_NOT_STARTED, .status = 127, .text = buf_cstr(&c->err)};
    }
    value_unref(error);
    buf_release(&wrong);
    return true;
}

static void trim_newlines(struct buf *b)
{
    while (b->len > 0 && b->data[b->len - 1] == '\n')
        b->len--;
}

static void launch(struct pretend *p, struct leaf *leaf)
{
    struct pretended c = {.attempt = ++p->attempts, .started_us = p->now_us, .due_us = p->now_us};
    if (!planned(&c, leaf)) {
        cleanup_free char *text = text_of(leaf);
        bool known = p->special && p->special(text, &c);
        if (!known && leaf->spec.lines && is_script(leaf))
            guess_lines(&c, text, leaf);
        else if (!known)
            guess(&c, text, leaf);
    }
    if (!leaf->spec.lines)
        trim_newlines(&c.out);
    trim_newlines(&c.err);
    p->running = xgrow(p->running, &p->running_cap, p->n_running + 1, sizeof *p->running);
    p->running[p->n_running++] = c;
    runtime_leaf_launched(p->rt, leaf, c.attempt, p->now_us);
}

static void release_one(struct pretended *c)
{
    buf_release(&c->out);
    buf_release(&c->err);
    free(c->pieces);
}

/* How much it has written by then. */
static size_t written(const struct pretended *c, int64_t now_us)
{
    size_t end = 0;
    for (size_t i = 0; i < c->n_pieces && c->pieces[i].due_us <= now_us; i++)
        end = c->pieces[i].end;
    return end;
}

/* Gives the runtime what it wants of the first `end` bytes. */
static bool give(struct pretend *p, struct pretended *c, size_t end)
{
    struct leaf *leaf = runtime_leaf_find(p->rt, c->attempt);
    uint64_t position;
    bool some = false;
    while (leaf && runtime_lines_want(leaf, &position) && position < end) {
        size_t n = end - position < READ_BYTES ? end - position : READ_BYTES;
        runtime_leaf_data(p->rt, leaf, c->out.data + position, n, position + n, NULL);
        some = true;
    }
    if (c->given < end)
        c->given = end;
    return some;
}

static void end_one(struct pretend *p, size_t i)
{
    struct pretended c = p->running[i];
    struct leaf *leaf = runtime_leaf_find(p->rt, c.attempt);
    memmove(&p->running[i], &p->running[i + 1], (--p->n_running - i) * sizeof *p->running);
    c.outcome.duration_s = (double)(c.due_us - c.started_us) / 1e6;
    c.outcome.out = c.out.data;
    c.outcome.out_len = c.out.len;
    c.outcome.err = c.err.data;
    c.outcome.err_len = c.err.len;
    c.outcome.spooled = c.given > 0;
    c.outcome.spool_bytes = c.out.len;
    if (leaf)
        runtime_leaf_ended(p->rt, leaf, &c.outcome);
    if (leaf && c.outcome.spooled) {
        p->ended = xgrow(p->ended, &p->ended_cap, p->n_ended + 1, sizeof *p->ended);
        p->ended[p->n_ended++] = c;
    } else {
        release_one(&c);
    }
}

/* What is left of the lines of those that have ended. */
static bool give_ended(struct pretend *p)
{
    bool some = false;
    size_t n = 0;
    for (size_t i = 0; i < p->n_ended; i++) {
        struct pretended *c = &p->ended[i];
        some |= give(p, c, c->out.len);
        if (runtime_leaf_find(p->rt, c->attempt))
            p->ended[n++] = *c;
        else
            release_one(c);
    }
    p->n_ended = n;
    return some;
}

bool pretend_end(struct pretend *p)
{
    bool some = give_ended(p);
    for (size_t i = 0; i < p->n_running;) {
        struct pretended *c = &p->running[i];
        some |= c->pieces && give(p, c, written(c, p->now_us));
        if (c->due_us > p->now_us) {
            i++;
            continue;
        }
        end_one(p, i);
        some = true;
    }
    return some;
}

bool pretend_step(struct pretend *p)
{
    bool some = false;
    while (p->n_wanted > 0 && p->n_running < p->slots) {
        struct leaf *leaf = p->wanted[p->first++];
        if (--p->n_wanted == 0)
            p->first = 0;
        launch(p, leaf);
        some = true;
    }
    return pretend_end(p) || some;
}

int64_t pretend_next_us(const struct pretend *p)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < p->n_running; i++) {
        const struct pretended *c = &p->running[i];
        if (c->due_us < next)
            next = c->due_us;
        for (size_t k = 0; k < c->n_pieces; k++)
            if (c->pieces[k].due_us > p->now_us && c->pieces[k].due_us < next)
                next = c->pieces[k].due_us;
    }
    return next;
}

void pretend_leaf_wanted(struct pretend *p, struct leaf *leaf)
{
    if (p->first > p->n_wanted) { /* at most as much is moved as was taken since */
        memmove(p->wanted, p->wanted + p->first, p->n_wanted * sizeof(struct leaf *));
        p->first = 0;
    }
    p->wanted = xgrow(p->wanted, &p->wanted_cap, p->first + p->n_wanted + 1, sizeof(struct leaf *));
    p->wanted[p->first + p->n_wanted++] = leaf;
}

static void kill_it(struct pretend *p, struct pretended *c)
{
    release_one(c);
    c->pieces = NULL;
    c->n_pieces = c->cap_pieces = c->given = 0;
    c->outcome = (struct leaf_outcome){.how = LEAF_SIGNALED, .status = 15};
    if (c->due_us > p->now_us + KILL_US)
        c->due_us = p->now_us + KILL_US;
}

void pretend_leaf_dropped(struct pretend *p, struct leaf *leaf)
{
    for (size_t i = 0; leaf->state == LEAF_LAUNCHED && i < p->n_running; i++)
        if (p->running[i].attempt == leaf->attempt)
            kill_it(p, &p->running[i]);
    for (size_t i = p->first; i < p->first + p->n_wanted; i++)
        if (p->wanted[i] == leaf) {
            p->n_wanted--;
            memmove(&p->wanted[i], &p->wanted[i + 1],
                    (p->first + p->n_wanted - i) * sizeof(struct leaf *));
            return;
        }
}

void pretend_forget_wanted(struct pretend *p)
{
    p->first = p->n_wanted = 0;
}

void pretend_loaded(struct pretend *p)
{
    for (size_t i = 0; i < p->n_running; i++)
        give(p, &p->running[i], p->running[i].given);
    for (size_t i = 0; i < p->n_ended; i++)
        give(p, &p->ended[i], p->ended[i].given);
}

void pretend_release(struct pretend *p)
{
    for (size_t i = 0; i < p->n_running; i++)
        release_one(&p->running[i]);
    for (size_t i = 0; i < p->n_ended; i++)
        release_one(&p->ended[i]);
    free(p->running);
    free(p->ended);
    free(p->wanted);
}
