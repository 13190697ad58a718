/* queue.*: named queues, and other objects with names. */
#include <stdlib.h>

#include "daemon/lang/json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/users.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum { MAX_LISTED = 10000 };

/* A request that may wait at a queue. */
struct queue_wait {
    struct request *request;
    struct visit *visit; /* NULL: not yet, or it is over */
    struct alarm *alarm; /* NULL: no timeout */
    enum visit_kind kind;
};

static void wait_free(void *state)
{
    struct queue_wait *w = state;
    if (w->visit)
        visit_drop(w->visit);
    alarm_free(w->alarm);
    free(w);
}

static void on_timeout(void *arg)
{
    struct queue_wait *w = arg;
    request_error(w->request, ERR_TIMEOUT, NULL, "it did not happen in time");
}

static void write_end(const struct queue_wait *w, const struct visit_end *end, struct buf *out)
{
    struct json_out o = {.out = out};
    jout_begin_object(&o);
    if (w->kind == VISIT_GET) {
        jout_key(&o, "item");
        jout_uint(&o, end->item);
        jout_key(&o, "value");
        value_write(out, end->value, JSON_STYLE_COMPACT);
    } else if (w->kind == VISIT_PUT) {
        jout_key(&o, "size");
        jout_uint(&o, end->size);
    }
    jout_end_object(&o);
}

static void on_end(void *arg, const struct visit_end *end, const struct err *err)
{
    struct queue_wait *w = arg;
    struct request *r = w->request;
    w->visit = NULL;
    alarm_free(steal(&w->alarm));
    if (err) {
        request_fail(r, err);
        return;
    }
    struct buf result = {0};
    write_end(w, end, &result);
    if (end->is_on_disk) {
        request_result(r, &result);
    } else {
        r->result = result;
        request_result_after_commit(r);
    }
}

/* Whose objects; false: refused. */
static bool owner_of(struct request *r, const char *owner, uint32_t *ret)
{
    uint32_t uid = r->peer.uid;
    if (owner && !user_id(&r->peer, owner, &uid))
        request_error(r, r->peer.admin ? ERR_NOT_FOUND : ERR_FORBIDDEN, NULL,
                      r->peer.admin ? "there is no user \"%.200s\"" : "only your own, not %.200s's",
                      owner);
    else if (!peer_may(&r->peer, uid))
        request_error(r, ERR_FORBIDDEN, NULL, "only your own, not %.200s's", owner);
    else {
        *ret = uid;
        return true;
    }
    return false;
}

static void visit(struct request *r, struct visit_wish *wish, const char *owner, double timeout_s)
{
    struct server *s = r->server;
    if (!owner_of(r, owner, &wish->owner))
        return;
    struct queue_wait *w = xcalloc(1, sizeof *w);
    w->request = r;
    w->kind = wish->kind;
    r->state = w;
    r->state_free = wait_free;
    r->only_for_client = true;
    if (timeout_s >= 0 && !wish->nowait) {
        w->alarm = alarm_new(s->loop, on_timeout, w);
        alarm_start(w->alarm, (int64_t)(timeout_s * 1e6));
    }
    if (!r->session->visitor)
        r->session->visitor = engine_visitor(s->engine);
    struct visit *waits = engine_visit(s->engine, r->session->visitor, wish, on_end, w);
    if (waits) /* else it is answered, and perhaps gone */
        w->visit = waits;
}

void method_queue_put(struct request *r, const struct queue_put_params *p)
{
    cleanup_value struct value *v = value_from_json(p->value);
    struct visit_wish wish = {.kind = VISIT_PUT, .name = p->name, .value = v, .nowait = p->nowait};
    if (v)
        visit(r, &wish, p->owner, p->timeout);
    else
        request_error(r, ERR_TOO_LARGE, NULL, "the value is too large, or too deep");
}

void method_queue_get(struct request *r, const struct queue_get_params *p)
{
    struct visit_wish wish = {.kind = VISIT_GET, .name = p->name, .nowait = p->nowait};
    visit(r, &wish, p->owner, p->timeout);
}

void method_queue_join(struct request *r, const struct queue_join_params *p)
{
    struct visit_wish wish = {.kind = VISIT_JOIN, .name = p->name};
    visit(r, &wish, p->owner, p->timeout);
}

/* What is done at once. */

static void answer(struct request *r, bool done, const struct err *err)
{
    if (!done) {
        request_fail(r, err);
        return;
    }
    buf_addstr(&r->result, "{}");
    request_result_after_commit(r);
}

void method_queue_done(struct request *r, const struct queue_done_params *p)
{
    struct err err;
    uint32_t uid;
    if (!owner_of(r, p->owner, &uid))
        return;
    if (!r->session->visitor)
        r->session->visitor = engine_visitor(r->server->engine);
    answer(r, visitor_done(r->session->visitor, uid, p->name, p->item, &err), &err);
}

void method_queue_shutdown(struct request *r, const struct queue_shutdown_params *p)
{
    struct err err;
    uint32_t uid;
    if (owner_of(r, p->owner, &uid))
        answer(r, engine_queue_shutdown(r->server->engine, uid, p->name, p->immediate, &err), &err);
}

void method_queue_remove(struct request *r, const struct queue_remove_params *p)
{
    struct err err;
    uint32_t uid;
    if (owner_of(r, p->owner, &uid))
        answer(r, engine_named_remove(r->server->engine, uid, p->name, p->force, &err), &err);
}

/* queue.list */

struct listing {
    struct json_out *out;
    bool queues; /* else the others */
    size_t n, more;
};

static void member_int(struct json_out *o, const char *key, int64_t v)
{
    jout_key(o, key);
    jout_int(o, v);
}

static void member_bool(struct json_out *o, const char *key, bool v)
{
    jout_key(o, key);
    jout_bool(o, v);
}

static void write_queue(const struct named_view *v, struct json_out *o)
{
    member_int(o, "maxsize", v->limit > 0 ? v->limit : 0);
    member_int(o, "size", (int64_t)v->size);
    member_int(o, "held", (int64_t)v->lent);
    member_int(o, "unfinished", v->value);
    member_int(o, "getters", (int64_t)v->getters);
    member_int(o, "putters", (int64_t)v->putters);
    member_int(o, "joiners", (int64_t)v->joiners);
    member_bool(o, "shut_down", v->flag);
}

static void write_other(const struct named_view *v, struct json_out *o)
{
    member_int(o, "waiting", (int64_t)v->waiters);
    if (v->holders) {
        member_int(o, "holders", (int64_t)v->holders);
        member_int(o, "job", (int64_t)v->holder);
    }
    switch (v->kind) {
    case NAMED_LOCK:
        member_bool(o, "locked", v->flag);
        break;
    case NAMED_EVENT:
        member_bool(o, "set", v->flag);
        break;
    case NAMED_SEMAPHORE:
        member_int(o, "value", v->value);
        break;
    case NAMED_BARRIER:
        member_int(o, "parties", v->limit);
        break;
    case NAMED_QUEUE:
        break;
    }
}

static void write_one(void *arg, const struct named_view *v)
{
    struct listing *l = arg;
    if ((v->kind == NAMED_QUEUE) != l->queues)
        return;
    if (l->n == MAX_LISTED) {
        l->more++;
        return;
    }
    l->n++;
    jout_begin_object(l->out);
    jout_key(l->out, "name");
    jout_text(l->out, v->name);
    jout_key(l->out, "type");
    jout_text(l->out, v->type);
    jout_key(l->out, "owner");
    jout_text(l->out, user_name(v->owner));
    if (l->queues)
        write_queue(v, l->out);
    else
        write_other(v, l->out);
    jout_end_object(l->out);
}

void method_queue_list(struct request *r, const struct queue_list_params *p)
{
    uint32_t uid;
    if (!owner_of(r, p->owner, &uid))
        return;
    int64_t whose = r->peer.admin && !p->owner ? -1 : (int64_t)uid;
    struct json_out o = {.out = &r->result};
    struct listing l = {.out = &o, .queues = true};
    jout_begin_object(&o);
    jout_key(&o, "queues");
    jout_begin_array(&o);
    engine_each_named(r->server->engine, whose, write_one, &l);
    jout_end_array(&o);
    l.queues = false;
    jout_key(&o, "others");
    jout_begin_array(&o);
    engine_each_named(r->server->engine, whose, write_one, &l);
    jout_end_array(&o);
    member_int(&o, "more", (int64_t)l.more);
    jout_end_object(&o);
    request_result_after_commit(r);
}
