#include "daemon/task/visit.h"

#include <string.h>

#include "daemon/task/items.h"
#include "daemon/task/job.h"
#include "daemon/task/named.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* An item that a visitor has. */
struct loan {
    LIST_ENTRY(loan) link; /* of the visitor */
    struct visitor *visitor;
    struct object *queue; /* not counted: it takes its loans along */
    struct queue_item *item;
};

struct visitor {
    LIST_ENTRY(visitor) link; /* of the runtime */
    struct runtime *rt;       /* NULL: gone */
    LIST_HEAD(, loan) loans;
    LIST_HEAD(, visit) visits;
    size_t bytes;
};

struct visit {
    struct waiter waiter;    /* first */
    TAILQ_ENTRY(visit) link; /* woken: in the list of those whose turn comes */
    LIST_ENTRY(visit) of_visitor;
    bool woken;
    enum visit_kind kind;
    struct visitor *visitor;
    struct object *queue; /* counted; NULL: the runtime is gone */
    struct value *value;  /* of a put */
    void (*on_end)(void *arg, const struct visit_end *end, const struct err *err);
    void *arg;
};

/* ---- visitors and what is lent to them ---- */

struct visitor *visitor_new(struct runtime *rt)
{
    struct visitor *v = xcalloc(1, sizeof *v);
    v->rt = rt;
    LIST_INIT(&v->loans);
    LIST_INIT(&v->visits);
    LIST_INSERT_HEAD(&rt->named.visitors, v, link);
    return v;
}

/* The item is no longer lent. */
static struct queue_item *loan_end(struct loan *l)
{
    struct queue_item *it = l->item;
    LIST_REMOVE(l, link);
    map_remove(&l->queue->named->lent, it->seq);
    l->visitor->bytes -= value_bytes(it->value);
    free(l);
    return it;
}

static void lend(struct visitor *v, struct object *q, struct queue_item *it)
{
    struct loan *l = xcalloc(1, sizeof *l);
    l->visitor = v;
    l->queue = q;
    l->item = it;
    LIST_INSERT_HEAD(&v->loans, l, link);
    map_put(&q->named->lent, it->seq, l);
    v->bytes += value_bytes(it->value);
}

void loans_drop(struct object *q)
{
    while (q->named->lent.n > 0) {
        size_t at = 0;
        struct map_slot *s = map_next(&q->named->lent, &at);
        value_unref(queue_end(q, loan_end(s->value)));
    }
}

void visitor_free(struct visitor *v)
{
    struct loan *l;
    if (!v)
        return;
    while ((l = LIST_FIRST(&v->loans))) {
        struct object *q = l->queue;
        queue_give_back(q, loan_end(l));
    }
    if (v->rt)
        LIST_REMOVE(v, link);
    free(v);
}

bool visitor_done(struct visitor *v, uint32_t owner, const char *name, uint64_t item,
                  struct err *err)
{
    struct object *q = named_find(v->rt, owner, name);
    struct loan *l = q ? map_get(&q->named->lent, item) : NULL;
    struct value *error = NULL;
    if (!l || l->visitor != v)
        return err_set(err, ERR_STATE, "this connection does not hold item %llu of \"%s\"",
                       (unsigned long long)item, name);
    value_unref(queue_end(q, loan_end(l)));
    if (!queue_task_done(q, &error)) /* a job has counted it already */
        value_unref(error);
    return true;
}

/* ---- visits ---- */

void visit_woken(struct waiter *w)
{
    struct visit *x = (struct visit *)w;
    x->woken = true;
    TAILQ_INSERT_TAIL(&x->visitor->rt->named.woken, x, link);
}

static enum object_list list_of(const struct visit *x)
{
    return x->kind == VISIT_GET ? LIST_GETTERS : x->kind == VISIT_PUT ? LIST_PUTTERS : LIST_JOINERS;
}

/* Out of all lists. */
static void visit_leave(struct visit *x)
{
    if (x->woken)
        TAILQ_REMOVE(&x->visitor->rt->named.woken, x, link);
    waiters_remove(&x->queue->waiters[list_of(x)], &x->waiter);
    x->woken = false;
}

static void visit_free(struct visit *x)
{
    LIST_REMOVE(x, of_visitor);
    value_unref(x->value);
    object_unref(x->queue);
    free(x);
}

void visit_drop(struct visit *x)
{
    if (x->queue) {
        bool woken = x->woken;
        visit_leave(x);
        if (woken)
            named_forgo(x->queue, list_of(x), NULL, true);
    }
    visit_free(x);
}

void visitors_leave(struct runtime *rt)
{
    struct visitor *v;
    while ((v = LIST_FIRST(&rt->named.visitors))) {
        struct visit *x;
        struct loan *l;
        LIST_REMOVE(v, link);
        v->rt = NULL;
        LIST_FOREACH (x, &v->visits, of_visitor) {
            waiters_remove(&x->queue->waiters[list_of(x)], &x->waiter);
            object_unref(x->queue);
            x->queue = NULL;
        }
        while ((l = LIST_FIRST(&v->loans))) {
            struct object *q = l->queue;
            value_unref(items_end(q->items, loan_end(l)));
        }
    }
}

static void explain(const struct object *q, const struct value *error, struct err *err)
{
    static const struct {
        const char *type, *text;
        int code;
    } known[] = {
        {"QueueEmpty", "is empty", ERR_STATE},
        {"QueueFull", "is full", ERR_STATE},
        {"QueueShutDown", "is shut down", ERR_STATE},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (strcmp(error_type(error), known[i].type) == 0) {
            err_set(err, known[i].code, "%s \"%s\" %s", object_verb(q), q->named->name,
                    known[i].text);
            return;
        }
    err_set(err, strcmp(error_type(error), "RuntimeError") == 0 ? ERR_QUOTA : ERR_PARAMS, "%s",
            error_message(error));
}

/* False: it is to be waited for. */
static bool try_get(struct visit *x, bool nowait, struct visit_end *end, struct value **error)
{
    struct object *q = x->queue;
    if (queue_is_empty(q) && !q->flag && !nowait)
        return false;
    if (x->visitor->bytes >= LOAN_MAX_BYTES) {
        *error = error_new("RuntimeError",
                           "this connection holds items of %d MiB: queue.done comes first",
                           (int)(LOAN_MAX_BYTES >> 20));
        queue_pass_on(q, 1, 0);
        return true;
    }
    struct queue_item *it = queue_borrow(q, error);
    if (!it)
        return true;
    lend(x->visitor, q, it);
    *end = (struct visit_end){
        .item = it->seq, .value = it->value, .is_on_disk = item_is_old(q->items, it)};
    return true;
}

static bool try_put(const struct visit *x, bool nowait, struct visit_end *end, struct value **error)
{
    if (queue_is_full(x->queue) && !x->queue->flag && !nowait)
        return false;
    if (queue_put_nowait(x->queue, x->value, error))
        end->size = queue_size(x->queue);
    return true;
}

/* True: it is over, and gone. woken: it has waited; a join is over then, whatever was put since. */
static bool visit_try(struct visit *x, bool nowait, bool woken)
{
    struct visit_end end = {0};
    struct value *error = NULL;
    struct err err;
    bool over = x->kind == VISIT_GET   ? try_get(x, nowait, &end, &error)
                : x->kind == VISIT_PUT ? try_put(x, nowait, &end, &error)
                                       : woken || x->queue->value == 0;
    if (!over)
        return false;
    if (error)
        explain(x->queue, error, &err);
    x->on_end(x->arg, error ? NULL : &end, error ? &err : NULL);
    value_unref(error);
    visit_free(x);
    return true;
}

/* It keeps its place when another was faster. */
static void visit_turn(struct visit *x)
{
    struct waiters *l = &x->queue->waiters[list_of(x)];
    x->woken = false;
    if (!visit_try(x, false, true))
        waiters_put_back(l, &x->waiter);
}

void visits_run(struct runtime *rt)
{
    struct visit_list now;
    TAILQ_INIT(&now);
    TAILQ_CONCAT(&now, &rt->named.woken, link);
    struct visit *x;
    while ((x = TAILQ_FIRST(&now))) {
        TAILQ_REMOVE(&now, x, link);
        visit_turn(x);
    }
}

/* The queue of that name; a new reference. NULL: err. */
static struct object *find_queue(struct runtime *rt, uint32_t owner, const char *name, bool make,
                                 struct err *err)
{
    struct object *o = named_find(rt, owner, name);
    struct value *error = NULL;
    if (o && !object_is(o, IS_ANY_QUEUE)) {
        err_set(err, ERR_STATE, "\"%s\" is %s %s, no queue", name, object_article(o),
                object_verb(o));
        return NULL;
    }
    if (!o && make) {
        o = named_new(rt, owner, name, OBJECT_QUEUE, &error);
        if (!o)
            err_set(err, ERR_QUOTA, "%s", error_message(error));
        value_unref(error);
    } else if (!o) {
        err_set(err, ERR_NOT_FOUND, "there is no queue \"%s\"", name);
    }
    return o ? object_ref(o) : NULL;
}

struct visit *visit_begin(struct visitor *v, const struct visit_wish *wish,
                          void (*on_end)(void *arg, const struct visit_end *end,
                                         const struct err *err),
                          void *arg)
{
    struct err err;
    struct object *q = find_queue(v->rt, wish->owner, wish->name, wish->kind != VISIT_JOIN, &err);
    if (!q) {
        on_end(arg, NULL, &err);
        return NULL;
    }
    struct visit *x = xcalloc(1, sizeof *x);
    x->kind = wish->kind;
    x->visitor = v;
    x->queue = q;
    x->value = wish->value ? value_ref(wish->value) : NULL;
    x->on_end = on_end;
    x->arg = arg;
    LIST_INSERT_HEAD(&v->visits, x, of_visitor);
    if (visit_try(x, wish->nowait, false))
        return NULL;
    waiters_add(&q->waiters[list_of(x)], &x->waiter, NULL);
    return x;
}

/* ---- what is done at once ---- */

bool named_queue_shutdown(struct runtime *rt, uint32_t owner, const char *name, bool immediate,
                          struct err *err)
{
    struct object *q = find_queue(rt, owner, name, false, err);
    if (!q)
        return false;
    queue_shutdown(q, immediate);
    object_unref(q);
    return true;
}

static bool is_waited_for(const struct object *o)
{
    for (size_t i = 0; i < OBJECT_LISTS; i++)
        if (o->waiters[i].pending.first || o->waiters[i].settled.first)
            return true;
    return false;
}

bool named_object_remove(struct runtime *rt, uint32_t owner, const char *name, bool force,
                         struct err *err)
{
    struct object *o = named_find(rt, owner, name);
    const char *why = NULL;
    if (!o)
        return err_set(err, ERR_NOT_FOUND, "there is nothing with the name \"%s\"", name);
    if (o->named->lent.n > 0)
        why = "clients hold items of it";
    else if (o->items && o->items->n > 0)
        why = "there are items in it";
    else if (is_waited_for(o))
        why = "somebody waits for it";
    else if (o->named->first)
        why = "a job holds it";
    else if (o->refs > 1)
        why = "a job uses it";
    if (why && !force)
        return err_set(err, ERR_STATE, "%s \"%s\" is not removed without force: %s", object_verb(o),
                       name, why);
    named_remove(o);
    return true;
}

static enum named_kind kind_of(const struct object *o)
{
    return object_is(o, IS_ANY_QUEUE)       ? NAMED_QUEUE
           : object_is(o, IS_ANY_SEMAPHORE) ? NAMED_SEMAPHORE
           : object_is(o, IS_EVENT)         ? NAMED_EVENT
           : object_is(o, IS_BARRIER)       ? NAMED_BARRIER
                                            : NAMED_LOCK;
}

static void view_one(const struct object *o, struct named_view *v)
{
    *v = (struct named_view){
        .name = o->named->name,
        .type = object_verb(o),
        .owner = o->named->owner,
        .kind = kind_of(o),
        .limit = o->limit,
        .value = o->value,
        .flag = o->flag,
        .lent = o->named->lent.n,
    };
    for (const struct holding *h = o->named->first; h; h = h->next)
        v->holders++;
    v->holder = o->named->first ? o->named->first->job : 0;
    if (v->kind == NAMED_QUEUE) {
        v->size = queue_size(o);
        v->getters = o->waiters[LIST_GETTERS].n_pending;
        v->putters = o->waiters[LIST_PUTTERS].n_pending;
        v->joiners = o->waiters[LIST_JOINERS].n_pending;
    } else {
        v->waiters = o->waiters[LIST_LOCK].n_pending + o->waiters[LIST_NOTIFY].n_pending;
    }
}

void named_each(const struct runtime *rt, int64_t owner,
                void (*each)(void *arg, const struct named_view *v), void *arg)
{
    for (const struct object *o = rt->named.home.first; o; o = o->next) {
        struct named_view v;
        if (owner >= 0 && o->named->owner != (uint32_t)owner)
            continue;
        view_one(o, &v);
        each(arg, &v);
    }
}
