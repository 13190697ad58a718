#include "tests/unit/task_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"

enum { JOB = 3 };

static void on_wanted(void *arg, struct leaf *leaf)
{
    struct fixture *f = arg;
    if (f->n_wanted < ARRAY_LEN(f->wanted))
        f->wanted[f->n_wanted++] = leaf;
}

static void on_dropped(void *arg, struct leaf *leaf)
{
    struct fixture *f = arg;
    f->n_dropped++;
    size_t n = 0;
    for (size_t i = 0; i < f->n_wanted; i++)
        if (f->wanted[i] != leaf)
            f->wanted[n++] = f->wanted[i];
    f->n_wanted = n;
}

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)job;
    (void)seq;
    struct fixture *f = arg;
    buf_add(&f->printed, text, len);
    buf_addch(&f->printed, '\n');
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    (void)job;
    struct fixture *f = arg;
    struct buf text = {0};
    value_write(&text, error ? error : value, JSON_STYLE_COMPACT);
    f->over = true;
    f->how = how;
    free(f->outcome);
    f->outcome = buf_steal(&text);
}

static void on_diagnostic(void *arg, uint64_t job, const char *text)
{
    (void)job;
    buf_addstr(&((struct fixture *)arg)->diagnostics, text);
    buf_addch(&((struct fixture *)arg)->diagnostics, '\n');
}

static const struct runtime_effects effects = {.leaf_wanted = on_wanted,
                                               .leaf_dropped = on_dropped,
                                               .printed = on_printed,
                                               .job_ended = on_ended,
                                               .diagnostic = on_diagnostic};

static struct fixture_row *row_of(struct fixture *f, uint32_t id)
{
    size_t i = 0;
    while (i < f->n_rows && f->rows[i].id < id)
        i++;
    if (i < f->n_rows && f->rows[i].id == id)
        return &f->rows[i];
    ck_assert_uint_lt(f->n_rows, ARRAY_LEN(f->rows));
    memmove(&f->rows[i + 1], &f->rows[i], (f->n_rows - i) * sizeof *f->rows);
    f->n_rows++;
    f->rows[i] = (struct fixture_row){.id = id};
    return &f->rows[i];
}

static void copy(char **to, size_t *to_len, const char *from, size_t len)
{
    free(*to);
    *to = xmalloc(len + 1);
    if (len > 0)
        memcpy(*to, from, len);
    *to_len = len;
}

static void sink_task(void *arg, const struct task_row *row)
{
    struct fixture *f = arg;
    struct fixture_row *r = row_of(f, row->id);
    ck_assert_int_eq(row->fresh, r->frame == NULL);
    r->parent = row->parent;
    r->created_us = row->created_us;
    copy(&r->frame, &r->frame_len, row->frame, row->frame_len);
    f->rows_written++;
}

static void sink_end(void *arg, const struct task_end_row *row)
{
    struct fixture *f = arg;
    struct fixture_row *r = row_of(f, row->task);
    ck_assert_ptr_null(r->result);
    r->end_seq = row->seq;
    r->finished_us = row->finished_us;
    r->state = row->state;
    copy(&r->result, &r->result_len, row->result, row->result_len);
    f->rows_written++;
}

static void sink_job(void *arg, uint64_t job, const char *state, size_t len)
{
    (void)job;
    struct fixture *f = arg;
    buf_clear(&f->state);
    buf_add(&f->state, state, len);
}

void fixture_init(struct fixture *f, const char *document)
{
    struct mistakes errors = {0}, warnings = {0};
    *f = (struct fixture){0};
    f->program =
        program_parse(document, strlen(document), 100, runtime_kinds(), &errors, &warnings);
    ck_assert_msg(f->program != NULL, "%s: %s", errors.n ? errors.all[0].pointer : "",
                  errors.n ? errors.all[0].message : "");
    mistakes_release(&errors);
    mistakes_release(&warnings);
    f->rt = runtime_new(&effects, f);
    runtime_start(f->rt, JOB, f->program, 0);
}

void fixture_release(struct fixture *f)
{
    runtime_free(f->rt);
    program_unref(f->program);
    for (size_t i = 0; i < f->n_rows; i++) {
        free(f->rows[i].frame);
        free(f->rows[i].result);
    }
    buf_release(&f->printed);
    buf_release(&f->diagnostics);
    buf_release(&f->state);
    free(f->outcome);
}

void fixture_collect(struct fixture *f)
{
    static const struct runtime_sink sink = {sink_task, sink_end, sink_job};
    runtime_collect(f->rt, &sink, f);
}

void fixture_run(struct fixture *f, int64_t now_us)
{
    for (unsigned i = 0; runtime_tick(f->rt, now_us, 1000) && i < 1000; i++)
        ;
    fixture_collect(f);
}

static bool load_ends(struct fixture *f, struct job_loader *l, struct err *err)
{
    uint64_t last = 0;
    for (;;) {
        const struct fixture_row *next = NULL;
        for (size_t i = 0; i < f->n_rows; i++)
            if (f->rows[i].end_seq > last && (!next || f->rows[i].end_seq < next->end_seq))
                next = &f->rows[i];
        if (!next)
            return true;
        last = next->end_seq;
        struct task_end_row row = {.job = JOB,
                                   .seq = last,
                                   .task = next->id,
                                   .finished_us = next->finished_us,
                                   .result = next->result,
                                   .result_len = next->result_len};
        if (!runtime_load_end(l, &row, err))
            return false;
    }
}

bool fixture_reload(struct fixture *f, struct err *err)
{
    runtime_free(f->rt);
    f->rt = runtime_new(&effects, f);
    f->n_wanted = 0;
    struct job_loader *l = runtime_load_begin(f->rt, JOB, f->program, f->state.data, f->state.len);
    bool ok = true;
    for (size_t i = 0; ok && i < f->n_rows; i++) {
        struct task_row row = {.job = JOB,
                               .id = f->rows[i].id,
                               .parent = f->rows[i].parent,
                               .created_us = f->rows[i].created_us,
                               .frame = f->rows[i].frame,
                               .frame_len = f->rows[i].frame_len};
        ok = runtime_load_task(l, &row, err);
    }
    ok = ok && load_ends(f, l, err);
    /* The loader goes in any case. */
    return runtime_load_finish(l, ok ? err : NULL) && ok;
}
