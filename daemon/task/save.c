/* Rows: how a task, its end and the job are written. */
#include "daemon/task/save.h"

#include "proto/mem.h"

void value_save_opt(const struct value *v, struct buf *out)
{
    put_u8(out, v != NULL);
    if (v)
        value_save(out, v);
}

static void text_save(const char *s, struct buf *out)
{
    cleanup_value struct value *v = s ? value_text(s) : NULL;
    value_save_opt(v, out);
}

/* A sum over the verb's name: a row that was damaged should not lead to another node. */
uint8_t node_check(const struct node *n)
{
    uint8_t sum = 0;
    for (const char *s = n->verb->name; *s; s++)
        sum = (uint8_t)(sum * 31 + (uint8_t)*s);
    return sum;
}

void node_save(const struct node *n, struct buf *out)
{
    put_varint(out, n ? (uint64_t)n->id + 1 : 0);
    if (n)
        put_u8(out, node_check(n));
}

void atom_save(const struct job *job, uint32_t atom, struct buf *out)
{
    put_string(out, program_atom_name(job->program, atom));
}

void timer_save(const struct job *job, const struct timer *x, struct buf *out)
{
    put_u8(out, x->state == TIMER_NONE ? 0 : x->state == TIMER_READY ? 2 : 1);
    if (x->state == TIMER_NONE)
        return;
    put_svarint(out, timer_due_us(job, x));
    put_varint(out, timer_seq(job, x));
}

const char act_tags[] = "NFCLWST";

static void act_save(const struct task *t, const struct act *a, struct buf *out)
{
    put_u8(out, (uint8_t)act_tags[a->role]);
    node_save(a->node, out);
    put_u8(out, a->phase);
    put_varint(out, a->count);
    if (act_kind(a)->save)
        act_kind(a)->save(t, a, out);
}

static void callbacks_save(const struct callbacks *c, struct buf *out)
{
    uint32_t n = callbacks_n(c);
    put_varint(out, n);
    for (uint32_t i = 0; i < n; i++) {
        struct callback one = callbacks_get(c, i);
        put_u8(out, (uint8_t)one.type);
        if (one.type == CALLBACK_WAKE)
            put_varint(out, ((const struct task *)one.object)->id);
        else if (one.type == CALLBACK_GATHER)
            put_varint(out, ((const struct gather *)one.object)->id);
        else if (one.type == CALLBACK_WATCH)
            put_varint(out, ((const struct watch *)one.object)->id);
    }
}

static void kept_save(const struct task *t, struct buf *out)
{
    const struct kept_scopes *kept = task_extra(t)->kept;
    put_varint(out, kept ? kept->n : 0);
    for (uint32_t i = 0; kept && i < kept->n; i++)
        scope_save(t->job, kept->all[i], out);
}

static void stack_save(const struct task *t, struct buf *out)
{
    uint64_t n = 0;
    for (const struct act *a = task_top(t); a; a = act_below(a))
        n++;
    put_varint(out, n);
    for (uint32_t at = 0; at < t->used;) {
        const struct act *a = (const struct act *)(const void *)(t->stack + at);
        act_save(t, a, out);
        at += a->words;
    }
}

void task_save(const struct task *t, struct buf *out)
{
    put_u8(out, ROW_VERSION);
    put_u8(out, task_is_done(t));
    if (task_is_done(t)) {
        put_u8(out, t->unretrieved);
        kept_save(t, out);
        return;
    }
    put_u8(out, (uint8_t)((t->started ? 1 : 0) | (t->must_cancel ? 2 : 0)));
    put_varint(out, task_extra(t)->cancels);
    node_save(t->root, out);
    text_save(task_extra(t)->name, out);
    text_save(task_extra(t)->title, out);
    put_u8(out, t->op);
    put_u8(out, t->how);
    node_save(t->op == OP_START ? t->op_node : NULL, out);
    value_save_opt(t->value, out);
    put_u8(out, t->wait);
    put_u8(out, t->future);
    put_varint(out, t->wait == WAIT_TASK     ? t->awaited->id
                    : t->wait == WAIT_GATHER ? t->gathered->id
                                             : 0);
    put_u8(out, t->ready);
    put_varint(out, t->ready ? t->ready_seq : 0);
    callbacks_save(&t->callbacks, out);
    stack_save(t, out);
    kept_save(t, out);
}

void task_end_save(const struct task *t, struct buf *out)
{
    put_u8(out, ROW_VERSION);
    put_u8(out, t->outcome);
    put_u8(out, t->unretrieved);
    put_varint(out, t->ready_seq);
    callbacks_save(&t->callbacks, out);
    node_save(t->root, out);
    text_save(task_extra(t)->name, out);
    text_save(task_extra(t)->title, out);
    value_save(out, t->value);
}

void job_save(const struct job *job, struct buf *out)
{
    const struct ready *r = &job->ready;
    put_u8(out, ROW_VERSION);
    put_u8(out, job->phase);
    put_u8(out, job->stop);
    put_u8(out, job->stuck);
    put_varint(out, job->next_task);
    put_varint(out, job->next_scope);
    put_varint(out, job->next_coro);
    put_varint(out, job->next_gather);
    put_varint(out, job->objects.last_id);
    put_varint(out, job->last_keep);
    put_varint(out, job->next_timer);
    put_varint(out, job->lines);
    put_varint(out, job->ends);
    put_svarint(out, job->now_us);
    put_varint(out, r->next_seq);
    put_varint(out, r->n > 0 ? r->ring[r->head].seq : r->next_seq);
    put_varint(out, r->tick_end);
    put_varint(out, job->running ? job->running->id : 0);
    put_varint(out, job->stop_seq);
    put_varint(out, job->closing ? job->closing->id : 0);
    value_save_opt(job->failure, out);
    timer_save(job, &job->deadline, out);
    coro_list_save(&job->left, out);
}
