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

/* Of a text, what is sent of it. */
static size_t text_bytes(const struct event *e)
{
    return !e->text ? 0 : e->len < MAX_TEXT_BYTES ? e->len : MAX_TEXT_BYTES;
}

static size_t entry_bytes(const struct ring_entry *e)
{
    return text_bytes(&e->event) + e->len;
}

static void drop_first(struct ring *r)
{
    struct ring_entry *e = &r->all[r->first];
    r->gone_seq = e->event.seq;
    r->bytes -= entry_bytes(e);
    free((char *)(uintptr_t)e->event.text);
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

static void make_room(struct ring *r, size_t bytes)
{
    while (r->n > 1 && r->bytes + bytes > RING_BYTES)
        drop_first(r);
}

struct ring_entry *ring_add(struct ring *r, const struct event *e)
{
    if (r->n == RING_EVENTS)
        drop_first(r);
    struct ring_entry *new = &r->all[(r->first + r->n++) % RING_EVENTS];
    *new = (struct ring_entry){.event = *e};
    if (e->text)
        new->event.text = xmemdup(e->text, text_bytes(e));
    make_room(r, entry_bytes(new));
    r->bytes += entry_bytes(new);
    r->last_seq = e->seq;
    return new;
}

const char *ring_members(struct ring *r, struct ring_entry *e, size_t *len)
{
    if (!e->members) {
        struct buf members = {0};
        struct json_out o = {.out = &members};
        write_members(&o, &e->event);
        e->len = members.len;
        e->members = buf_steal(&members);
        r->bytes += e->len; /* no room is made: others are being looked at */
    }
    *len = e->len;
    return e->members;
}

uint64_t ring_last_seq(const struct ring *r)
{
    return r->last_seq;
}

bool ring_has_after(const struct ring *r, uint64_t seq)
{
    return seq >= r->gone_seq && seq <= r->last_seq;
}

void ring_each_after(struct ring *r, uint64_t seq, bool (*each)(void *arg, struct ring_entry *e),
                     void *arg)
{
    for (size_t i = 0; i < r->n; i++) {
        struct ring_entry *e = &r->all[(r->first + i) % RING_EVENTS];
        if (e->event.seq > seq && !each(arg, e))
            return;
    }
}
