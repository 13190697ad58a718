/* Rows: how a job is read back. Nothing here trusts them. */
#include <errno.h>
#include <inttypes.h>

#include "daemon/task/leaf.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

bool load_fail(struct job_loader *l, const char *why)
{
    if (!l->why)
        l->why = why;
    return false;
}

bool value_load_opt(struct job_loader *l, struct reader *r, struct value **ret)
{
    uint8_t there = get_u8(r);
    if (there == 0 && !r->failed)
        return true;
    struct value *v = there == 1 ? value_load(r, load_resolve, l) : NULL;
    if (!v)
        return load_fail(l, "a value");
    value_unref(*ret);
    *ret = v;
    return true;
}

bool node_load(struct job_loader *l, struct reader *r, const struct node **ret)
{
    uint64_t id = get_varint(r);
    *ret = NULL;
    if (id == 0)
        return !r->failed || load_fail(l, "a node");
    *ret = id <= UINT32_MAX ? program_node(l->job->program, (uint32_t)(id - 1)) : NULL;
    uint8_t check = get_u8(r);
    return (!r->failed && *ret && check == node_check(*ret)) ||
           load_fail(l, "a node that the document does not have");
}

bool atom_load(struct job_loader *l, struct reader *r, uint32_t *ret)
{
    cleanup_free char *name = get_string(r);
    *ret = name ? program_atom(l->job->program, name) : 0;
    return *ret != 0 || load_fail(l, "a name that the document does not have");
}

bool timer_load(struct job_loader *l, struct reader *r, struct task *t, struct timer *x,
                enum timer_type type)
{
    uint8_t state = get_u8(r);
    if (state == 0 && !r->failed)
        return true;
    int64_t deadline = get_svarint(r);
    uint64_t seq = get_varint(r);
    if (r->failed || state > 2 || deadline < INT64_MIN / 2 || deadline > INT64_MAX / 2 ||
        (state == 1 && seq > TIMER_MAX_SEQ))
        return load_fail(l, "a timer");
    if (state == 1) {
        timer_put_back(l->job, t, x, type, deadline, seq);
        return true;
    }
    struct handle h = {.seq = seq, .type = HANDLE_TIMER};
    timer_put_ready(l->job, t, x, type, seq, &h.p, &h.q);
    load_handle(l, h);
    return true;
}

void load_handle(struct job_loader *l, struct handle h)
{
    if (l->n_handles == l->cap_handles)
        l->handles = xgrow(l->handles, &l->cap_handles, l->n_handles + 1, sizeof *l->handles);
    l->handles[l->n_handles++] = h;
    if (h.seq < l->head || h.seq >= l->job->ready.next_seq)
        load_fail(l, "a turn in the queue");
}

void load_leaf(struct job_loader *l, struct leaf_run *run)
{
    if (l->n_leaves == l->cap_leaves)
        l->leaves = xgrow(l->leaves, &l->cap_leaves, l->n_leaves + 1, sizeof(struct leaf_run *));
    l->leaves[l->n_leaves++] = run;
}

struct scope *load_scope(struct job_loader *l, uint32_t id)
{
    struct scope *s = map_get(&l->scopes, (uint64_t)id + 1);
    if (!s) {
        uint32_t next = l->job->next_scope;
        l->job->next_scope = id;
        s = scope_new(l->job, NULL);
        l->job->next_scope = next;
        map_put(&l->scopes, (uint64_t)id + 1, s);
    }
    return scope_ref(s);
}

struct sem *load_sem(struct job_loader *l, uint32_t gather, int64_t limit)
{
    struct sem *s = map_get(&l->sems, gather);
    if (!s) {
        s = sem_new(gather, limit);
        map_put(&l->sems, gather, s);
    }
    return sem_ref(s);
}

struct gather *load_gather(struct job_loader *l, uint32_t id)
{
    struct gather *g = map_get(&l->gathers, id);
    if (!g) {
        uint32_t next = l->job->next_gather;
        g = gather_new(l->job, false);
        l->job->next_gather = next;
        g->id = id;
        g->state = GATHER_ORPHAN; /* unless its activation is found */
        map_put(&l->gathers, id, g);
    }
    g->refs++;
    return g;
}

struct coro *load_coro(struct job_loader *l, uint64_t handle_id)
{
    struct coro *c = map_get(&l->coros, (handle_id >> 32) + 1);
    if (!c) {
        struct node *n = program_node(l->job->program, (uint32_t)handle_id);
        if (!n || n->verb != &node_call.verb || handle_id >> 32 >= l->job->next_coro)
            return NULL;
        c = xcalloc(1, sizeof *c);
        c->refs = 1;
        c->id = (uint32_t)(handle_id >> 32);
        c->job = l->job;
        c->node = (const struct call_node *)(const void *)n;
        c->started = true; /* unless its arguments are found */
        map_put(&l->coros, (handle_id >> 32) + 1, c);
    }
    if (coro_handle_id(c) != handle_id)
        return NULL;
    c->refs++;
    return c;
}

struct value *load_resolve(void *loader, const char *kind, uint64_t id)
{
    struct job_loader *l = loader;
    if (strcmp(kind, "task") == 0) {
        struct task *t = id <= UINT32_MAX ? load_task(l, (uint32_t)id) : NULL;
        return t ? task_value(t) : NULL;
    }
    if (strcmp(kind, "task_group") == 0 && id > 0 && id <= l->job->next_gather) {
        struct watch *w = load_watch(l, (uint32_t)id);
        struct value *v = group_value(w);
        watch_unref(w);
        return v;
    }
    if (strcmp(kind, "coroutine") != 0)
        return load_object_value(l, kind, id);
    struct coro *c = load_coro(l, id);
    if (!c)
        return NULL;
    struct value *v = coro_value(c);
    coro_unref(c);
    return v;
}

static int compare_row(const void *key, const void *row)
{
    uint32_t id = *(const uint32_t *)key, other = ((const struct loaded_row *)row)->id;
    return id < other ? -1 : id > other;
}

struct loaded_row *load_row(const struct job_loader *l, uint32_t id)
{
    return l->n ? bsearch(&id, l->rows, l->n, sizeof *l->rows, compare_row) : NULL;
}

struct task *load_task(struct job_loader *l, uint32_t id)
{
    struct loaded_row *row = load_row(l, id);
    if (!row)
        return NULL;
    if (!row->task) {
        row->task = load_shell(l, row);
        if (row->result) { /* its value is read later: values name tasks without end */
            l->todo = xgrow(l->todo, &l->cap_todo, l->n_todo + 1, sizeof *l->todo);
            l->todo[l->n_todo++] = (uint32_t)(row - l->rows);
        }
    }
    return row->task;
}

struct job_loader *runtime_load_begin(struct runtime *rt, uint64_t job, uint32_t owner,
                                      struct program *program, const char *state, size_t len)
{
    struct job_loader *l = xcalloc(1, sizeof *l);
    l->rt = rt;
    l->job = job_new(rt, job, owner, program);
    l->job->fresh = false;
    l->state = xmemdup(state, len);
    l->state_len = len;
    return l;
}

static bool refuse(struct job_loader *l, struct err *err, const char *what)
{
    load_fail(l, what); /* whatever else is fed */
    return err_set(err, EBADMSG, "job %" PRIu64 ": %s", l->job->id, what);
}

bool runtime_load_task(struct job_loader *l, const struct task_row *row, struct err *err)
{
    if (row->id == 0 || (l->n > 0 && l->rows[l->n - 1].id >= row->id))
        return refuse(l, err, "the rows of its tasks are not in order");
    if (l->n == l->cap)
        l->rows = xgrow(l->rows, &l->cap, l->n + 1, sizeof *l->rows);
    l->rows[l->n++] = (struct loaded_row){.id = row->id,
                                          .parent = row->parent,
                                          .created_us = row->created_us,
                                          .frame = xmemdup(row->frame, row->frame_len),
                                          .frame_len = row->frame_len};
    return true;
}

bool runtime_load_end(struct job_loader *l, const struct task_end_row *end, struct err *err)
{
    struct loaded_row *row = load_row(l, end->task);
    if (end->seq <= l->last_end || !row || row->result)
        return refuse(l, err, "a row of a task's end is damaged");
    l->last_end = end->seq;
    row->result = xmemdup(end->result, end->result_len);
    row->result_len = end->result_len;
    row->finished_us = end->finished_us;
    return true;
}

static void release_scope(void *p)
{
    scope_unref(p);
}

static void release_coro(void *p)
{
    coro_unref(p);
}

static void release_gather(void *p)
{
    gather_unref(p);
}

static void release_watch(void *p)
{
    watch_unref(p);
}

static void release_sem(void *p)
{
    sem_unref(p);
}

static void release_object(void *p)
{
    object_unref(p);
}

static void release_map(struct map *m, void (*release)(void *p))
{
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(m, &at));)
        release(s->value);
    map_release(m);
}

static void loader_free(struct job_loader *l)
{
    release_map(&l->scopes, release_scope);
    release_map(&l->coros, release_coro);
    release_map(&l->gathers, release_gather);
    release_map(&l->sems, release_sem);
    release_map(&l->watches, release_watch);
    release_map(&l->objects, release_object);
    map_release(&l->filled);
    free(l->items);
    buf_release(&l->item_data);
    for (size_t i = 0; i < l->n; i++) {
        free(l->rows[i].frame);
        free(l->rows[i].result);
    }
    free(l->rows);
    free(l->state);
    free(l->handles);
    free(l->leaves);
    free(l->todo);
    free(l->seen);
    free(l);
}

static int compare_leaf(const void *a, const void *b)
{
    uint64_t x = (*(struct leaf_run *const *)a)->leaf.seq;
    uint64_t y = (*(struct leaf_run *const *)b)->leaf.seq;
    return x < y ? -1 : x > y;
}

bool runtime_load_finish(struct job_loader *l, struct err *err)
{
    struct runtime *rt = l->rt;
    struct job *job = l->job;
    struct value_account *others = value_account_use(job->values);
    bool ok =
        !map_get(&rt->jobs, job->id) ? load_job(l) && !l->why : load_fail(l, "it is there already");
    value_account_use(others);
    load_handles(l); /* also before it is freed: the queue owns some of what they name */
    if (!ok) {
        refuse(l, err, l->why ? l->why : "damaged rows");
        err_prefix(err, "damaged rows");
        size_t at = 0;
        for (struct map_slot *s; (s = map_next(&l->scopes, &at));)
            scope_clear(s->value);
        job_free(job);
        loader_free(l);
        return false;
    }
    map_put(&rt->jobs, job->id, job);
    if (l->n_leaves > 0)
        qsort(l->leaves, l->n_leaves, sizeof(struct leaf_run *), compare_leaf);
    for (size_t i = 0; i < l->n_leaves; i++)
        leaf_loaded(l->leaves[i]);
    if (job->phase != PHASE_OVER)
        job_wake(job);
    loader_free(l);
    return true;
}
