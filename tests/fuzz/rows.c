/*
 * Rows: a job is run for some steps, its rows are damaged, it is taken up from them and lives on.
 * The input: a job document, a NUL, how many steps, and edits of four bytes (which row, what, where
 * in it, a byte). Without edits it must be taken up.
 */
#include <string.h>

#include "daemon/task/pretend.h"
#include "proto/mem.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/kept.h"

enum { MAX_TURNS = 300, BUDGET = 20, MAX_EDITS = 16, MAX_ROWS_BYTES = 4 * 1024 * 1024 };

struct sim {
    struct runtime *rt;
    struct program *program;
    struct kept kept;
    struct pretend pretend;
    bool over;
};

static void on_wanted(void *arg, struct leaf *leaf)
{
    pretend_leaf_wanted(&((struct sim *)arg)->pretend, leaf);
}

static void on_dropped(void *arg, struct leaf *leaf)
{
    pretend_leaf_dropped(&((struct sim *)arg)->pretend, leaf);
}

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)arg;
    (void)job;
    (void)seq;
    (void)text;
    (void)len;
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    (void)job;
    (void)how;
    must(!value != !error);
    ((struct sim *)arg)->over = true;
}

static void on_diagnostic(void *arg, uint64_t job, const char *text)
{
    (void)arg;
    (void)job;
    must(text[0]);
}

static const struct runtime_effects effects = {
    .leaf_wanted = on_wanted,
    .leaf_dropped = on_dropped,
    .printed = on_printed,
    .job_ended = on_ended,
    .diagnostic = on_diagnostic,
};

/* Some steps, and time goes on when nothing else is left. False: it is over or stands still. */
static bool turn(struct sim *s)
{
    bool work = runtime_tick(s->rt, s->pretend.now_us, BUDGET);
    if (s->over)
        return false;
    if (work || runtime_next_us(s->rt) <= s->pretend.now_us || pretend_step(&s->pretend))
        return true;
    int64_t next = runtime_next_us(s->rt), command = pretend_next_us(&s->pretend);
    if (command < next)
        next = command;
    if (next == INT64_MAX)
        return false;
    if (next > s->pretend.now_us)
        s->pretend.now_us = next;
    pretend_end(&s->pretend);
    return true;
}

static bool look(void *arg, const struct task_view *v)
{
    (void)arg;
    must(strlen(v->name) < sizeof v->name && strlen(v->awaits) < sizeof v->awaits);
    return true;
}

static void edit(struct kept *k, const uint8_t *e)
{
    size_t i = e[0] % (k->n + 1);
    struct kept_row *row = i < k->n ? &k->rows[i] : NULL;
    char *data = row ? row->data : k->job.data;
    size_t *len = row ? &row->len : &k->job.len;
    if (*len == 0)
        return;
    size_t at = e[2] % *len;
    switch (e[1] % 8) {
    case 0:
        *len = at;
        break;
    case 1:
        if (row)
            kept_remove(k, i);
        break;
    case 2:
        if (row)
            row->task = e[3];
        break;
    case 3: /* what is in another row */
        if (row && k->rows[e[3] % k->n].len < *len)
            memcpy(data, k->rows[e[3] % k->n].data, k->rows[e[3] % k->n].len);
        break;
    case 4:
        data[at] ^= (char)(1 << e[3] % 8);
        break;
    default:
        data[at] = (char)e[3];
    }
}

static size_t rows_bytes(const struct kept *k)
{
    size_t sum = 0;
    for (size_t i = 0; i < k->n; i++)
        sum += k->rows[i].len;
    return sum;
}

static void reload(struct sim *s, const uint8_t *edits, size_t n)
{
    struct err err = {0};
    for (size_t i = 0; i < n; i++)
        edit(&s->kept, edits + 4 * i);
    runtime_free(s->rt);
    s->rt = s->pretend.rt = runtime_new(&effects, s);
    pretend_forget_wanted(&s->pretend);
    if (!kept_load(&s->kept, s->rt, s->program, &err)) {
        if (n == 0)
            fprintf(stderr, "%s\n", err.text);
        must(n > 0 && err.text[0]);
        must(runtime_live_tasks(s->rt) == 0 && runtime_next_us(s->rt) == INT64_MAX);
        return;
    }
    runtime_view(s->rt, KEPT_JOB, look, NULL);
    for (unsigned i = 0; i < MAX_TURNS && turn(s); i++)
        ;
    if (n == 0) /* what is collected now fits what was there */
        runtime_collect(s->rt, &kept_sink, &s->kept);
    else if (!s->over)
        runtime_cancel(s->rt, KEPT_JOB);
    for (unsigned i = 0; i < MAX_TURNS && turn(s); i++)
        ;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t len = end ? (size_t)(end - data) : size, rest = end ? size - len - 1 : 0;
    struct mistakes errors = {0}, warnings = {0};
    struct sim s = {.pretend = {.slots = 100, .now_us = 1000000}};
    s.program = program_parse((const char *)data, len, 200, runtime_kinds(), &errors, &warnings);
    mistakes_release(&errors);
    mistakes_release(&warnings);
    if (!s.program)
        return 0;
    unsigned turns = rest > 0 ? end[1] : 1;
    size_t edits = rest > 0 ? (rest - 1) / 4 : 0;
    s.rt = s.pretend.rt = runtime_new(&effects, &s);
    runtime_start(s.rt, KEPT_JOB, 0, s.program, s.pretend.now_us);
    runtime_collect(s.rt, &kept_sink, &s.kept);
    bool more = true;
    for (unsigned i = 0; i < turns && more; i++) {
        more = turn(&s);
        runtime_collect(s.rt, &kept_sink, &s.kept);
    }
    if (!s.over && rows_bytes(&s.kept) <= MAX_ROWS_BYTES)
        reload(&s, end ? end + 2 : NULL, edits < MAX_EDITS ? edits : MAX_EDITS);
    runtime_free(s.rt);
    kept_release(&s.kept);
    pretend_release(&s.pretend);
    program_unref(s.program);
    return 0;
}
