/*
 * job.wait: registered before the store is read, so an end is seen by the one or the other: events
 * come after the commit of what they tell.
 */
#include "daemon/rpc/wait.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

struct wait {
    LIST_ENTRY(wait) link;
    struct request *request;
    struct alarm *alarm; /* NULL: no timeout */
    uint64_t *ids;       /* in the order of the request */
    bool *ended;
    size_t n, n_ended;
    bool any;
    bool over;    /* decided: what is read from now on is the answer */
    bool reading; /* the store is being read, and holds the request */
    bool again;   /* decided while it was being read: that may show less than was decided */
    bool timed_out;
};

static void wait_free(void *state)
{
    struct wait *w = state;
    LIST_REMOVE(w, link);
    alarm_free(w->alarm);
    free(w->ids);
    free(w->ended);
    free(w);
}

static void on_rows(struct request *r, const struct rows *sets, size_t n);

static void read_jobs(struct wait *w)
{
    struct batch q = {0};
    for (size_t i = 0; i < w->n; i++) {
        batch_add(&q, ST_JOB_BRIEF);
        batch_int(&q, (int64_t)w->ids[i]);
    }
    w->reading = true;
    w->request->only_for_client = false;
    request_read(w->request, &q, on_rows);
    batch_release(&q);
}

static bool is_met(const struct wait *w)
{
    return w->n_ended == w->n || (w->any && w->n_ended > 0);
}

static void decide(struct wait *w)
{
    w->over = true;
    if (w->reading)
        w->again = true;
    else
        read_jobs(w);
}

static void on_timeout(void *arg)
{
    struct wait *w = arg;
    if (w->over)
        return;
    w->timed_out = true;
    decide(w);
}

static void mark_ended(struct wait *w, size_t i)
{
    w->n_ended += !w->ended[i];
    w->ended[i] = true;
}

static void answer(struct wait *w, const struct rows *sets)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jobs_write(w->request->server->engine, sets, w->n, &o);
    jout_key(&o, "timed_out");
    jout_bool(&o, w->timed_out && !is_met(w));
    jout_end_object(&o);
    request_result(w->request, &b);
}

static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    struct wait *w = r->state;
    w->reading = false;
    for (size_t i = 0; i < n; i++) {
        if (!request_may(r, &sets[i], w->ids[i]))
            return;
        if (!job_row_is_live(&sets[i], 0))
            mark_ended(w, i);
    }
    if (w->again) {
        w->again = false;
        read_jobs(w);
    } else if (w->over || is_met(w)) {
        answer(w, sets);
    } else {
        r->only_for_client = true;
    }
}

void waits_on_event(struct server *s, const struct event *e)
{
    if (e->type != EVENT_JOB_STATE || job_state_is_live((enum job_state)e->state))
        return;
    struct wait *next;
    for (struct wait *w = LIST_FIRST(&s->waits); w; w = next) {
        next = LIST_NEXT(w, link);
        for (size_t i = 0; i < w->n; i++)
            if (w->ids[i] == e->job)
                mark_ended(w, i);
        if (!w->over && is_met(w))
            decide(w);
    }
}

void method_job_wait(struct request *r, const struct job_wait_params *p)
{
    struct wait *w = xcalloc(1, sizeof *w);
    w->request = r;
    w->n = json_field_id_count(p->ids);
    w->ids = xcalloc(w->n, sizeof *w->ids);
    w->ended = xcalloc(w->n, sizeof *w->ended);
    for (size_t i = 0; i < w->n; i++)
        w->ids[i] = json_field_id_at(p->ids, i);
    w->any = p->mode == WAIT_ANY;
    LIST_INSERT_HEAD(&r->server->waits, w, link);
    r->state = w;
    r->state_free = wait_free;
    if (p->timeout >= 0) {
        w->alarm = alarm_new(r->server->loop, on_timeout, w);
        alarm_start(w->alarm, (int64_t)(p->timeout * 1e6));
    }
    read_jobs(w);
}
