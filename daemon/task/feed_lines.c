/* `for` over `{lines: {run: …}}`: the lines of a command, as they come. The command is stopped, and
 * its end awaited, when the loop is left before that. */
#include "daemon/task/feed.h"
#include "daemon/task/leaf.h"
#include "daemon/task/lines.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

bool feed_lines_begin(struct for_act *a, struct task *t, const struct source *s,
                      struct value **error)
{
    a->feed = &feed_lines;
    a->lines = lines_new(t, (const struct leaf_node *)(const void *)s->lines, error);
    return a->lines != NULL;
}

struct lines *lines_of(const struct task *t)
{
    const struct act *a = task_top(t);
    if (!a || act_kind(a) != &node_for || t->wait != WAIT_OWN || t->future != FUTURE_PENDING)
        return NULL;
    const struct for_act *f = (const struct for_act *)a;
    return f->feed == &feed_lines ? f->lines : NULL;
}

static enum feed_step next(struct task *t, struct for_act *a, struct value **v)
{
    switch (lines_next(a->lines, v)) {
    case LINES_ITEM:
        return FEED_ITEM;
    case LINES_END:
        return FEED_END;
    case LINES_ERROR:
        return FEED_ERROR;
    case LINES_WAIT:
        break;
    }
    task_suspend(t, WAIT_OWN, NULL);
    return FEED_WAIT;
}

static enum feed_step on_event(struct task *t, struct for_act *a, struct value *error,
                               struct value **v)
{
    if (!error)
        return next(t, a, v);
    *v = error;
    return FEED_ERROR;
}

static bool stop(struct task *t, struct for_act *a)
{
    if (a->act.phase == FOR_LEAVING)
        a->lines->interrupted = true;
    (void)t;
    return lines_stop(a->lines);
}

static bool leave(struct task *t, struct for_act *a, struct value *v)
{
    if (lines_stop(a->lines))
        return true;
    a->lines->leaving = v;
    task_suspend(t, WAIT_OWN, NULL);
    return false;
}

static struct value *left(struct for_act *a)
{
    return steal(&a->lines->leaving);
}

void lines_settle(struct task *t)
{
    struct lines *l = lines_of(t);
    if (!l || !l->run.done_seq)
        return;
    l->run.done_seq = 0;
    task_touch(t);
    const struct act *top = task_top(t); /* the loop that has the lines */
    bool leaving = top && top->phase == FOR_LEAVING, over = l->run.leaf.state == LEAF_ENDED;
    if (leaving && over)
        wait_settle(t, l->interrupted ? FUTURE_CANCELLED : FUTURE_DONE);
    else if (!leaving && (!l->run.leaf.cancelled || over))
        wait_settle(t, l->run.leaf.cancelled ? FUTURE_CANCELLED : FUTURE_DONE);
}

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    lines_save(a->lines, out);
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    a->lines = lines_load(t, l, r);
    return a->lines && (a->act.phase != FOR_LEAVING || a->lines->leaving || load_fail(l, "a loop"));
}

static void release(struct task *t, struct for_act *a)
{
    (void)t;
    lines_free(steal(&a->lines));
}

static void awaits(const struct task *t, const struct for_act *a, struct buf *out)
{
    (void)t;
    buf_addstr(out, a->act.phase == FOR_LEAVING ? "the end of " : "a line of ");
    leaf_spec_title(&a->lines->run.leaf.spec, 110, out);
}

const struct feed feed_lines = {
    .tag = 'S',
    .next = next,
    .on_event = on_event,
    .stop = stop,
    .leave = leave,
    .left = left,
    .save = save,
    .load = load,
    .release = release,
    .awaits = awaits,
};
