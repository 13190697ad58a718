#include "daemon/task/pretend.h"

#include <math.h>
#include <string.h>

#include "daemon/task/leaf.h"
#include "proto/mem.h"

enum {
    KILL_US = 230000,       /* a command ends so long after its signal */
    READ_BYTES = 64 * 1024, /* of its lines, at a time */
};

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
            pretend_takes(c, seconds);
            c->pieces = xgrow(c->pieces, &c->cap_pieces, c->n_pieces + 1, sizeof *c->pieces);
            c->pieces[c->n_pieces++] = (struct pretended_piece){c->due_us, c->out.len};
        }
    }
    pretend_takes(c, seconds);
}

static void guess(struct pretended *c, const char *text, const struct leaf *leaf)
{
    const char *sleep = strstr(text, "sleep "), *echo = strstr(text, "echo "),
               *status = strstr(text, "exit ");
    if (sleep)
        pretend_takes(c, strtod(sleep + 6, NULL));
    if (strncmp(text, "false", 5) == 0)
        c->outcome.status = 1;
    else if (status)
        c->outcome.status = (int)(strtoul(status + 5, NULL, 10) & 255);
    if (echo)
        put_echo(&c->out, echo + 5, leaf);
}

static void trim_newlines(struct buf *b)
{
    while (b->len > 0 && b->data[b->len - 1] == '\n')
        b->len--;
}

static void launch(struct pretend *p, struct leaf *leaf)
{
    struct pretended c = {.attempt = ++p->attempts, .started_us = p->now_us, .due_us = p->now_us};
    if (leaf->spec.request)
        c.outcome = (struct leaf_outcome){.how = LEAF_ANSWERED, .status = 200};
    if (!pretend_planned(&c, leaf) && !leaf->spec.request) {
        cleanup_free char *text = text_of(leaf);
        bool known = p->special && p->special(text, &c);
        if (!known && leaf->spec.lines && is_script(leaf))
            guess_lines(&c, text, leaf);
        else if (!known)
            guess(&c, text, leaf);
    }
    if (!leaf->spec.lines && !leaf->spec.request)
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
    value_unref(steal(&c->headers));
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
    while (leaf && leaf->spec.lines && runtime_lines_want(leaf, &position) && position < end) {
        size_t n = end - position < READ_BYTES ? end - position : READ_BYTES;
        runtime_leaf_data(p->rt, leaf, c->out.data + position, n, position + n, NULL);
        some = true;
    }
    if (c->given < end)
        c->given = end;
    return some;
}

static void end_one(struct pretend *p, struct pretended c)
{
    struct leaf *leaf = runtime_leaf_find(p->rt, c.attempt);
    c.outcome.duration_s = (double)(c.due_us - c.started_us) / 1e6;
    c.outcome.out = c.out.data;
    c.outcome.out_len = c.out.len;
    c.outcome.err = c.err.data;
    c.outcome.err_len = c.err.len;
    c.outcome.headers = c.headers;
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
    size_t n = 0;
    for (size_t i = 0; i < p->n_running; i++) {
        struct pretended *c = &p->running[i];
        some |= c->pieces && give(p, c, written(c, p->now_us));
        if (c->due_us > p->now_us) {
            p->running[n++] = *c;
            continue;
        }
        end_one(p, *c);
        some = true;
    }
    p->n_running = n;
    return some;
}

bool pretend_step(struct pretend *p)
{
    bool some = false;
    while (p->n_wanted > 0 && p->n_running < p->slots) {
        struct leaf *leaf = p->wanted[p->first++];
        p->n_wanted--;
        if (!leaf)
            continue;
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
        p->moved += p->first;
        p->first = 0;
    }
    p->wanted = xgrow(p->wanted, &p->wanted_cap, p->first + p->n_wanted + 1, sizeof(struct leaf *));
    leaf->user = (void *)(uintptr_t)(p->moved + p->first + p->n_wanted);
    p->wanted[p->first + p->n_wanted++] = leaf;
}

static void kill_it(struct pretend *p, struct pretended *c)
{
    int64_t takes_us = c->outcome.how == LEAF_ANSWERED ? 0 : KILL_US;
    release_one(c);
    c->pieces = NULL;
    c->n_pieces = c->cap_pieces = c->given = 0;
    c->outcome = (struct leaf_outcome){.how = LEAF_SIGNALED, .status = 15};
    if (c->due_us > p->now_us + takes_us)
        c->due_us = p->now_us + takes_us;
}

void pretend_leaf_dropped(struct pretend *p, struct leaf *leaf)
{
    for (size_t i = 0; leaf->state == LEAF_LAUNCHED && i < p->n_running; i++)
        if (p->running[i].attempt == leaf->attempt)
            kill_it(p, &p->running[i]);
    if (leaf->state == LEAF_WANTED)
        p->wanted[(uintptr_t)leaf->user - p->moved] = NULL;
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
