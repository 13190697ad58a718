#include "daemon/rpc/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "proto/mem.h"

/* Of task inside task in a reply: two levels of JSON each. */
#define MAX_DEPTH 200

static bool on_view(void *arg, const struct task_view *v)
{
    struct tasks *t = arg;
    t->views = xgrow(t->views, &t->cap_views, t->n_views + 1, sizeof *t->views);
    t->errors = xgrow(t->errors, &t->cap_errors, t->n_views + 1, sizeof *t->errors);
    struct buf error = {0};
    if (v->error)
        value_write(&error, v->error, JSON_STYLE_COMPACT);
    t->views[t->n_views] = *v;
    t->views[t->n_views].error = NULL;
    t->errors[t->n_views++] = error.len ? buf_steal(&error) : NULL;
    return t->n_views < t->max;
}

struct tasks *tasks_new(struct engine *e, uint64_t job, size_t max, size_t *n_kept)
{
    struct tasks *t = xcalloc(1, sizeof *t);
    t->job = job;
    t->max = max;
    t->n_kept = n_kept;
    ++*n_kept;
    engine_view(e, job, on_view, t);
    return t;
}

void tasks_free(void *tasks)
{
    struct tasks *t = tasks;
    if (!t)
        return;
    --*t->n_kept;
    for (size_t i = 0; i < t->n_views; i++)
        free(t->errors[i]);
    free(t->errors);
    free(t->views);
    free(t->all);
    free(t->next_attempt);
    free(t);
}

enum { SET_TASKS, SET_ENDS, SET_COUNT, SET_END_COUNTS };

static void add_query(struct batch *q, enum statement s, uint64_t job, int64_t max)
{
    batch_add(q, s);
    batch_int(q, (int64_t)job);
    if (max > 0)
        batch_int(q, max);
}

void tasks_query(const struct tasks *t, struct batch *q)
{
    add_query(q, ST_JOB_TREE_TASKS, t->job, (int64_t)t->max);
    add_query(q, ST_JOB_TREE_ENDS, t->job, (int64_t)t->max);
    add_query(q, ST_JOB_TASK_COUNT, t->job, 0);
    add_query(q, ST_JOB_END_COUNTS, t->job, 0);
}

static void from_view(struct task_node *n, const struct tasks *t, size_t i)
{
    const struct task_view *v = &t->views[i];
    *n = (struct task_node){
        .id = v->id,
        .parent = v->parent,
        .name = v->name,
        .awaits = v->awaits,
        .state = v->state,
        .created_us = v->created_us,
        .finished_us = v->finished_us,
        .error = t->errors[i],
    };
}

/* Takes the newest that is known of each task: its end on disk, what the runtime shows, its row. */
void tasks_build(struct tasks *t, const struct rows *sets)
{
    const struct rows *rows = &sets[SET_TASKS], *ends = &sets[SET_ENDS];
    size_t v = 0, r = 0, e = 0;
    t->all = xcalloc(t->n_views + rows->n + 1, sizeof *t->all);
    while ((v < t->n_views || r < rows->n) && t->n < t->max) {
        uint32_t row_id = r < rows->n ? (uint32_t)cell_int(rows, r, 0) : UINT32_MAX;
        struct task_node *n = &t->all[t->n++];
        if (v < t->n_views && t->views[v].id <= row_id) {
            from_view(n, t, v);
            r += row_id == n->id;
            v++;
        } else {
            *n = (struct task_node){
                .id = row_id,
                .parent = (uint32_t)cell_int(rows, r, 1),
                .name = cell_str(rows, r, 2),
                .state = TASK_PENDING, /* made after what the runtime showed */
                .created_us = cell_int(rows, r, 3),
            };
            r++;
        }
        while (e < ends->n && (uint32_t)cell_int(ends, e, 0) < n->id)
            e++;
        if (e < ends->n && (uint32_t)cell_int(ends, e, 0) == n->id) {
            n->state = (enum task_state)cell_int(ends, e, 1);
            n->finished_us = cell_int(ends, e, 2);
            n->error = cell_str(ends, e, 3);
            n->awaits = NULL;
        }
    }
    int64_t total = cell_int(&sets[SET_COUNT], 0, 0);
    t->more = total > (int64_t)t->n ? (size_t)total - t->n : 0;
}

static int by_id(const void *key, const void *node)
{
    uint32_t id = *(const uint32_t *)key, other = ((const struct task_node *)node)->id;
    return id < other ? -1 : id > other;
}

static struct task_node *find(const struct tasks *t, uint32_t id)
{
    return t->n ? bsearch(&id, t->all, t->n, sizeof *t->all, by_id) : NULL;
}

void tasks_add_attempts(struct tasks *t, const struct rows *attempts)
{
    t->next_attempt = xcalloc(attempts->n + 1, sizeof *t->next_attempt);
    for (size_t i = 0; i < attempts->n; i++) {
        struct task_node *n = find(t, (uint32_t)cell_int(attempts, i, 1));
        if (!n)
            continue;
        if (n->attempt)
            t->next_attempt[n->attempt - 1] = i + 1;
        else
            n->first_attempt = i + 1;
        n->attempt = i + 1;
    }
}

static void write_task(const struct tasks *t, const struct task_node *n, struct json_out *o)
{
    jout_key(o, "id");
    jout_printf(o, "%llu.%lu", (unsigned long long)t->job, (unsigned long)n->id);
    jout_key(o, "name");
    jout_text(o, n->name);
    jout_key(o, "state");
    jout_text(o, task_state_name(n->state));
    jout_key(o, "created");
    jout_time(o, n->created_us);
    jout_key(o, "finished");
    jout_time(o, n->finished_us);
    if (n->error) {
        jout_key(o, "error");
        jout_raw(o, n->error, strlen(n->error));
    }
}

void tasks_write_list(const struct tasks *t, struct json_out *o)
{
    jout_begin_array(o);
    for (size_t i = 0; i < t->n; i++) {
        jout_begin_object(o);
        write_task(t, &t->all[i], o);
        jout_key(o, "parent");
        if (t->all[i].parent)
            jout_printf(o, "%llu.%lu", (unsigned long long)t->job, (unsigned long)t->all[i].parent);
        else
            jout_null(o);
        jout_end_object(o);
    }
    jout_end_array(o);
}

void tasks_write_counts(const struct tasks *t, const struct rows *sets, struct json_out *o)
{
    int64_t counts[TASK_STATE_COUNT] = {0};
    const struct rows *ends = &sets[SET_END_COUNTS];
    for (size_t i = 0; i < t->n; i++)
        if (task_state_is_live(t->all[i].state))
            counts[t->all[i].state]++;
    for (size_t i = 0; i < ends->n; i++) {
        int64_t state = cell_int(ends, i, 0);
        if (state >= 0 && state < TASK_STATE_COUNT)
            counts[state] = cell_int(ends, i, 1);
    }
    jout_begin_object(o);
    for (int i = 0; i < TASK_STATE_COUNT; i++) {
        if (counts[i] > 0) {
            jout_key(o, task_state_name((enum task_state)i));
            jout_int(o, counts[i]);
        }
    }
    jout_end_object(o);
}

static void write_subtree(struct tasks *t, const struct task_node *n, const struct rows *attempts,
                          unsigned depth, struct json_out *o)
{
    jout_begin_object(o);
    write_task(t, n, o);
    if (n->awaits && *n->awaits) {
        jout_key(o, "awaits");
        jout_text(o, n->awaits);
    }
    if (n->attempt) {
        jout_key(o, "attempt");
        attempt_write(attempts, n->attempt - 1, 0, o);
    }
    if (n->first_attempt != n->attempt) {
        jout_key(o, "earlier");
        jout_begin_array(o);
        for (size_t i = n->first_attempt; i != n->attempt; i = t->next_attempt[i - 1])
            attempt_write(attempts, i - 1, 0, o);
        jout_end_array(o);
    }
    jout_key(o, "children");
    jout_begin_array(o);
    for (size_t i = n->child; i; i = t->all[i - 1].sibling) {
        if (depth < MAX_DEPTH)
            write_subtree(t, &t->all[i - 1], attempts, depth + 1, o);
        else
            t->more++;
    }
    jout_end_array(o);
    jout_end_object(o);
}

void tasks_write_tree(struct tasks *t, const struct rows *attempts, struct json_out *o)
{
    size_t roots = 0;
    for (size_t i = t->n; i > 0; i--) { /* backwards: each goes before its siblings */
        struct task_node *n = &t->all[i - 1];
        struct task_node *parent = n->parent < n->id ? find(t, n->parent) : NULL;
        size_t *list = parent ? &parent->child : &roots;
        n->sibling = *list;
        *list = i;
    }
    jout_begin_array(o);
    for (size_t i = roots; i; i = t->all[i - 1].sibling)
        write_subtree(t, &t->all[i - 1], attempts, 1, o);
    jout_end_array(o);
}
