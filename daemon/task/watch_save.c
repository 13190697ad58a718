/* Rows of those who watch, and how they are put together with the rows of the watched. */
#include "daemon/task/save.h"
#include "daemon/task/watch.h"
#include "proto/mem.h"

void tasks_save(struct task *const *all, size_t n, struct buf *out)
{
    put_varint(out, n);
    for (size_t i = 0; i < n;) {
        size_t run = 1;
        while (i + run < n && all[i + run]->id == all[i]->id + run)
            run++;
        put_varint(out, all[i]->id);
        put_varint(out, run);
        i += run;
    }
}

/* Tasks that follow each other, at most so many. */
static bool load_run(struct job_loader *l, struct reader *r, struct task ***all, size_t *n,
                     size_t *cap, uint64_t most)
{
    uint64_t id = get_varint(r), run = get_varint(r);
    if (r->failed || run == 0 || run > most || id > UINT32_MAX)
        return load_fail(l, "tasks");
    for (uint64_t i = 0; i < run; i++) {
        struct task *t = id + i <= UINT32_MAX ? load_task(l, (uint32_t)(id + i)) : NULL;
        if (!t)
            return load_fail(l, "a task that is named");
        *all = xgrow(*all, cap, *n + 1, sizeof(struct task *));
        (*all)[(*n)++] = task_ref(t);
    }
    return true;
}

bool tasks_load(struct job_loader *l, struct reader *r, struct task ***all, size_t *n)
{
    uint64_t count = get_varint(r);
    size_t cap = 0;
    while (!r->failed && *n < count)
        if (!load_run(l, r, all, n, &cap, count - *n))
            return false;
    return !r->failed || load_fail(l, "tasks");
}

void watch_save(const struct watch *w, struct buf *out)
{
    put_varint(out, w->id);
    put_u8(out, w->until);
    put_u8(out,
           (uint8_t)((w->aborting ? 1 : 0) | (w->parent_cancelled ? 2 : 0) | (w->exiting ? 4 : 0)));
    put_varint(out, w->taken);
    put_varint(out, w->soon_seq);
    if (w->kind == WATCH_GROUP) /* its children say so themselves */
        return;
    put_varint(out, w->n);
    for (size_t i = 0; i < w->n;) {
        const struct watched *one = &w->all[i];
        size_t run = 1;
        while (i + run < w->n && one[run].task->id == one->task->id + run &&
               one[run].soon == one->soon)
            run++;
        put_varint(out, one->task->id);
        put_varint(out, run);
        put_u8(out, one->soon);
        i += run;
    }
}

struct watch *load_watch(struct job_loader *l, uint32_t id)
{
    struct watch *w = map_get(&l->watches, id);
    if (!w) {
        w = xcalloc(1, sizeof *w);
        w->refs = 1;
        w->id = id;
        w->job = l->job;
        map_put(&l->watches, id, w);
    }
    return watch_ref(w);
}

static bool load_watched(struct watch *w, struct job_loader *l, struct reader *r)
{
    uint64_t count = get_varint(r);
    struct task **all = NULL;
    size_t n = 0, cap = 0;
    bool ok = !r->failed;
    while (ok && n < count) {
        size_t before = n;
        ok = load_run(l, r, &all, &n, &cap, count - n);
        bool soon = get_u8(r) != 0;
        for (size_t i = before; i < n; i++) {
            ok = ok && !r->failed && (!soon || task_is_done(all[i]));
            watch_append(w, all[i]);
            w->all[w->n - 1].soon = soon;
        }
    }
    for (size_t i = 0; i < n; i++)
        task_unref(all[i]);
    free(all);
    return ok || load_fail(l, "who is watched");
}

struct watch *watch_load(struct task *owner, enum watch_kind kind, struct job_loader *l,
                         struct reader *r)
{
    uint64_t id = get_varint(r);
    uint8_t until = get_u8(r), flags = get_u8(r);
    uint64_t taken = get_varint(r), soon_seq = get_varint(r);
    if (r->failed || id == 0 || id > l->job->next_gather || until > UNTIL_ERROR ||
        taken > UINT32_MAX) {
        load_fail(l, "who watches");
        return NULL;
    }
    struct watch *w = load_watch(l, (uint32_t)id);
    if (w->owner) {
        load_fail(l, "who watches, twice");
        watch_unref(w);
        return NULL;
    }
    w->kind = (uint8_t)kind;
    w->owner = owner;
    w->until = until;
    w->aborting = flags & 1;
    w->parent_cancelled = flags & 2;
    w->exiting = flags & 4;
    w->taken = (uint32_t)taken;
    w->soon_seq = soon_seq;
    if (kind != WATCH_GROUP && !load_watched(w, l, r)) {
        watch_abandon(w);
        watch_unref(w);
        return NULL;
    }
    return w;
}

static void add_seen(struct job_loader *l, struct watch *w, struct task *t, uint64_t seq)
{
    if (l->n_seen == l->cap_seen)
        l->seen = xgrow(l->seen, &l->cap_seen, l->n_seen + 1, sizeof *l->seen);
    l->seen[l->n_seen++] = (struct loaded_seen){w, t, seq};
}

static void to_come(struct job_loader *l, struct watch *w, struct task *t, uint64_t seq)
{
    w->left++;
    load_handle(l, (struct handle){seq, watch_ref(w), task_ref(t), HANDLE_WATCH});
}

static bool has_callback(const struct task *t, const struct watch *w)
{
    for (uint32_t i = 0; i < callbacks_n(&t->callbacks); i++)
        if (callbacks_get(&t->callbacks, i).object == w)
            return true;
    return false;
}

static void load_watch_tasks(struct job_loader *l, struct watch *w)
{
    uint64_t soon_seq = w->soon_seq;
    for (size_t i = 0; i < w->n; i++) {
        struct task *t = w->all[i].task;
        if (w->all[i].soon) {
            if (soon_seq >= l->head)
                to_come(l, w, t, soon_seq);
            else
                add_seen(l, w, t, soon_seq);
            soon_seq++;
        } else if (!task_is_done(t)) {
            w->left++;
            if (!has_callback(t, w))
                watch_add_callback(w, t);
        }
    }
}

static void load_children(struct job_loader *l)
{
    for (size_t i = 0; i < l->n; i++) { /* in order of creation */
        struct task *t = l->rows[i].result ? NULL : l->rows[i].task;
        for (uint32_t k = 0; t && k < callbacks_n(&t->callbacks); k++) {
            struct callback c = callbacks_get(&t->callbacks, k);
            struct watch *w = c.type == CALLBACK_WATCH ? c.object : NULL;
            if (!w || w->kind != WATCH_GROUP)
                continue;
            w->left++;
            watch_append(w, t);
        }
    }
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = (*(struct watch *const *)a)->id, y = (*(struct watch *const *)b)->id;
    return x < y ? -1 : x > y;
}

bool watches_load(struct job_loader *l)
{
    cleanup_free struct watch **all = xmalloc((l->watches.n + 1) * sizeof(struct watch *));
    size_t n = 0, at = 0;
    for (struct map_slot *s; (s = map_next(&l->watches, &at));) {
        struct watch *w = s->value;
        if (w->owner && w->kind != WATCH_GROUP)
            all[n++] = w;
    }
    if (n > 0)
        qsort(all, n, sizeof *all, by_id);
    for (size_t i = 0; i < n; i++)
        load_watch_tasks(l, all[i]);
    load_children(l);
    return true;
}

bool watch_load_callback(struct job_loader *l, uint32_t task, uint64_t id, uint64_t seq)
{
    if (id == 0 || id > l->job->next_gather)
        return load_fail(l, "a callback");
    struct watch *w = map_get(&l->watches, id);
    if (seq < l->head) {
        if (w && w->owner)
            add_seen(l, w, load_task(l, task), seq);
        return true;
    }
    w = load_watch(l, (uint32_t)id);
    to_come(l, w, load_task(l, task), seq);
    watch_unref(w);
    return true;
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = ((const struct loaded_seen *)a)->seq, y = ((const struct loaded_seen *)b)->seq;
    return x < y ? -1 : x > y;
}

static void saw(struct watch *w, struct task *child)
{
    if (w->kind == WATCH_GROUP && child->outcome == OUTCOME_ERROR)
        group_add_error(w, value_ref(child->value));
    else if (w->kind == WATCH_RACE && w->n_ended == 0)
        watch_add_ended(w, child);
    else if (w->kind == WATCH_COMPLETED && w->seen++ >= w->taken)
        watch_add_ended(w, child);
}

void watches_load_seen(struct job_loader *l)
{
    if (l->n_seen > 0)
        qsort(l->seen, l->n_seen, sizeof *l->seen, by_seq);
    for (size_t i = 0; i < l->n_seen; i++)
        saw(l->seen[i].watch, l->seen[i].task);
}
