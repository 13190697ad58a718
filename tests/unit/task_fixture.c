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
                                               .leaf_gone = on_dropped,
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

static void sink_object(void *arg, const struct object_row *row)
{
    struct fixture *f = arg;
    size_t i = 0;
    while (i < f->n_objects && f->objects[i].id != row->id)
        i++;
    ck_assert_int_eq(row->fresh, i == f->n_objects);
    ck_assert_uint_lt(i, ARRAY_LEN(f->objects));
    if (row->fresh)
        f->objects[f->n_objects++] = (struct fixture_part){.id = row->id};
    copy(&f->objects[i].data, &f->objects[i].len, row->state, row->state_len);
    f->objects_written++;
}

static void sink_item(void *arg, const struct item_row *row)
{
    struct fixture *f = arg;
    ck_assert_uint_lt(f->n_items, ARRAY_LEN(f->items));
    struct fixture_part *it = &f->items[f->n_items++];
    *it = (struct fixture_part){.id = row->object, .seq = row->seq};
    copy(&it->data, &it->len, row->value, row->value_len);
    f->items_written++;
}

static void sink_items_gone(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last)
{
    (void)job;
    struct fixture *f = arg;
    size_t n = 0;
    for (size_t i = 0; i < f->n_items; i++) {
        const struct fixture_part *it = &f->items[i];
        if (it->id == object && it->seq >= first && it->seq <= last)
            free(it->data);
        else
            f->items[n++] = *it;
    }
    f->n_items = n;
    f->items_gone++;
}

static void sink_object_gone(void *arg, uint64_t job, uint32_t object)
{
    struct fixture *f = arg;
    size_t i = 0;
    while (i < f->n_objects && f->objects[i].id != object)
        i++;
    ck_assert_uint_lt(i, f->n_objects);
    sink_items_gone(arg, job, object, 0, UINT64_MAX);
    free(f->objects[i].data);
    f->objects[i] = f->objects[--f->n_objects];
}

static void sink_objects_gone(void *arg, uint64_t job)
{
    struct fixture *f = arg;
    while (f->n_objects > 0)
        sink_object_gone(arg, job, f->objects[0].id);
    ck_assert_uint_eq(f->n_items, 0);
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
    runtime_start(f->rt, JOB, 0, f->program, 0);
}

void fixture_release(struct fixture *f)
{
    runtime_free(f->rt);
    program_unref(f->program);
    for (size_t i = 0; i < f->n_rows; i++) {
        free(f->rows[i].frame);
        free(f->rows[i].result);
    }
    for (size_t i = 0; i < f->n_objects; i++)
        free(f->objects[i].data);
    for (size_t i = 0; i < f->n_items; i++)
        free(f->items[i].data);
    buf_release(&f->printed);
    buf_release(&f->diagnostics);
    buf_release(&f->state);
    free(f->outcome);
}

void fixture_collect(struct fixture *f)
{
    static const struct runtime_sink sink = {.task = sink_task,
                                             .task_end = sink_end,
                                             .job = sink_job,
                                             .object = sink_object,
                                             .object_gone = sink_object_gone,
                                             .item = sink_item,
                                             .items_gone = sink_items_gone,
                                             .objects_gone = sink_objects_gone};
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

static bool load_objects(struct fixture *f, struct job_loader *l, struct err *err)
{
    for (size_t i = 0; i < f->n_objects; i++) {
        const struct fixture_part *o = &f->objects[i];
        struct object_row row = {.job = JOB, .id = o->id, .state = o->data, .state_len = o->len};
        if (!runtime_load_object(l, &row, err))
            return false;
    }
    for (size_t i = 0; i < f->n_items; i++) {
        const struct fixture_part *it = &f->items[i];
        struct item_row row = {
            .job = JOB, .object = it->id, .seq = it->seq, .value = it->data, .value_len = it->len};
        if (!runtime_load_item(l, &row, err))
            return false;
    }
    return true;
}

bool fixture_reload(struct fixture *f, struct err *err)
{
    runtime_free(f->rt);
    f->rt = runtime_new(&effects, f);
    f->n_wanted = 0;
    struct job_loader *l =
        runtime_load_begin(f->rt, JOB, 0, f->program, f->state.data, f->state.len);
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
    ok = ok && load_ends(f, l, err) && load_objects(f, l, err);
    /* The loader goes in any case. */
    return runtime_load_finish(l, ok ? err : NULL) && ok;
}
