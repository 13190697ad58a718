/* `for` over `{ticker: seconds}`: beats at start + n·seconds; one that is overdue is a `sleep: 0`.
 */
#include <math.h>

#include "daemon/task/feed.h"
#include "daemon/task/save.h"

bool feed_ticker_begin(struct for_act *a, const struct task *t, const struct source *s,
                       struct value **error)
{
    a->feed = &feed_ticker;
    a->ticker.start_us = t->job->now_us;
    return eval_number(t, s->ticker, "the seconds of a ticker", 0, &a->ticker.seconds, error);
}

static enum feed_step next(struct task *t, struct for_act *a, struct value **v)
{
    (void)v;
    double offset = (double)++a->ticker.beats * a->ticker.seconds;
    int64_t due_us = timer_deadline(a->ticker.start_us, offset);
    if (due_us <= t->job->now_us) {
        task_yield(t);
        return FEED_WAIT;
    }
    task_suspend(t, WAIT_OWN, NULL);
    timer_start(t->job, t, &a->ticker.timer, TIMER_SLEEP, due_us);
    return FEED_WAIT;
}

static enum feed_step on_event(struct task *t, struct for_act *a, struct value *error,
                               struct value **v)
{
    timer_cancel(t->job, &a->ticker.timer);
    *v = error ? error : value_int((int64_t)a->ticker.beats - 1);
    return error ? FEED_ERROR : FEED_ITEM;
}

static void cancel(struct task *t, struct for_act *a)
{
    timer_cancel(t->job, &a->ticker.timer);
}

static void save(const struct task *t, const struct for_act *a, struct buf *out)
{
    put_svarint(out, a->ticker.start_us);
    put_f64(out, a->ticker.seconds);
    put_varint(out, a->ticker.beats);
    timer_save(t->job, &a->ticker.timer, out);
}

static bool load(struct task *t, struct for_act *a, struct job_loader *l, struct reader *r)
{
    a->ticker.start_us = get_svarint(r);
    a->ticker.seconds = get_f64(r);
    a->ticker.beats = get_varint(r);
    if (r->failed || isnan(a->ticker.seconds) || a->ticker.start_us < INT64_MIN / 2 ||
        a->ticker.start_us > INT64_MAX / 2)
        return load_fail(l, "a ticker");
    return timer_load(l, r, t, &a->ticker.timer, TIMER_SLEEP);
}

static void awaits(const struct task *t, const struct for_act *a, struct buf *out)
{
    if (a->ticker.timer.state != TIMER_NONE)
        buf_printf(out, "ticker, %.6g s left",
                   (double)(timer_due_us(t->job, &a->ticker.timer) - t->job->now_us) / 1e6);
}

const struct feed feed_ticker = {
    .tag = 'T',
    .next = next,
    .on_event = on_event,
    .cancel = cancel,
    .save = save,
    .load = load,
    .release = cancel,
    .awaits = awaits,
};
