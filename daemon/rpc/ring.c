#include "daemon/rpc/ring.h"

#include <stdlib.h>

#include "proto/json_out.h"
#include "proto/mem.h"

/* Of a printed line in an event; log.read has it all. */
#define MAX_TEXT_BYTES ((size_t)64 * 1024)

struct ring {
    struct ring_entry all[RING_EVENTS];
    size_t first, n, bytes;
    uint64_t gone_seq; /* of the newest event that is not kept */
    uint64_t last_seq;
};

struct ring *ring_new(uint64_t last_seq)
{
    struct ring *r = xcalloc(1, sizeof *r);
    r->gone_seq = r->last_seq = last_seq;
    return r;
}

static void drop_first(struct ring *r)
{
    struct ring_entry *e = &r->all[r->first];
    r->gone_seq = e->seq;
    r->bytes -= e->len;
    free(e->members);
    r->first = (r->first + 1) % RING_EVENTS;
    r->n--;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    while (r->n > 0)
        drop_first(r);
    free(r);
}

static const char *state_name(const struct event *e)
{
    switch (e->type) {
    case EVENT_JOB_CREATED:
    case EVENT_JOB_STATE:
        return job_state_name((enum job_state)e->state);
    case EVENT_TASK_STATE:
        return task_state_name((enum task_state)e->state);
    default:
        return NULL;
    }
}

static void write_text(struct json_out *o, const struct event *e)
{
    size_t len = e->len;
    if (len > MAX_TEXT_BYTES) {
        len = MAX_TEXT_BYTES - 3; /* back to the end of a character */
        len = utf8_length(e->text, len);
        jout_key(o, "truncated");
        jout_bool(o, true);
    }
    jout_key(o, e->type == EVENT_JOB_CREATED ? "name" : "text");
    jout_string(o, e->text, len);
}

static void write_members(struct json_out *o, const struct event *e)
{
    const char *state = state_name(e);
    jout_key(o, "seq");
    jout_uint(o, e->seq);
    jout_key(o, "type");
    jout_text(o, event_type_name(e->type));
    jout_key(o, "at");
    jout_time(o, e->at_us);
    jout_key(o, "job");
    jout_uint(o, e->job);
    if (e->task) {
        jout_key(o, "task");
        jout_printf(o, "%llu.%lu", (unsigned long long)e->job, (unsigned long)e->task);
    }
    if (state) {
        jout_key(o, "state");
        jout_text(o, state);
    }
    if (e->type == EVENT_ATTEMPT_STARTED || e->type == EVENT_ATTEMPT_ENDED) {
        jout_key(o, "attempt");
        jout_uint(o, e->n);
    }
    if (e->type == EVENT_OUTPUT) {
        jout_key(o, "line");
        jout_uint(o, e->n);
    }
    if (e->text)
        write_text(o, e);
}

const struct ring_entry *ring_add(struct ring *r, const struct event *e)
{
    struct buf members = {0};
    struct json_out o = {.out = &members};
    write_members(&o, e);
    while (r->n > 0 && (r->n == RING_EVENTS || r->bytes + members.len > RING_BYTES))
        drop_first(r);
    struct ring_entry *new = &r->all[(r->first + r->n++) % RING_EVENTS];
    *new = (struct ring_entry){.seq = e->seq, .job = e->job, .uid = e->uid, .type = e->type};
    new->len = members.len;
    new->members = xrealloc(buf_steal(&members), new->len + 1);
    r->bytes += new->len;
    r->last_seq = e->seq;
    return new;
}

uint64_t ring_last_seq(const struct ring *r)
{
    return r->last_seq;
}

bool ring_has_after(const struct ring *r, uint64_t seq)
{
    return seq >= r->gone_seq && seq <= r->last_seq;
}

void ring_each_after(const struct ring *r, uint64_t seq,
                     bool (*each)(void *arg, const struct ring_entry *e), void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct ring_entry *e = &r->all[(r->first + i) % RING_EVENTS];
        if (e->seq > seq && !each(arg, e))
            return;
    }
}
