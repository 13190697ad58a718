#include "daemon/task/task.h"

#include "daemon/task/job.h"
#include "daemon/task/keep.h"
#include "proto/mem.h"

enum task_state task_state_of(const struct task *t)
{
    switch ((enum outcome)t->outcome) {
    case OUTCOME_VALUE:
        return TASK_SUCCEEDED;
    case OUTCOME_CANCELLED:
        return TASK_CANCELLED;
    case OUTCOME_ERROR:
        return strcmp(error_type(t->value), "LostError") == 0 ? TASK_LOST : TASK_FAILED;
    case OUTCOME_NONE:
        break;
    }
    if (!t->started)
        return TASK_PENDING;
    if (t->ready || t->op != OP_NONE)
        return TASK_READY;
    const struct leaf_run *run = leaf_of(t);
    return run && run->leaf.state == LEAF_LAUNCHED ? TASK_RUNNING : TASK_SUSPENDED;
}

struct callback_list {
    uint32_t n, cap;
    struct callback all[];
};

/* Blocks of malloc() leave the lower bits free. */
enum { CALLBACK_TYPE = 7 };

static struct callback_list *list_of(const struct callbacks *c)
{
    return c->bits & CALLBACK_TYPE ? NULL : (struct callback_list *)c->bits;
}

static struct callback unpack(uintptr_t bits)
{
    return (struct callback){(void *)(bits & ~(uintptr_t)CALLBACK_TYPE), bits & CALLBACK_TYPE};
}

void callbacks_add(struct callbacks *c, struct callback one)
{
    if (c->bits == 0) {
        c->bits = (uintptr_t)one.object | one.type;
        return;
    }
    struct callback_list *l = list_of(c);
    if (!l || l->n == l->cap) {
        uint32_t cap = l ? l->cap * 2 : 4;
        struct callback first = unpack(c->bits);
        struct callback_list *grown = xrealloc(l, sizeof *l + cap * sizeof *l->all);
        if (!l) {
            grown->n = 1;
            grown->all[0] = first;
        }
        grown->cap = cap;
        c->bits = (uintptr_t)grown;
        l = grown;
    }
    l->all[l->n++] = one;
}

uint32_t callbacks_n(const struct callbacks *c)
{
    const struct callback_list *l = list_of(c);
    return l ? l->n : c->bits != 0;
}

struct callback callbacks_get(const struct callbacks *c, uint32_t i)
{
    const struct callback_list *l = list_of(c);
    return l ? l->all[i] : unpack(c->bits);
}

void callbacks_remove(struct callbacks *c, const void *object)
{
    struct callback_list *l = list_of(c);
    uint32_t n = 0;
    for (uint32_t i = 0; l && i < l->n; i++)
        if (l->all[i].object != object)
            l->all[n++] = l->all[i];
    if (l)
        l->n = n;
    else if (c->bits && unpack(c->bits).object == object)
        c->bits = 0;
}

void callbacks_release(struct callbacks *c)
{
    struct callbacks all = *c;
    *c = (struct callbacks){0};
    for (uint32_t i = 0; i < callbacks_n(&all); i++) {
        struct callback one = callbacks_get(&all, i);
        if (one.type == CALLBACK_GATHER)
            gather_unref(one.object);
        else if (one.type == CALLBACK_WATCH)
            watch_unref(one.object);
    }
    free(list_of(&all));
}

const struct task_extra *task_extra(const struct task *t)
{
    static const struct task_extra none;
    return t->extra ? t->extra : &none;
}

struct task_extra *task_make_extra(struct task *t)
{
    if (!t->extra)
        t->extra = xcalloc(1, sizeof *t->extra);
    return t->extra;
}

struct task *task_alloc(struct job *job, uint32_t id, uint32_t parent)
{
    struct task *t = xmalloc(sizeof *t);
    memset(t, 0, offsetof(struct task, inside));
    t->job = job;
    t->id = id;
    t->parent = parent;
    task_drop_stack(t);
    t->prev = job->last;
    *(job->last ? &job->last->next : &job->first) = t;
    job->last = t;
    return t;
}

struct task *task_new(struct job *job, struct task *parent, const struct node *root)
{
    struct task *t = task_alloc(job, job->next_task++, parent ? parent->id : 0);
    t->refs = 1;
    t->root = root;
    t->created_us = job->now_us;
    job->live++;
    job->rt->live++;
    job_touch(job); /* its next number */
    job_soon_task(job, HANDLE_STEP, t);
    if (job->rt->effects->task_changed)
        job->rt->effects->task_changed(job->rt->arg, job->id, t->id, TASK_PENDING);
    return t;
}

struct task *task_ref(struct task *t)
{
    t->refs++;
    return t;
}

static void extra_free(struct task_extra *x)
{
    if (!x)
        return;
    for (uint32_t i = 0; x->kept && i < x->kept->n; i++)
        scope_unref(x->kept->all[i]);
    free(x->kept);
    free(x->name);
    free(x->title);
    free(x);
}

void task_release(struct task *t)
{
    if (t->refs > 0 || t->dirty || t->ending)
        return;
    if (t->job) {
        keeps_forget(t->job, t->id);
        t->job->rt->gone++;
        *(t->prev ? &t->prev->next : &t->job->first) = t->next;
        *(t->next ? &t->next->prev : &t->job->last) = t->prev;
        task_leave_job(t);
    }
    value_unref(t->value);
    callbacks_release(&t->callbacks);
    task_drop_stack(t);
    extra_free(t->extra);
    free(t);
}

void task_unref(struct task *t)
{
    if (!t || --t->refs > 0)
        return;
    if (t->unretrieved && t->job) {
        t->unretrieved = false;
        job_report(t->job, t, "Task exception was never retrieved");
    }
    task_release(t);
}

void task_touch(struct task *t)
{
    struct job *job = t->job;
    if (!job || t->dirty)
        return;
    t->dirty = true;
    if (job->n_changed == job->cap_changed)
        job->changed =
            xgrow(job->changed, &job->cap_changed, job->n_changed + 1, sizeof(struct task *));
    job->changed[job->n_changed++] = t;
    job_touch(job);
}

void task_put_kept(struct task *t, struct scope *s)
{
    struct kept_scopes **kept = &task_make_extra(t)->kept;
    uint32_t n = *kept ? (*kept)->n : 0;
    *kept = xrealloc(*kept, sizeof **kept + (n + 1) * sizeof(struct scope *));
    (*kept)->all[n] = s;
    (*kept)->n = n + 1;
}

void task_keep_scope(struct task *t, struct scope *s)
{
    if (!s || s->refs == 1) {
        scope_unref(s);
        return;
    }
    task_sweep_kept(t);
    task_put_kept(t, s);
}

void task_sweep_kept(struct task *t)
{
    struct kept_scopes *kept = task_extra(t)->kept;
    if (!kept)
        return;
    uint32_t n = 0;
    for (uint32_t i = 0; i < kept->n; i++) {
        struct scope *s = kept->all[i];
        if (s->refs == 1)
            scope_unref(s);
        else
            kept->all[n++] = s;
    }
    kept->n = n;
    if (n == 0)
        free(steal(&t->extra->kept));
}

/* One handle for each callback, in order. The references go with them. */
static void schedule_callbacks(struct task *t)
{
    struct callbacks all = t->callbacks;
    for (uint32_t i = 0; i < callbacks_n(&all); i++) {
        struct callback c = callbacks_get(&all, i);
        struct task *waiter = c.object;
        uint64_t seq = 0;
        if (c.type == CALLBACK_STOP) {
            seq = t->job->stop_seq = job_soon(t->job, HANDLE_STOP, NULL, NULL);
        } else if (c.type == CALLBACK_GATHER) {
            struct gather *g = c.object;
            g->refs++; /* the callbacks are kept for the end row */
            seq = job_soon(t->job, HANDLE_CHILD, g, task_ref(t));
        } else if (c.type == CALLBACK_WATCH) {
            seq = job_soon(t->job, HANDLE_WATCH, watch_ref(c.object), task_ref(t));
        } else if (waiter->wait == WAIT_TASK && waiter->awaited == t && !waiter->ready) {
            job_soon_task(t->job, HANDLE_WAKE, waiter);
            seq = waiter->ready_seq;
        } else {
            seq = job_soon(t->job, HANDLE_NOTHING, NULL, NULL);
        }
        if (i == 0)
            t->ready_seq = seq; /* the others follow one by one */
    }
}

static void set_outcome(struct task *t, enum completion how, struct value *v)
{
    if (how == DONE_NORMAL && t->must_cancel) {
        value_unref(v);
        v = error_new("CancelledError", "%s", "");
        how = DONE_RAISE;
    }
    t->must_cancel = false;
    t->value = v;
    if (how == DONE_NORMAL)
        t->outcome = OUTCOME_VALUE;
    else if (strcmp(error_type(v), "CancelledError") == 0)
        t->outcome = OUTCOME_CANCELLED;
    else
        t->outcome = OUTCOME_ERROR;
    t->unretrieved = t->outcome == OUTCOME_ERROR;
}

static void charge(struct task *t, size_t bytes)
{
    value_account_change(t->job->values, bytes, t->charge);
    t->charge = (uint32_t)bytes;
}

void task_leave_job(struct task *t)
{
    if (task_is_done(t))
        charge(t, 0);
    t->job = NULL;
}

void task_end(struct task *t, enum completion how, struct value *v)
{
    struct job *job = t->job;
    t->op = OP_NONE;
    task_drop_stack(t);
    t->finished_us = job->now_us;
    t->charge = 0;
    charge(t, value_shared_bytes(v)); /* it is in a row of its own */
    if (job_is_large(job) && (how = task_refuse(t, how, &v)) == DONE_RAISE)
        charge(t, value_shared_bytes(v));
    set_outcome(t, how, v);
    job->live--;
    job->rt->live--;
    schedule_callbacks(t);
    t->ending = true;
    if (job->n_ended == job->cap_ended)
        job->ended = xgrow(job->ended, &job->cap_ended, job->n_ended + 1, sizeof(struct task *));
    job->ended[job->n_ended++] = t;
    task_touch(t);
    if (job->rt->effects->task_changed)
        job->rt->effects->task_changed(job->rt->arg, job->id, t->id, task_state_of(t));
    if (t == job->main)
        t->unretrieved = false; /* it is the job's */
    task_unref(t);
}

void task_detach(struct task *t)
{
    while (t->used > 0)
        task_pop(t);
    if (t->wait == WAIT_TASK)
        task_unref(t->awaited);
    else if (t->wait == WAIT_GATHER)
        gather_unref(t->gathered);
    t->wait = WAIT_NONE;
    t->op = OP_NONE;
    value_unref(steal(&t->value));
}

void task_clear(struct task *t)
{
    task_ref(t);
    task_detach(t);
    callbacks_release(&t->callbacks);
    const struct kept_scopes *kept = task_extra(t)->kept;
    for (uint32_t i = 0; kept && i < kept->n; i++)
        for (struct scope *s = kept->all[i]; s; s = s->parent)
            scope_clear(s); /* one around it may hold this very task */
    task_unref(t);
}

void task_retrieved(struct task *t)
{
    if (!t->unretrieved)
        return;
    t->unretrieved = false;
    if (!t->ending) { /* its end row says something else */
        t->flags_changed = true;
        task_touch(t);
    }
}

struct value *task_result(struct task *t, struct value **error)
{
    if (!task_is_done(t)) {
        *error = error_new("InvalidStateError", "Result is not set.");
        return NULL;
    }
    task_retrieved(t);
    if (t->outcome == OUTCOME_VALUE)
        return value_ref(t->value);
    *error = value_ref(t->value);
    return NULL;
}

void task_set_name(struct task *t, const struct value *name)
{
    if (!name)
        return;
    struct buf text = {0};
    value_write_text(&text, name);
    free(task_make_extra(t)->name);
    t->extra->name = buf_steal(&text);
}
