/* `for: name, in: source, do`. */
#include "daemon/task/feed.h"
#include "daemon/task/leaf.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static const struct feed *const feeds[] = {
    &feed_list, &feed_completed, &feed_ticker, &feed_queue, &feed_lines,
};

static void over(struct task *t, enum completion how, struct value *v)
{
    if (how == DONE_BREAK) {
        value_unref(v);
        task_done(t, DONE_NORMAL, value_null());
    } else {
        task_done(t, how, v);
    }
}

static void leave(struct task *t, struct for_act *a, enum completion how, struct value *v)
{
    if (!a->feed->leave || a->feed->leave(t, a, v)) {
        over(t, how, v);
        return;
    }
    a->act.phase = FOR_LEAVING;
    a->act.count = how;
}

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
        leave(t, a, DONE_RAISE, task_in_context(t, v));
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
    if (s->lines)
        return feed_lines_begin(a, t, s, error);
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
    if (how == DONE_NORMAL || how == DONE_CONTINUE) {
        value_unref(v);
        turn(t, (struct for_act *)act);
    } else {
        leave(t, (struct for_act *)act, how, v);
    }
}

static void for_on_event(struct task *t, struct act *act, enum completion how, struct value *v)
{
    struct for_act *a = (struct for_act *)act;
    struct value *next = NULL, *error = how == DONE_RAISE ? v : NULL;
    if (act->phase == FOR_LEAVING) {
        struct value *with = a->feed->left(a);
        value_unref(error ? with : v);
        over(t, error ? DONE_RAISE : (enum completion)act->count, error ? error : with);
        return;
    }
    if (!error)
        value_unref(v);
    act->phase = FOR_BODY;
    enum feed_step step = a->feed->on_event(t, a, error, &next);
    if (step == FEED_ERROR && next == error)
        leave(t, a, DONE_RAISE, error); /* it has its cause */
    else
        go_on(t, a, step, next);
}

const struct source *for_source(const struct for_act *a)
{
    return &((const struct for_node *)(const void *)a->act.node)->source;
}

static bool for_cancel(struct task *t, struct act *act)
{
    struct for_act *a = (struct for_act *)act;
    if (a->feed->cancel)
        a->feed->cancel(t, a);
    return !a->feed->stop || a->feed->stop(t, a);
}

static bool for_waiting(const struct act *a)
{
    return a->phase != FOR_BODY;
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
    if (!a->feed || act->phase > (a->feed->leave ? FOR_LEAVING : FOR_WAITING) ||
        (act->phase == FOR_LEAVING && act->count > DONE_BREAK) ||
        (act->phase == FOR_WAITING && !a->feed->on_event))
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

static void for_check(struct parser *p, struct node *node)
{
    const struct node *n = ((const struct for_node *)(const void *)node)->source.lines;
    if (!n)
        return;
    if (n->verb != &node_run.verb && n->verb != &node_sh.verb)
        parser_complain(p, NULL,
                        "\"lines\" takes {\"run\": …} or {\"sh\": …}; \"as\", \"timeout\" and "
                        "\"retry\" are the loop's");
    else if (((const struct leaf_node *)(const void *)n)->on_lost == ON_LOST_RETRY)
        parser_complain(p, NULL, "\"on_lost\" can't be \"retry\" here: lines were taken already");
}

static const struct field for_fields[] = {
    {"for", &field_name, offsetof(struct for_node, name), true, "The variable."},
    {"in", &field_source, offsetof(struct for_node, source), true,
     "A list, {range: n}, {range: [start, stop, step]}, a queue, {lines: {run: …}}, "
     "{as_completed: [tasks]} or {ticker: seconds}."},
    {"do", &field_loop, offsetof(struct for_node, body), true, "The body."},
    {NULL},
};

const struct node_kind node_for = {
    .verb = {.name = "for",
             .fields = for_fields,
             .size = sizeof(struct for_node),
             .check = for_check},
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
