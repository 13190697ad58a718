#include "daemon/task/gather.h"

#include "daemon/task/save.h"
#include "proto/mem.h"

struct gather *gather_new(struct job *job, bool return_exceptions)
{
    struct gather *g = xcalloc(1, sizeof *g);
    g->refs = 1;
    g->id = ++job->next_gather;
    g->job = job;
    g->return_exceptions = return_exceptions;
    return g;
}

void gather_clear(struct gather *g)
{
    struct task **children = steal(&g->children);
    uint32_t n = g->n;
    g->n = g->cap = 0;
    for (uint32_t i = 0; i < n; i++)
        task_unref(children[i]);
    free(children);
}

void gather_unref(struct gather *g)
{
    if (!g || --g->refs > 0)
        return;
    gather_clear(g);
    value_unref(g->error);
    free(g);
}

static void append(struct gather *g, struct task *child)
{
    if (g->n == g->cap) {
        size_t cap = g->cap;
        g->children = xgrow(g->children, &cap, (size_t)g->n + 1, sizeof(struct task *));
        g->cap = (uint32_t)cap;
    }
    g->children[g->n++] = task_ref(child);
}

void gather_add(struct gather *g, struct task *child)
{
    append(g, child);
    if (child->mark == g->id)
        return;
    child->mark = g->id;
    g->futures++;
    if (task_is_done(child))
        return;
    g->refs++;
    callbacks_add(&child->callbacks, (struct callback){g, CALLBACK_GATHER});
    task_touch(child);
}

/* Nobody needs the children's outcomes: they may go. */
static void drop_children(struct gather *g)
{
    if (!g->shutdown)
        gather_clear(g);
}

void gather_abandon(struct gather *g)
{
    g->awaiter = NULL;
    g->state = GATHER_ORPHAN;
    drop_children(g);
}

static void outer_done(struct gather *g, enum gather_state state)
{
    g->state = (uint8_t)state;
    if (g->shutdown)
        g->job->stop_seq = job_soon(g->job, HANDLE_STOP, NULL, NULL);
    else if (g->awaiter && g->awaiter->wait == WAIT_GATHER && !g->awaiter->ready)
        job_soon_task(g->job, HANDLE_WAKE, g->awaiter);
    if (g->awaiter)
        task_touch(g->awaiter);
}

void gather_child_done(struct gather *g, struct task *child)
{
    g->finished++;
    if (!g->shutdown) /* that one reports them when all are done */
        task_retrieved(child);
    if (g->state != GATHER_PENDING)
        return;
    if (!g->return_exceptions && child->outcome != OUTCOME_VALUE) {
        g->error = value_ref(child->value);
        outer_done(g, GATHER_ERROR);
        return;
    }
    if (g->finished < g->futures)
        return;
    if (g->cancel_requested) {
        g->error = child->outcome == OUTCOME_CANCELLED ? value_ref(child->value)
                                                       : error_new("CancelledError", "%s", "");
        outer_done(g, GATHER_ERROR);
    } else {
        outer_done(g, GATHER_RESULTS);
    }
}

void gather_begin(struct gather *g)
{
    if (g->n == 0) {
        g->state = GATHER_RESULTS;
        return;
    }
    /* A task that is there twice is one future. */
    for (uint32_t i = 0; i < g->n; i++) {
        struct task *child = g->children[i];
        if (!task_is_done(child) || child->mark != g->id)
            continue;
        child->mark = 0;
        gather_child_done(g, child);
        if (g->n == 0) /* all were dropped */
            break;
    }
}

struct value *gather_results(const struct gather *g, struct value **error)
{
    cleanup_free struct value **items = xmalloc((g->n + 1) * sizeof(struct value *));
    uint32_t n = 0;
    for (; n < g->n; n++) {
        const struct task *child = g->children[n];
        if (child->outcome == OUTCOME_VALUE) {
            items[n] = value_ref(child->value);
            continue;
        }
        /* asyncio makes a new CancelledError here. */
        struct value_member m = {value_text("error"), child->outcome == OUTCOME_ERROR
                                                          ? value_ref(child->value)
                                                          : error_new("CancelledError", "%s", "")};
        items[n] = value_object(&m, 1);
        if (!items[n])
            items[n] = value_null();
    }
    struct value *list = value_list(items, n);
    if (!list)
        *error = error_new("ValueError", "the results of gather are too large for one value");
    return list;
}

void gather_save(const struct gather *g, struct buf *out)
{
    put_varint(out, g->id);
    put_u8(out, g->state);
    put_u8(out, (uint8_t)((g->return_exceptions ? 1 : 0) | (g->cancel_requested ? 2 : 0)));
    value_save_opt(g->error, out);
    put_varint(out, g->n);
    for (uint32_t i = 0; i < g->n;) { /* ranges of ids that follow each other */
        uint32_t run = 1;
        while (i + run < g->n && g->children[i + run]->id == g->children[i]->id + run)
            run++;
        put_varint(out, g->children[i]->id);
        put_varint(out, run);
        i += run;
    }
}

bool gather_load(struct gather *g, struct job_loader *l, struct reader *r)
{
    g->state = get_u8(r);
    uint8_t flags = get_u8(r);
    g->return_exceptions = flags & 1;
    g->cancel_requested = flags & 2;
    if (g->state > GATHER_ORPHAN || !value_load_opt(l, r, &g->error))
        return load_fail(l, "a gather");
    if ((g->state == GATHER_ERROR) != (g->error != NULL))
        return load_fail(l, "a gather's error");
    uint64_t n = get_varint(r);
    while (!r->failed && g->n < n) {
        uint64_t id = get_varint(r), run = get_varint(r);
        if (r->failed || run == 0 || run > n - g->n || n > JOB_MAX_TASKS)
            return load_fail(l, "a gather's children");
        for (uint64_t i = 0; i < run; i++) {
            struct task *child = load_task(l, (uint32_t)(id + i));
            if (!child || id + i > UINT32_MAX)
                return load_fail(l, "a gather's child");
            append(g, child);
        }
    }
    return !r->failed || load_fail(l, "a gather");
}

void gather_load_child(struct gather *g, struct task *child, bool seen)
{
    append(g, child);
    g->futures++;
    g->finished += seen;
}

struct sem *sem_new(uint32_t gather, int64_t limit)
{
    struct sem *s = xcalloc(1, sizeof *s);
    s->refs = 1;
    s->gather = gather;
    s->limit = s->value = limit;
    return s;
}

struct sem *sem_ref(struct sem *s)
{
    s->refs++;
    return s;
}

void sem_unref(struct sem *s)
{
    if (s && --s->refs == 0)
        free(s);
}
