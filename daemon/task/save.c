/* Rows: how a task, its end and the job are written. */
#include "daemon/task/save.h"

#include "daemon/task/star.h"

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

void timer_save(const struct timer *t, struct buf *out)
{
    put_u8(out, !t ? 0 : t->state == TIMER_READY ? 2 : 1);
    if (!t)
        return;
    put_svarint(out, t->deadline_us);
    put_varint(out, t->seq);
}

/* `N`: the kind of its node. */
static uint8_t kind_tag(const struct act *a)
{
    static const struct {
        const struct node_kind *kind;
        char tag;
    } tags[] = {
        {&kind_frame, 'F'}, {&kind_call, 'C'}, {&kind_limit, 'L'},
        {&kind_wait, 'W'},  {&kind_star, 'S'},
    };
    for (size_t i = 0; i < ARRAY_LEN(tags); i++)
        if (a->kind == tags[i].kind)
            return (uint8_t)tags[i].tag;
    /* A timeout that stands for another verb's key. */
    return a->kind == &node_timeout && a->node->verb != &node_timeout.verb ? 'T' : 'N';
}

static void act_save(const struct task *t, const struct act *a, struct buf *out)
{
    put_u8(out, kind_tag(a));
    node_save(a->node, out);
    put_u8(out, a->phase);
    put_varint(out, a->count);
    if (a->kind->save)
        a->kind->save(t, a, out);
}

static void callbacks_save(const struct callbacks *c, struct buf *out)
{
    put_varint(out, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct callback *one = callbacks_get(c, i);
        put_u8(out, (uint8_t)one->type);
        if (one->type == CALLBACK_WAKE)
            put_varint(out, ((const struct task *)one->object)->id);
        else if (one->type == CALLBACK_GATHER)
            put_varint(out, ((const struct gather *)one->object)->id);
        else if (one->type == CALLBACK_WATCH)
            put_varint(out, ((const struct watch *)one->object)->id);
    }
}

static void kept_save(const struct task *t, struct buf *out)
{
    put_varint(out, t->kept ? t->kept->n : 0);
    for (uint32_t i = 0; t->kept && i < t->kept->n; i++)
        scope_save(t->job, t->kept->all[i], out);
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
        at += a->size;
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
    put_varint(out, t->cancels);
    node_save(t->root, out);
    text_save(t->name, out);
    text_save(t->title, out);
    put_u8(out, t->op);
    put_u8(out, t->how);
    node_save(t->op_node, out);
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
    text_save(t->name, out);
    text_save(t->title, out);
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
    timer_save(job->deadline, out);
    coro_list_save(&job->left, out);
}
