#include "tests/fuzz/kept.h"

#include <string.h>

#include "proto/mem.h"
#include "tests/fuzz/fuzz.h"

static int compare(const struct kept_row *a, const struct kept_row *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Puts the row at its place, or in place of the one that is there. */
static void put(struct kept *k, bool fresh, struct kept_row row, const char *data, size_t len)
{
    size_t low = 0, high = k->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (compare(&k->rows[mid], &row) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    bool there = low < k->n && compare(&k->rows[low], &row) == 0;
    must(fresh == !there);
    if (there) {
        /* What is written of a task anew is its frame. */
        row.task = k->rows[low].task;
        row.time_us = k->rows[low].time_us;
        free(k->rows[low].data);
    } else {
        k->rows = xgrow(k->rows, &k->cap, k->n + 1, sizeof *k->rows);
        memmove(&k->rows[low + 1], &k->rows[low], (k->n - low) * sizeof *k->rows);
        k->n++;
    }
    row.data = xmemdup(len ? data : "", len ? len : 1);
    row.len = len;
    k->rows[low] = row;
}

void kept_remove(struct kept *k, size_t index)
{
    free(k->rows[index].data);
    memmove(&k->rows[index], &k->rows[index + 1], (--k->n - index) * sizeof *k->rows);
}

static void sink_task(void *arg, const struct task_row *row)
{
    put(arg, row->fresh,
        (struct kept_row){
            .kind = KEPT_TASK, .key = row->id, .task = row->parent, .time_us = row->created_us},
        row->frame, row->frame_len);
}

static void sink_end(void *arg, const struct task_end_row *row)
{
    put(arg, true,
        (struct kept_row){.kind = KEPT_END,
                          .key = row->seq,
                          .task = row->task,
                          .time_us = row->finished_us,
                          .state = row->state},
        row->result, row->result_len);
}

static void sink_job(void *arg, uint64_t job, const char *state, size_t len)
{
    struct kept *k = arg;
    (void)job;
    buf_clear(&k->job);
    buf_add(&k->job, state, len);
}

static void sink_object(void *arg, const struct object_row *row)
{
    put(arg, row->fresh,
        (struct kept_row){.kind = row->job ? KEPT_OBJECT : KEPT_NAMED, .key = row->id}, row->state,
        row->state_len);
}

static void sink_item(void *arg, const struct item_row *row)
{
    put(arg, true,
        (struct kept_row){
            .kind = row->job ? KEPT_ITEM : KEPT_NAMED_ITEM, .key = row->object, .seq = row->seq},
        row->value, row->value_len);
}

static void sink_items_gone(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last)
{
    struct kept *k = arg;
    enum kept_kind kind = job ? KEPT_ITEM : KEPT_NAMED_ITEM;
    for (size_t i = k->n; i-- > 0;) {
        const struct kept_row *r = &k->rows[i];
        if (r->kind == kind && r->key == object && r->seq >= first && r->seq <= last)
            kept_remove(k, i);
    }
}

static void sink_object_gone(void *arg, uint64_t job, uint32_t object)
{
    struct kept *k = arg;
    sink_items_gone(arg, job, object, 0, UINT64_MAX);
    for (size_t i = k->n; i-- > 0;)
        if (k->rows[i].kind == (job ? KEPT_OBJECT : KEPT_NAMED) && k->rows[i].key == object)
            kept_remove(k, i);
}

static void sink_objects_gone(void *arg, uint64_t job)
{
    struct kept *k = arg;
    (void)job;
    while (k->n > 0 && k->rows[k->n - 1].kind >= KEPT_OBJECT)
        kept_remove(k, k->n - 1);
}

const struct runtime_sink kept_sink = {
    .task = sink_task,
    .task_end = sink_end,
    .job = sink_job,
    .object = sink_object,
    .object_gone = sink_object_gone,
    .item = sink_item,
    .items_gone = sink_items_gone,
    .objects_gone = sink_objects_gone,
};

void kept_load_named(const struct kept *k, struct runtime *rt)
{
    struct err err;
    for (size_t i = 0; i < k->n && k->rows[i].kind <= KEPT_NAMED_ITEM; i++) {
        const struct kept_row *r = &k->rows[i];
        struct object_row object = {.id = (uint32_t)r->key, .state = r->data, .state_len = r->len};
        struct item_row item = {
            .object = (uint32_t)r->key, .seq = r->seq, .value = r->data, .value_len = r->len};
        if (r->kind == KEPT_NAMED)
            runtime_load_named(rt, &object, &err);
        else
            runtime_load_named_item(rt, &item, &err);
    }
}

static bool load_row(struct job_loader *l, uint64_t job, const struct kept_row *r, struct err *err)
{
    struct task_row task = {.job = job,
                            .id = (uint32_t)r->key,
                            .parent = r->task,
                            .created_us = r->time_us,
                            .frame = r->data,
                            .frame_len = r->len};
    struct task_end_row end = {.job = job,
                               .seq = r->key,
                               .task = r->task,
                               .state = r->state,
                               .finished_us = r->time_us,
                               .result = r->data,
                               .result_len = r->len};
    struct object_row object = {
        .job = job, .id = (uint32_t)r->key, .state = r->data, .state_len = r->len};
    struct item_row item = {.job = job,
                            .object = (uint32_t)r->key,
                            .seq = r->seq,
                            .value = r->data,
                            .value_len = r->len};
    switch (r->kind) {
    case KEPT_TASK:
        return runtime_load_task(l, &task, err);
    case KEPT_END:
        return runtime_load_end(l, &end, err);
    case KEPT_OBJECT:
        return runtime_load_object(l, &object, err);
    case KEPT_NAMED:
    case KEPT_NAMED_ITEM:
        return true;
    case KEPT_ITEM:
        break;
    }
    return runtime_load_item(l, &item, err);
}

bool kept_load_job(const struct kept *k, struct runtime *rt, uint64_t job, uint32_t owner,
                   struct program *program, struct err *err)
{
    bool ok = true;
    struct job_loader *l = runtime_load_begin(rt, job, owner, program, k->job.data, k->job.len);
    for (size_t i = 0; ok && i < k->n; i++)
        ok = load_row(l, job, &k->rows[i], err);
    /* The loader goes in any case. */
    return runtime_load_finish(l, ok ? err : NULL) && ok;
}

bool kept_load(const struct kept *k, struct runtime *rt, struct program *program, struct err *err)
{
    kept_load_named(k, rt);
    bool ok = kept_load_job(k, rt, KEPT_JOB, 0, program, err);
    runtime_load_named_done(rt);
    return ok;
}

void kept_release(struct kept *k)
{
    while (k->n > 0)
        kept_remove(k, k->n - 1);
    free(k->rows);
    buf_release(&k->job);
}
