/* A job as a whole, from its rows. */
#include "daemon/task/keep.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static bool load_state(struct job_loader *l)
{
    struct job *job = l->job;
    struct reader r = READER(l->state, l->state_len);
    uint8_t version = get_u8(&r);
    job->phase = get_u8(&r);
    job->stop = get_u8(&r) != 0;
    job->stuck = get_u8(&r);
    uint64_t task = get_varint(&r), scope = get_varint(&r), coro = get_varint(&r),
             gather = get_varint(&r), object = get_varint(&r), keep = get_varint(&r);
    job->next_timer = get_varint(&r);
    job->lines = get_varint(&r);
    job->ends = get_varint(&r);
    job->now_us = get_svarint(&r);
    job->ready.next_seq = get_varint(&r);
    l->head = get_varint(&r);
    job->ready.tick_end = get_varint(&r);
    uint64_t running = get_varint(&r), closing;
    job->stop_seq = get_varint(&r);
    closing = get_varint(&r);
    if (r.failed || version != ROW_VERSION || job->phase >= PHASE_OVER || task > UINT32_MAX ||
        scope > UINT32_MAX || coro > UINT32_MAX || gather >= UINT32_MAX || object >= KEEP_IDS ||
        keep > KEEP_IDS || running > UINT32_MAX || closing > gather ||
        l->head > job->ready.next_seq || job->ready.next_seq - l->head > INT32_MAX ||
        job->next_timer > TIMER_MAX_SEQ)
        return load_fail(l, "the job's row");
    job->next_task = (uint32_t)task;
    job->next_scope = (uint32_t)scope;
    job->next_coro = (uint32_t)coro;
    job->next_gather = (uint32_t)gather;
    job->objects.last_id = (uint32_t)object;
    job->last_keep = (uint32_t)keep;
    l->running = (uint32_t)running;
    if (closing > 0) {
        job->closing = load_gather(l, (uint32_t)closing);
        job->closing->shutdown = job->closing->return_exceptions = true;
    }
    if (job->stop_seq)
        load_handle(l, (struct handle){job->stop_seq, NULL, NULL, HANDLE_STOP});
    l->tail = r;
    return true;
}

/* What names tasks comes when they are there. */
static bool load_state_tail(struct job_loader *l)
{
    struct reader *r = &l->tail;
    return value_load_opt(l, r, &l->job->failure) &&
           timer_load(l, r, NULL, &l->job->deadline, TIMER_JOB) &&
           coro_list_load(&l->job->left, l, r) && (reader_done(r) || load_fail(l, "the job's row"));
}

static bool drain(struct job_loader *l)
{
    while (l->n_todo > 0) {
        struct loaded_row *row = &l->rows[l->todo[--l->n_todo]];
        if (!load_end(l, row))
            return false;
        if (row->frame_len > 0 && !load_frame(l, row))
            return false;
    }
    return true;
}

/* Ended tasks whose variables are still read by others. */
static bool is_kept(const struct loaded_row *row)
{
    return row->frame_len > 2 && row->frame[1] != 0;
}

static bool load_rows(struct job_loader *l)
{
    for (size_t i = 0; i < l->n; i++) /* in order of creation */
        if (!l->rows[i].result)
            load_task(l, l->rows[i].id);
    for (size_t i = 0; i < l->n; i++) {
        struct loaded_row *row = &l->rows[i];
        bool ok = row->result ? !is_kept(row) || load_task(l, row->id) : load_frame(l, row);
        if (!ok || !drain(l))
            return load_fail(l, "a task's row");
    }
    return true;
}

/* The done-callbacks of ended tasks whose turn has not come. */
static bool load_callbacks(struct job_loader *l)
{
    for (size_t i = 0; i < l->n; i++) {
        struct loaded_row *row = &l->rows[i];
        struct end_head h;
        if (!row->result)
            continue;
        struct reader r = READER(row->result, row->result_len);
        if (!load_end_head(l, &r, &h))
            return false;
        for (uint64_t k = 0; k < h.n; k++) {
            struct callback_id c;
            load_callback(&h.callbacks, &c);
            if (c.type == CALLBACK_WATCH && !watch_load_callback(l, row->id, c.id, h.seq + k))
                return false;
            bool closing =
                l->job->closing && c.type == CALLBACK_GATHER && c.id == l->job->closing->id;
            if (c.type != CALLBACK_GATHER || (h.seq + k < l->head && !closing))
                continue;
            if (c.id == 0 || c.id > l->job->next_gather)
                return load_fail(l, "a callback");
            struct task *t = load_task(l, row->id);
            if (closing)
                gather_load_child(l->job->closing, t, h.seq + k < l->head);
            if (h.seq + k >= l->head)
                load_handle(l, (struct handle){h.seq + k, load_gather(l, (uint32_t)c.id),
                                               task_ref(t), HANDLE_CHILD});
        }
    }
    if (!drain(l))
        return false;
    watches_load_seen(l);
    return true;
}

/* Whether the gather has seen the end of its child. */
static bool load_seen(struct job_loader *l, const struct gather *g, const struct loaded_row *row,
                      bool *seen)
{
    struct end_head h;
    struct reader r = READER(row->result, row->result_len);
    *seen = true;
    if (!load_end_head(l, &r, &h))
        return false;
    for (uint64_t k = 0; k < h.n; k++) {
        struct callback_id c;
        load_callback(&h.callbacks, &c);
        if (c.type == CALLBACK_GATHER && c.id == g->id)
            *seen = h.seq + k < l->head;
    }
    return true;
}

static bool count_children(struct job_loader *l, struct gather *g)
{
    g->futures = g->finished = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        struct task *child = g->children[i];
        bool seen = false;
        if (child->mark == g->id)
            continue;
        child->mark = g->id;
        g->futures++;
        if (task_is_done(child) && !load_seen(l, g, load_row(l, child->id), &seen))
            return false;
        g->finished += seen;
    }
    return true;
}

static bool load_gathers(struct job_loader *l)
{
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&l->gathers, &at));) {
        struct gather *g = s->value;
        if (!g->shutdown && !count_children(l, g))
            return false;
    }
    struct gather *closing = l->job->closing;
    if (!closing)
        return true;
    for (struct task *t = l->job->first; t; t = t->next)
        for (uint32_t i = 0; !task_is_done(t) && i < callbacks_n(&t->callbacks); i++)
            if (callbacks_get(&t->callbacks, i).object == closing)
                gather_load_child(closing, t, false);
    closing->state = closing->finished < closing->futures ? GATHER_PENDING : GATHER_RESULTS;
    return true;
}

/* All variables around are there. Rows of ended tasks may still name scopes that went since: those
 * nobody reaches. */
static bool load_reaches(struct job_loader *l, const struct act *a)
{
    const struct scope *s = a->role == ACT_FRAME   ? frame_scope(a)
                            : a->role == ACT_LIMIT ? limit_scope(a)
                                                   : NULL;
    /* One that was looked at once more is not followed again. */
    for (; s && map_get(&l->filled, (uint64_t)s->id + 1) != l; s = s->parent) {
        if (!map_get(&l->filled, (uint64_t)s->id + 1))
            return false;
        map_put(&l->filled, (uint64_t)s->id + 1, l);
    }
    return true;
}

static bool load_checks(struct job_loader *l)
{
    for (struct task *t = l->job->first; t; t = t->next) {
        if (task_is_done(t))
            continue;
        if (!load_check(l, t))
            return false;
        for (uint32_t where = 0; where < t->used;) {
            struct act *a = (struct act *)(void *)(t->stack + where);
            if (!load_reaches(l, a))
                return load_fail(l, "variables that are missing");
            if (act_kind(a)->loaded)
                act_kind(a)->loaded(t, a);
            where += a->words;
        }
    }
    return true;
}

/* Ended tasks that nobody names go; the others stand in order of creation. */
static void settle(struct job_loader *l)
{
    struct job *job = l->job;
    job->first = job->last = NULL;
    for (size_t i = 0; i < l->n; i++) {
        struct task *t = l->rows[i].task;
        if (!t)
            continue;
        t->prev = job->last;
        t->next = NULL;
        *(job->last ? &job->last->next : &job->first) = t;
        job->last = t;
    }
    for (size_t i = 0; i < l->n; i++) {
        struct task *t = l->rows[i].task;
        if (!t || !task_is_done(t))
            continue;
        t->dirty = false;
        l->rows[i].task = NULL;
        task_release(t);
    }
}

static int compare_handle(const void *a, const void *b)
{
    uint64_t x = ((const struct handle *)a)->seq, y = ((const struct handle *)b)->seq;
    return x < y ? -1 : x > y;
}

/* Each handle has its own place among those that have not run. */
static bool load_order(struct job_loader *l)
{
    if (l->n_handles > 0)
        qsort(l->handles, l->n_handles, sizeof *l->handles, compare_handle);
    uint64_t next = l->head;
    for (size_t i = 0; i < l->n_handles; i++) {
        uint64_t seq = l->handles[i].seq;
        if (seq < next || seq >= l->job->ready.next_seq)
            return load_fail(l, "the order of what is ready");
        next = seq + 1;
    }
    return true;
}

bool load_job(struct job_loader *l)
{
    if (!load_state(l) || !load_objects(l) || !load_rows(l) || !load_items(l))
        return false;
    struct job *job = l->job;
    struct task *first = load_task(l, 1);
    job->main = first ? task_ref(first) : NULL;
    if (!job->main || (l->n > 0 && l->rows[l->n - 1].id >= job->next_task) ||
        job->live > JOB_MAX_TASKS)
        return load_fail(l, "the job's tasks");
    if (l->running > 0 &&
        (!(job->running = load_task(l, l->running)) || task_is_done(job->running)))
        return load_fail(l, "the task that runs");
    if (!load_state_tail(l) || !drain(l) || !watches_load(l) || !load_callbacks(l) ||
        !load_gathers(l) || !load_checks(l) || !load_order(l))
        return false;
    if ((job->phase != PHASE_MAIN) != task_is_done(job->main) && !job->stop && !job->stop_seq)
        return load_fail(l, "the job's phase");
    settle(l);
    return true;
}

void load_handles(struct job_loader *l)
{
    struct ready *r = &l->job->ready;
    for (size_t i = 0; i < l->n_handles; i++)
        ready_put(r, l->handles[i]);
    l->n_handles = 0;
}
