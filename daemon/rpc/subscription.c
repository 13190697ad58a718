#include "daemon/rpc/subscription.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/log.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/users.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* Each costs something at each event. */
enum { SUBSCRIPTIONS_MAX = 100 };

bool subscription_may(struct request *r)
{
    const struct subscription *s;
    size_t n = 0;
    LIST_FOREACH (s, &r->session->subscriptions, link)
        n++;
    if (n < SUBSCRIPTIONS_MAX)
        return true;
    request_error(r, ERR_QUOTA, NULL, "a connection has at most %d subscriptions",
                  SUBSCRIPTIONS_MAX);
    return false;
}

struct subscription *subscription_new(struct session *session)
{
    struct subscription *s = xcalloc(1, sizeof *s);
    s->session = session;
    s->id = ++session->server->last_subscription;
    LIST_INSERT_HEAD(&session->subscriptions, s, link);
    session->server->n_subscriptions++;
    return s;
}

void subscription_free(struct subscription *s)
{
    LIST_REMOVE(s, link);
    s->session->server->n_subscriptions--;
    session_touch(s->session); /* after a half-close it may have been the last thing to do */
    follow_free(s->follow);
    free(s->jobs);
    free(s);
}

bool subscriptions_have_end(const struct session *session)
{
    const struct subscription *s;
    LIST_FOREACH (s, &session->subscriptions, link)
        if (s->follow)
            return true;
    return false;
}

void subscriptions_drop(struct session *session)
{
    struct subscription *s;
    while ((s = LIST_FIRST(&session->subscriptions)))
        subscription_free(s);
}

static void send_notification(struct subscription *s, const char *members, size_t len)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    buf_reserve(&b, len + 128);
    buf_printf(&b,
               "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":", s->follow ? "log" : "event");
    jout_begin_object(&o);
    jout_key(&o, "subscription");
    jout_uint(&o, s->id);
    jout_raw(&o, members, len);
    jout_end_object(&o);
    buf_addch(&b, '}');
    session_send(s->session, b.data, b.len);
    buf_release(&b);
}

void subscription_lose(struct subscription *s, const char *why)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_key(&o, "lost");
    jout_bool(&o, true);
    jout_key(&o, "message");
    jout_printf(&o, "the subscription has ended: %s", why);
    send_notification(s, b.data, b.len);
    buf_release(&b);
    subscription_free(s);
}

bool subscription_notify(struct subscription *s, const char *members, size_t len)
{
    if (session_unsent(s->session) <=
        (size_t)s->session->server->options.config->output_buffer_bytes) {
        send_notification(s, members, len);
        return true;
    }
    subscription_lose(s, "what it sent was not read in time");
    return false;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static bool wants(const struct subscription *s, const struct event *e)
{
    return !s->follow && peer_may(&s->session->peer, e->uid) &&
           (!s->types || s->types & 1u << e->type) && (!s->of_owner || s->owner == e->uid) &&
           (!s->n_jobs || bsearch(&e->job, s->jobs, s->n_jobs, sizeof *s->jobs, by_number));
}

static bool pass(struct subscription *s, struct ring_entry *e)
{
    size_t len;
    if (!wants(s, &e->event))
        return true;
    const char *members = ring_members(s->session->server->ring, e, &len);
    return subscription_notify(s, members, len);
}

void subscriptions_on_event(struct server *server, struct ring_entry *e)
{
    struct session *session;
    LIST_FOREACH (session, &server->sessions, link) {
        struct subscription *s = LIST_FIRST(&session->subscriptions), *next;
        for (; s; s = next) {
            next = LIST_NEXT(s, link);
            pass(s, e);
        }
    }
}

/* The types of the filter as bits. */
static bool read_types(const json_t *types, uint32_t *ret, struct json_mistakes *m)
{
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *name = json_string_value(json_array_get(types, i));
        int t = 0;
        while (t < EVENT_COUNT && strcmp(name, event_type_name((enum event_type)t)) != 0)
            t++;
        if (t == EVENT_COUNT) {
            char pointer[40];
            snprintf(pointer, sizeof pointer, "/filter/types/%zu", i);
            json_mistakes_add(m, pointer, NULL, "unknown type of event \"%s\"", name);
            return false;
        }
        *ret |= 1u << t;
    }
    return true;
}

/* What a filter says, into a subscription's fields. */
static bool read_filter(const struct peer *asks, const json_t *filter, struct subscription *ret,
                        struct json_mistakes *m)
{
    struct event_filter f = {0};
    struct json_mistakes inner = {0};
    if (!filter)
        return true;
    if (!json_fields_read(method_event_filter, filter, &f, &inner)) {
        for (size_t i = 0; i < inner.n; i++) {
            char pointer[180];
            snprintf(pointer, sizeof pointer, "/filter%s", inner.all[i].pointer);
            json_mistakes_add(m, pointer, inner.all[i].hint, "%s", inner.all[i].message);
        }
        return false;
    }
    if (!read_types(f.types, &ret->types, m))
        return false;
    if (f.owner && !user_id(asks, f.owner, &ret->owner)) {
        json_mistakes_add(m, "/filter/owner", NULL, "there is no user \"%s\"", f.owner);
        return false;
    }
    ret->of_owner = f.owner != NULL;
    ret->n_jobs = json_field_id_count(f.job);
    ret->jobs = ret->n_jobs ? xcalloc(ret->n_jobs, sizeof *ret->jobs) : NULL;
    for (size_t i = 0; i < ret->n_jobs; i++)
        ret->jobs[i] = json_field_id_at(f.job, i);
    if (ret->n_jobs)
        qsort(ret->jobs, ret->n_jobs, sizeof *ret->jobs, by_number);
    return true;
}

static bool replay(void *arg, struct ring_entry *e)
{
    return pass(arg, e);
}

void method_event_subscribe(struct request *r, const struct event_subscribe_params *p)
{
    struct ring *ring = r->server->ring;
    struct session *session = r->session;
    struct json_mistakes m = {0};
    struct subscription wanted = {0};
    if (!subscription_may(r))
        return;
    if (!read_filter(&r->peer, p->filter, &wanted, &m)) {
        free(wanted.jobs);
        request_mistakes(r, &m);
        return;
    }
    if (p->after > 0 && !ring_has_after(ring, (uint64_t)p->after)) {
        free(wanted.jobs);
        request_error(r, ERR_EXPIRED, NULL, "the events behind %lld are no longer kept",
                      (long long)p->after);
        return;
    }
    struct subscription *s = subscription_new(session);
    s->jobs = wanted.jobs;
    s->n_jobs = wanted.n_jobs;
    s->types = wanted.types;
    s->of_owner = wanted.of_owner;
    s->owner = wanted.owner;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "subscription");
    jout_uint(&o, s->id);
    jout_key(&o, "seq");
    jout_uint(&o, ring_last_seq(ring));
    jout_end_object(&o);
    request_result(r, &b);
    if (p->after >= 0)
        ring_each_after(ring, (uint64_t)p->after, replay, s);
}

void method_subscription_cancel(struct request *r, const struct subscription_cancel_params *p)
{
    struct subscription *s;
    LIST_FOREACH (s, &r->session->subscriptions, link)
        if (s->id == (uint64_t)p->subscription)
            break;
    if (!s) {
        request_error(r, ERR_NOT_FOUND, NULL, "this connection has no subscription %lld",
                      (long long)p->subscription);
        return;
    }
    subscription_free(s);
    struct buf b = {0};
    buf_addstr(&b, "{}");
    request_result(r, &b);
}
