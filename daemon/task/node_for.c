/* `for: name, in: source, do`. */
#include "daemon/task/feed.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

struct for_node {
    struct node node;
    uint32_t name;
    struct source source;
    struct node *body;
};

enum { FOR_BODY, FOR_WAITING };

static const struct feed *const feeds[] = {
    &feed_list,
    &feed_completed,
    &feed_ticker,
    &feed_queue,
};

static void go_on(struct task *t, struct for_act *a, enum feed_step step, struct value *v)
{
    a->act.phase = step == FEED_WAIT ? FOR_WAITING : FOR_BODY;
    switch (step) {
    case FEED_ITEM:
        scope_set(t->scope, ((const struct for_node *)(const void *)a->act.node)->name, v);
        task_child(t, ((const struct for_node *)(const void *)a->act.node)->body);
        break;
    case FEED_END:
        task_done(t, DONE_NORMAL, value_null());
        break;
    case FEED_ERROR:
        task_raise(t, v);
        break;
    case FEED_WAIT:
        break;
    }
}

static void turn(struct task *t, struct for_act *a)
{
    struct value *v = NULL;
    enum feed_step step = a->feed->next(t, a, &v);
    go_on(t, a, step, v);
}

static bool begin(struct task *t, struct for_act *a, const struct source *s, struct value **error)
{
    if (s->completed)
        return feed_completed_begin(a, t, s, error);
    if (s->ticker)
        return feed_ticker_begin(a, t, s, error);
    return feed_list_begin(a, t, s, error);
}

static void for_start(struct task *t, struct act *act)
{
    struct value *error = NULL;
    if (begin(t, (struct for_act *)act, &((const struct for_node *)(const void *)act->node)->source,
              &error))
        turn(t, (struct for_act *)act);
    else
        task_raise(t, error);
}

static void for_on_child(struct task *t, struct act *act, enum completion how, struct value *v)
{
    if (how == DONE_RAISE || how == DONE_RETURN) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    if (how == DONE_BREAK)
        task_done(t, DONE_NORMAL, value_null());
    else
        turn(t, (struct for_act *)act);
}

static void for_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct for_act *a = (struct for_act *)act;
    struct value *next = NULL, *error = how == DONE_RAISE ? v : NULL;
    if (!error)
        value_unref(v);
    act->phase = FOR_BODY;
    enum feed_step step = a->feed->on_event(t, a, error, &next);
    if (step == FEED_ERROR && next == error)
        task_done(t, DONE_RAISE, error); /* it has its cause */
    else
        go_on(t, a, step, next);
}

static bool for_cancel(struct task *t, struct act *act)
{
    struct for_act *a = (struct for_act *)act;
    if (a->feed->cancel)
        a->feed->cancel(t, a);
    return true;
}

static bool for_waiting(const struct act *a)
{
    return a->phase == FOR_WAITING;
}

static void for_release(struct task *t, struct act *act)
{
    struct for_act *a = (struct for_act *)act;
    if (a->feed)
        a->feed->release(t, a);
}

static void for_save(const struct task *t, const struct act *act, struct buf *out)
{
    const struct for_act *a = (const struct for_act *)act;
    put_u8(out, (uint8_t)a->feed->tag);
    a->feed->save(t, a, out);
}

static bool for_load(struct task *t, struct act *act, struct job_loader *l, struct reader *r)
{
    struct for_act *a = (struct for_act *)act;
    uint8_t tag = get_u8(r);
    for (size_t i = 0; i < ARRAY_LEN(feeds) && !a->feed; i++)
        if ((uint8_t)feeds[i]->tag == tag)
            a->feed = feeds[i];
    if (!a->feed || act->phase > FOR_WAITING || (act->phase == FOR_WAITING && !a->feed->on_event))
        return load_fail(l, "a loop");
    return a->feed->load(t, a, l, r);
}

static void for_loaded(struct task *t, struct act *act)
{
    struct for_act *a = (struct for_act *)act;
    if (act->phase == FOR_WAITING && a->feed->loaded)
        a->feed->loaded(t, a);
}

static void for_awaits(const struct task *t, const struct act *act, struct buf *out)
{
    const struct for_act *a = (const struct for_act *)act;
    if (a->feed->awaits)
        a->feed->awaits(t, a, out);
}

static const struct field for_fields[] = {
    {"for", &field_name, offsetof(struct for_node, name), true, "The variable."},
    {"in", &field_source, offsetof(struct for_node, source), true,
     "A list, {range: n}, {range: [start, stop, step]}, a queue, {as_completed: [tasks]} or "
     "{ticker: seconds}."},
    {"do", &field_loop, offsetof(struct for_node, body), true, "The body."},
    {NULL},
};

const struct node_kind node_for = {
    .verb = {.name = "for", .fields = for_fields, .size = sizeof(struct for_node)},
    .act_size = sizeof(struct for_act),
    .start = for_start,
    .on_child = for_on_child,
    .on_event = for_on_event,
    .cancel = for_cancel,
    .waiting = for_waiting,
    .save = for_save,
    .load = for_load,
    .loaded = for_loaded,
    .release = for_release,
    .awaits = for_awaits,
};
