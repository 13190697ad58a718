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

void callbacks_add(struct callbacks *c, struct callback one)
{
    if (c->n == 0 && c->cap == 0) {
        c->one = one;
        c->n = 1;
        return;
    }
    if (c->cap == 0) {
        struct callback first = c->one;
        c->cap = 4;
        c->many = xmalloc(c->cap * sizeof *c->many);
        c->many[0] = first;
    } else if (c->n == c->cap) {
        size_t cap = c->cap;
        c->many = xgrow(c->many, &cap, (size_t)c->n + 1, sizeof *c->many);
        c->cap = (uint32_t)cap;
    }
    c->many[c->n++] = one;
}

const struct callback *callbacks_get(const struct callbacks *c, uint32_t i)
{
    return c->cap ? &c->many[i] : &c->one;
}

void callbacks_remove(struct callbacks *c, const void *object)
{
    struct callback *all = c->cap ? c->many : &c->one;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (all[i].object != object)
            all[n++] = all[i];
    c->n = n;
}

void callbacks_release(struct callbacks *c)
{
    struct callbacks all = *c;
    *c = (struct callbacks){0};
    for (uint32_t i = 0; i < all.n; i++) {
        const struct callback *one = callbacks_get(&all, i);
        if (one->type == CALLBACK_GATHER)
            gather_unref(one->object);
        else if (one->type == CALLBACK_WATCH)
            watch_unref(one->object);
    }
    if (all.cap)
        free(all.many);
}

struct task *task_new(struct job *job, struct task *parent, const struct node *root)
{
    struct task *t = xcalloc(1, sizeof *t);
    t->job = job;
    t->id = job->next_task++;
    t->parent = parent ? parent->id : 0;
    t->refs = 1;
    t->root = root;
    t->created_us = job->now_us;
    t->prev = job->last;
    *(job->last ? &job->last->next : &job->first) = t;
    job->last = t;
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

void task_release(struct task *t)
{
    if (t->refs > 0 || t->dirty || t->ending)
        return;
    if (t->job) {
        keeps_forget(t->job, t->id);
        *(t->prev ? &t->prev->next : &t->job->first) = t->next;
        *(t->next ? &t->next->prev : &t->job->last) = t->prev;
        task_leave_job(t);
    }
    value_unref(t->value);
    callbacks_release(&t->callbacks);
    if (t->kept) {
        for (uint32_t i = 0; i < t->kept->n; i++)
            scope_unref(t->kept->all[i]);
        free(t->kept);
    }
    free(t->stack);
    free(t->name);
    free(t->title);
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

void task_keep_scope(struct task *t, struct scope *s)
{
    if (!s || s->refs == 1) {
        scope_unref(s);
        return;
    }
    task_sweep_kept(t);
    uint32_t n = t->kept ? t->kept->n : 0;
    t->kept = xrealloc(t->kept, sizeof *t->kept + (n + 1) * sizeof(struct scope *));
    t->kept->all[n] = s;
    t->kept->n = n + 1;
}

void task_sweep_kept(struct task *t)
{
    if (!t->kept)
        return;
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->kept->n; i++) {
        struct scope *s = t->kept->all[i];
        if (s->refs == 1)
            scope_unref(s);
        else
            t->kept->all[n++] = s;
    }
    t->kept->n = n;
    if (n == 0)
        free(steal(&t->kept));
}

/* One handle for each callback, in order. The references go with them. */
static void schedule_callbacks(struct task *t)
{
    struct callbacks all = t->callbacks;
    for (uint32_t i = 0; i < all.n; i++) {
        const struct callback *c = callbacks_get(&all, i);
        struct task *waiter = c->object;
        uint64_t seq = 0;
        if (c->type == CALLBACK_STOP) {
            seq = t->job->stop_seq = job_soon(t->job, HANDLE_STOP, NULL, NULL);
        } else if (c->type == CALLBACK_GATHER) {
            struct gather *g = c->object;
            g->refs++; /* the callbacks are kept for the end row */
            seq = job_soon(t->job, HANDLE_CHILD, g, task_ref(t));
        } else if (c->type == CALLBACK_WATCH) {
            seq = job_soon(t->job, HANDLE_WATCH, watch_ref(c->object), task_ref(t));
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
    charge(t, 0);
    t->job = NULL;
}

void task_end(struct task *t, enum completion how, struct value *v)
{
    struct job *job = t->job;
    t->op = OP_NONE;
    charge(t, value_shared_bytes(v)); /* it is in a row of its own */
    if (job_is_large(job) && (how = task_refuse(t, how, &v)) == DONE_RAISE)
        charge(t, value_shared_bytes(v));
    set_outcome(t, how, v);
    t->finished_us = job->now_us;
    free(steal(&t->stack));
    t->used = t->cap = t->top = 0;
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
    t->awaited = NULL;
    t->wait = WAIT_NONE;
    t->op = OP_NONE;
    value_unref(steal(&t->value));
}

void task_clear(struct task *t)
{
    task_ref(t);
    task_detach(t);
    callbacks_release(&t->callbacks);
    for (uint32_t i = 0; t->kept && i < t->kept->n; i++)
        for (struct scope *s = t->kept->all[i]; s; s = s->parent)
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
    free(t->name);
    t->name = buf_steal(&text);
}
