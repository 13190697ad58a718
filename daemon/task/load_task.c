/* Rows of tasks, read back and checked against each other. */
#include "daemon/task/keep.h"
#include "daemon/task/leaf.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

static bool text_load(struct job_loader *l, struct reader *r, char **ret)
{
    cleanup_value struct value *v = NULL;
    if (!value_load_opt(l, r, &v))
        return false;
    if (!v)
        return true;
    size_t len;
    const char *s = value_get_string(v, &len);
    if (value_type(v) != VALUE_STRING || memchr(s, 0, len))
        return load_fail(l, "a name");
    *ret = xstrndup(s, len);
    return true;
}

/* Its name and its title; it has them at most once. */
static bool texts_load(struct job_loader *l, struct reader *r, struct task *t)
{
    cleanup_free char *name = NULL, *title = NULL;
    if (!text_load(l, r, &name) || !text_load(l, r, &title))
        return false;
    if (name || title) {
        struct task_extra *x = task_make_extra(t);
        free(x->name);
        free(x->title);
        x->name = steal(&name);
        x->title = steal(&title);
    }
    return true;
}

struct task *load_shell(struct job_loader *l, const struct loaded_row *row)
{
    struct job *job = l->job;
    struct task *t = task_alloc(job, row->id, row->parent);
    t->created_us = row->created_us;
    t->collected = true;
    if (row->result) {
        t->finished_us = row->finished_us;
        t->outcome = OUTCOME_VALUE; /* until it is read */
        t->value = value_null();
        t->dirty = true; /* stays until all is loaded */
        return t;
    }
    t->refs = 1;
    job->live++;
    job->rt->live++;
    return t;
}

/* Whether an activation of that role stands for such a node (or for none: NULL). */
static bool role_takes(enum act_role role, const struct node *n)
{
    switch (role) {
    case ACT_FRAME:
        return !n;
    case ACT_CALL:
        return n && n->verb == &node_call.verb;
    case ACT_LIMIT:
        return true;
    case ACT_STAR:
        return n && n->verb == &node_try.verb;
    case ACT_NODE:
    case ACT_WAIT:
    case ACT_TIMEOUT:
        break;
    }
    return n != NULL;
}

static bool act_load(struct job_loader *l, struct reader *r, struct task *t)
{
    uint8_t tag = get_u8(r);
    const struct node *n;
    if (!node_load(l, r, &n))
        return false;
    const char *at = strchr(act_tags, tag);
    enum act_role role = tag && at ? (enum act_role)(at - act_tags) : ACT_NODE;
    uint8_t phase = get_u8(r);
    uint64_t count = get_varint(r);
    if (r->failed || !tag || !at || !role_takes(role, n) || count > UINT32_MAX)
        return load_fail(l, "an activation");
    struct act *a = task_push(t, role, n);
    if (!a)
        return load_fail(l, "a stack that is too deep");
    const struct node_kind *kind = act_kind(a);
    a->phase = phase;
    a->count = (uint32_t)count;
    /* When load() fails, release() gets what there is. */
    if (kind->load && !kind->load(t, a, l, r))
        return load_fail(l, "an activation");
    if (role == ACT_FRAME && !t->scope)
        return load_fail(l, "a frame");
    return true;
}

static bool stack_load(struct job_loader *l, struct reader *r, struct task *t)
{
    for (uint64_t n = get_varint(r); n > 0; n--)
        if (r->failed || !act_load(l, r, t))
            return load_fail(l, "a stack");
    return true;
}

static bool kept_load(struct job_loader *l, struct reader *r, struct task *t)
{
    for (uint64_t n = get_varint(r); n > 0; n--) {
        struct scope *s = r->failed ? NULL : scope_load(l, r);
        if (!s)
            return load_fail(l, "the variables of a coroutine that ended");
        task_put_kept(t, s);
    }
    return !r->failed || load_fail(l, "variables");
}

static bool callbacks_load(struct job_loader *l, struct reader *r, struct task *t)
{
    for (uint64_t n = get_varint(r); n > 0; n--) {
        struct callback c = {NULL, get_u8(r)};
        uint64_t id = c.type == CALLBACK_STOP ? 0 : get_varint(r);
        if (r->failed || id > UINT32_MAX)
            return load_fail(l, "a callback");
        if (c.type == CALLBACK_WAKE)
            c.object = load_task(l, (uint32_t)id);
        else if (c.type == CALLBACK_GATHER && id > 0 && id <= l->job->next_gather)
            c.object = load_gather(l, (uint32_t)id);
        else if (c.type == CALLBACK_WATCH && id > 0 && id <= l->job->next_gather)
            c.object = load_watch(l, (uint32_t)id);
        else if (c.type != CALLBACK_STOP || t->id != 1)
            return load_fail(l, "a callback");
        if (c.type == CALLBACK_WAKE && (!c.object || task_is_done(c.object)))
            return load_fail(l, "who awaits a task");
        callbacks_add(&t->callbacks, c);
    }
    return true;
}

static bool wait_load(struct job_loader *l, struct reader *r, struct task *t)
{
    uint8_t wait = get_u8(r);
    t->future = get_u8(r);
    uint64_t id = get_varint(r);
    t->ready = get_u8(r);
    t->ready_seq = get_varint(r);
    if (r->failed || wait > WAIT_GATHER || t->future > FUTURE_CANCELLED || id > UINT32_MAX ||
        t->ready > HANDLE_SELF || (wait != WAIT_NONE && t->op != OP_NONE))
        return load_fail(l, "what a task waits for");
    if (wait == WAIT_TASK) {
        struct task *target = load_task(l, (uint32_t)id);
        if (!target || target == t)
            return load_fail(l, "an awaited task");
        t->awaited = task_ref(target);
    } else if (wait == WAIT_GATHER) {
        if (id == 0 || id > l->job->next_gather)
            return load_fail(l, "a gather's number");
        t->gathered = load_gather(l, (uint32_t)id);
    }
    t->wait = wait;
    if (t->ready)
        load_handle(l, (struct handle){t->ready_seq, t, NULL, t->ready});
    return true;
}

static bool op_load(struct job_loader *l, struct reader *r, struct task *t)
{
    uint8_t op = get_u8(r);
    t->how = get_u8(r);
    const struct node *n;
    if (r->failed || op > OP_DELIVER || t->how > DONE_CONTINUE || !node_load(l, r, &n) ||
        !value_load_opt(l, r, &t->value))
        return load_fail(l, "a step");
    if (op == OP_START)
        t->op_node = n;
    if ((op == OP_DELIVER) != (t->value != NULL))
        return load_fail(l, "a step's value");
    t->op = op;
    return true;
}

static bool read_frame(struct job_loader *l, const struct loaded_row *row)
{
    struct reader r = READER(row->frame, row->frame_len);
    struct task *t = row->task;
    uint8_t version = get_u8(&r), done = get_u8(&r), flags = get_u8(&r);
    if (r.failed || version != ROW_VERSION || done > 1 || (done && !row->result))
        return load_fail(l, "a task's row");
    if (done) {
        t->unretrieved = t->unretrieved && flags != 0;
        return kept_load(l, &r, t) && (reader_done(&r) || load_fail(l, "a task's row"));
    }
    if (row->result) /* its end came later */
        return true;
    t->started = flags & 1;
    t->must_cancel = flags & 2;
    uint32_t cancels = (uint32_t)get_varint(&r);
    if (cancels)
        task_make_extra(t)->cancels = cancels;
    return node_load(l, &r, &t->root) && texts_load(l, &r, t) && op_load(l, &r, t) &&
           wait_load(l, &r, t) && callbacks_load(l, &r, t) && stack_load(l, &r, t) &&
           kept_load(l, &r, t) && (reader_done(&r) || load_fail(l, "a task's row"));
}

bool load_frame(struct job_loader *l, struct loaded_row *row)
{
    keeps_begin(l->job);
    bool ok = read_frame(l, row);
    keeps_end(l->job, row->id);
    return ok;
}

bool load_end_head(struct job_loader *l, struct reader *r, struct end_head *h)
{
    uint8_t version = get_u8(r);
    h->outcome = get_u8(r);
    h->unretrieved = get_u8(r) != 0;
    h->seq = get_varint(r);
    h->n = get_varint(r);
    h->callbacks = *r;
    if (r->failed || version != ROW_VERSION || h->outcome == OUTCOME_NONE ||
        h->outcome > OUTCOME_CANCELLED)
        return load_fail(l, "a task's end");
    for (uint64_t i = 0; i < h->n; i++) {
        struct callback_id c;
        if (!load_callback(r, &c))
            return load_fail(l, "a task's end");
    }
    return true;
}

bool load_callback(struct reader *r, struct callback_id *c)
{
    c->type = get_u8(r);
    c->id = c->type == CALLBACK_STOP ? 0 : get_varint(r);
    return !r->failed && c->type >= CALLBACK_WAKE && c->type <= CALLBACK_WATCH &&
           c->id <= UINT32_MAX;
}

bool load_end(struct job_loader *l, struct loaded_row *row)
{
    struct reader r = READER(row->result, row->result_len);
    struct task *t = row->task;
    struct end_head h;
    if (!load_end_head(l, &r, &h) || !node_load(l, &r, &t->root) || !texts_load(l, &r, t))
        return false;
    struct value *v = value_load(&r, load_resolve, l);
    if (!v || !reader_done(&r)) {
        value_unref(v);
        return load_fail(l, "a task's outcome");
    }
    value_unref(t->value);
    t->value = v;
    t->outcome = h.outcome;
    t->unretrieved = h.unretrieved;
    t->started = true;
    return h.outcome == OUTCOME_VALUE || value_type(v) == VALUE_OBJECT ||
           load_fail(l, "a task's error");
}

struct value *load_end_value(const char *result, size_t len)
{
    struct job_loader none = {0};
    struct reader r = READER(result, len);
    struct end_head h;
    cleanup_value struct value *name = NULL, *title = NULL;
    if (!load_end_head(&none, &r, &h) || h.outcome != OUTCOME_VALUE)
        return NULL;
    if (get_varint(&r) != 0) /* node_save() */
        get_u8(&r);
    if (!value_load_opt(&none, &r, &name) || !value_load_opt(&none, &r, &title))
        return NULL;
    return value_load(&r, NULL, NULL);
}

static bool check_leaf(struct job_loader *l, const struct task *t)
{
    const struct leaf_run *run = leaf_of(t);
    if (run && (t->wait != WAIT_OWN ||
                (run->leaf.state != LEAF_ENDED && (t->future != FUTURE_PENDING || t->ready))))
        return load_fail(l, "a task and its command");
    return true;
}

/* What on_event() and on_child() rely on. */
bool load_check(struct job_loader *l, const struct task *t)
{
    const struct act *top = task_top(t);
    for (const struct act *a = top ? act_below(top) : NULL; a; a = act_below(a))
        if (act_kind(a)->waiting && act_kind(a)->waiting(a))
            return load_fail(l, "an activation that waits below another");
    bool waits = top && act_kind(top)->waiting && act_kind(top)->waiting(top);
    bool good = false;
    switch ((enum wait_kind)t->wait) {
    case WAIT_NONE:
        good = t->op != OP_NONE && !waits && (t->ready == HANDLE_STEP || t == l->job->running);
        break;
    case WAIT_YIELD:
        good = t->op == OP_NONE && top && (t->ready == HANDLE_STEP || t->ready == HANDLE_SELF);
        break;
    case WAIT_OWN:
        good = t->op == OP_NONE && waits && (t->future != FUTURE_PENDING) == (t->ready != 0);
        break;
    case WAIT_TASK:
        good = t->op == OP_NONE && top && act_kind(top) == &node_await &&
               (t->ready != HANDLE_WAKE || task_is_done(t->awaited));
        break;
    case WAIT_GATHER:
        good = t->op == OP_NONE && top && act_kind(top) == &node_gather &&
               t->gathered->awaiter == t &&
               (t->ready != HANDLE_WAKE || t->gathered->state != GATHER_PENDING);
        break;
    }
    if (t == l->job->running && (t->ready || t->wait != WAIT_NONE))
        good = false;
    return (good || load_fail(l, "a task's state")) && check_leaf(l, t);
}
