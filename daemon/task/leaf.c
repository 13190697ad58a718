/* Commands: what a task does while one of its leaves waits for its slot and runs. */
#include "daemon/task/leaf_http.h"

#include <signal.h>

#include "daemon/task/lines.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

void leaf_run_release(struct leaf_run *run)
{
    leaf_spec_release(&run->leaf.spec);
    value_unref(run->result);
    value_unref(run->error);
}

static void run_free(struct leaf_run *run)
{
    leaf_run_release(run);
    free(run);
}

struct leaf_run *leaf_of(const struct task *t)
{
    const struct act *a = task_top(t);
    return a && act_kind(a)->leaf ? ((const struct leaf_act *)a)->run : NULL;
}

void leaf_want(struct leaf_run *run)
{
    struct job *job = run->job;
    run->leaf.seq = job->rt->leaf_seq++;
    run->leaf.state = LEAF_WANTED;
    job->sources++;
    job_touch(job);
    job->rt->effects->leaf_wanted(job->rt->arg, &run->leaf);
}

void leaf_run_begin(struct leaf_run *run, struct task *t, const struct leaf_spec *spec)
{
    run->leaf.job = t->job->id;
    run->leaf.task = t->id;
    run->job = t->job;
    run->task = t;
    if (!spec)
        return;
    run->leaf.spec = *spec;
    if (task_extra(t)->title)
        return;
    struct buf title = {0};
    leaf_spec_title(spec, 100, &title);
    task_make_extra(t)->title = buf_steal(&title);
}

void leaf_start(struct task *t, struct act *a)
{
    struct value *error = NULL;
    struct leaf_spec spec;
    if (!leaf_spec_eval(t, (const struct leaf_node *)(const void *)a->node, &spec, &error)) {
        task_raise(t, error);
        return;
    }
    struct leaf_run *run = xcalloc(1, sizeof *run);
    leaf_run_begin(run, t, &spec);
    ((struct leaf_act *)a)->run = run;
    task_suspend(t, WAIT_OWN, NULL);
    leaf_want(run);
}

static struct value *result_of(const struct leaf_outcome *o)
{
    bool exited = o->how == LEAF_EXITED;
    struct value_member m[6] = {
        {value_text("exit"), exited ? value_int(o->status) : value_null()},
        {value_text("signal"), exited ? value_null() : value_int(o->status)},
        {value_text("stdout"), value_from_bytes(o->out, o->out_len)},
        {value_text("stderr"), value_from_bytes(o->err, o->err_len)},
        {value_text("duration"), value_real(o->duration_s)},
    };
    size_t n = 5;
    if (o->truncated)
        m[n++] = (struct value_member){value_text("truncated"), value_bool(true)};
    struct value *v = value_object(m, n);
    return v ? v : value_null();
}

static struct value *command_error(const struct leaf_run *run, const struct leaf_outcome *o)
{
    struct buf text = {0}, name = {0};
    value_write_text(&name, value_item(run->leaf.spec.argv, 0));
    const char *command = buf_cstr(&name);
    if (o->how == LEAF_EXITED)
        buf_printf(&text, "command \"%s\" exited with status %d", command, o->status);
    else if (o->how == LEAF_SIGNALED && sigabbrev_np(o->status))
        buf_printf(&text, "command \"%s\" was killed by signal %d (SIG%s)", command, o->status,
                   sigabbrev_np(o->status));
    else if (o->how == LEAF_SIGNALED)
        buf_printf(&text, "command \"%s\" was killed by signal %d", command, o->status);
    else
        buf_printf(&text, "command \"%s\" could not start: %s", command, o->text ? o->text : "");
    bool exited = o->how != LEAF_SIGNALED;
    struct value_member m[] = {
        {value_text("exit"), exited ? value_int(o->status) : value_null()},
        {value_text("signal"), exited ? value_null() : value_int(o->status)},
    };
    cleanup_value struct value *data = value_object(m, ARRAY_LEN(m));
    struct value *error = error_make("CommandError", buf_cstr(&text), data, NULL);
    buf_release(&name);
    buf_release(&text);
    return error;
}

static void take_outcome(struct leaf_run *run, const struct leaf_outcome *o)
{
    if (run->leaf.spec.request)
        http_take_outcome(run, o);
    else if (o->how == LEAF_LOST)
        run->error = error_new("LostError", "%s", o->text ? o->text : "the command was lost");
    else if (o->how == LEAF_NOT_STARTED)
        run->error = command_error(run, o);
    else if (run->leaf.spec.check && (o->how == LEAF_SIGNALED || o->status != 0))
        run->error = command_error(run, o);
    else
        run->result = result_of(o);
}

void leaf_take_outcome(struct leaf_run *run, const struct leaf_outcome *o)
{
    struct job *job = run->job;
    struct value_account *others = value_account_use(job->values);
    job->values_before = job->values->bytes;
    take_outcome(run, o);
    if (run->result && job_refuse(job, &run->result))
        run->error = steal(&run->result);
    value_account_use(others);
}

/* Wanted again, as another leaf: the old one is gone for the scheduler. */
static void again(struct leaf_run *run)
{
    struct leaf_run *next = xmemdup(run, sizeof *run);
    run->leaf.spec = (struct leaf_spec){0};
    next->leaf.attempt = 0;
    next->leaf.user = NULL;
    struct act *a = task_top(run->task);
    if (a)
        ((struct leaf_act *)a)->run = next;
    run_free(run);
    leaf_want(next);
}

void runtime_leaf_prefer(struct leaf *leaf, int priority)
{
    leaf->spec.priority = priority;
    task_touch(container_of(leaf, struct leaf_run, leaf)->task);
}

void runtime_leaf_launched(struct runtime *rt, struct leaf *leaf, uint64_t attempt, int64_t now_us)
{
    struct leaf_run *run = container_of(leaf, struct leaf_run, leaf);
    leaf->attempt = attempt;
    if (!leaf->first_attempt)
        leaf->first_attempt = attempt;
    leaf->state = LEAF_LAUNCHED;
    map_put(&rt->attempts, attempt, leaf);
    task_touch(run->task);
    if (leaf->spec.lines)
        lines_launched(run);
    else
        timeout_launched(run->task, now_us);
    if (rt->effects->task_changed)
        rt->effects->task_changed(rt->arg, leaf->job, leaf->task, TASK_RUNNING);
}

void runtime_leaf_ended(struct runtime *rt, struct leaf *leaf, const struct leaf_outcome *outcome)
{
    struct leaf_run *run = container_of(leaf, struct leaf_run, leaf);
    struct job *job = run->job;
    if (leaf->spec.lines) {
        lines_ended(run, outcome);
        return;
    }
    map_remove(&rt->attempts, leaf->attempt);
    leaf->state = LEAF_ENDED;
    job->sources--;
    task_touch(run->task);
    bool may_repeat = leaf->spec.retry_lost || outcome->unsent;
    if (outcome->how == LEAF_LOST && may_repeat && !leaf->cancelled) {
        again(run);
        return;
    }
    if (!leaf->cancelled)
        leaf_take_outcome(run, outcome);
    run->done_seq = job_soon(job, HANDLE_LEAF, run->task, NULL);
}

void leaf_settle(struct task *t)
{
    struct leaf_run *run = leaf_of(t);
    if (!run)
        lines_settle(t);
    if (!run || !run->done_seq)
        return;
    run->done_seq = 0;
    task_touch(t);
    wait_settle(t, run->leaf.cancelled ? FUTURE_CANCELLED : FUTURE_DONE);
}

void leaf_on_event(struct task *t, struct act *a, enum completion how, struct value *v)
{
    struct leaf_run *run = ((struct leaf_act *)a)->run;
    if (how == DONE_RAISE) {
        task_done(t, how, v);
        return;
    }
    value_unref(v);
    if (run->error)
        task_raise(t, steal(&run->error));
    else
        task_done(t, DONE_NORMAL, run->result ? steal(&run->result) : value_null());
}

bool leaf_cancel(struct task *t, struct act *a)
{
    struct runtime *rt = t->job->rt;
    struct leaf_run *run = ((struct leaf_act *)a)->run;
    switch (run->leaf.state) {
    case LEAF_WANTED:
        run->leaf.cancelled = true;
        t->job->sources--;
        rt->effects->leaf_dropped(rt->arg, &run->leaf);
        run->leaf.state = LEAF_ENDED;
        return true;
    case LEAF_LAUNCHED: /* over when the command is */
        if (!run->leaf.cancelled) {
            run->leaf.cancelled = true;
            rt->effects->leaf_dropped(rt->arg, &run->leaf);
        }
        return false;
    case LEAF_ENDED:
        break;
    }
    return true;
}

bool leaf_waiting(const struct act *a)
{
    (void)a;
    return true;
}

void leaf_leave(struct leaf *leaf, struct job *job)
{
    if (job->killed && leaf->state != LEAF_ENDED)
        job->rt->effects->leaf_gone(job->rt->arg, leaf);
}

void leaf_release(struct task *t, struct act *a)
{
    struct leaf_run *run = steal(&((struct leaf_act *)a)->run);
    if (!run)
        return;
    if (run->leaf.state != LEAF_ENDED && run->job->sources > 0)
        run->job->sources--;
    leaf_leave(&run->leaf, run->job);
    if (run->leaf.state == LEAF_LAUNCHED)
        map_remove(&t->job->rt->attempts, run->leaf.attempt);
    run_free(run);
}

void leaf_awaits(const struct task *t, const struct act *a, struct buf *out)
{
    (void)t;
    leaf_spec_title(&((const struct leaf_act *)a)->run->leaf.spec, 120, out);
}

void leaf_run_save(const struct leaf_run *run, struct buf *out)
{
    put_u8(out, (uint8_t)run->leaf.state);
    put_u8(out, run->leaf.cancelled);
    put_varint(out, run->leaf.seq);
    put_varint(out, run->leaf.attempt);
    put_varint(out, run->leaf.first_attempt);
    put_varint(out, run->done_seq);
    value_save_opt(run->result, out);
    value_save_opt(run->error, out);
    leaf_spec_save(&run->leaf.spec, out);
}

void leaf_save(const struct task *t, const struct act *a, struct buf *out)
{
    (void)t;
    leaf_run_save(((const struct leaf_act *)a)->run, out);
}

bool leaf_run_load(struct leaf_run *run, struct job_loader *l, struct reader *r)
{
    uint8_t state = get_u8(r);
    run->leaf.cancelled = get_u8(r) != 0;
    run->leaf.seq = get_varint(r);
    run->leaf.attempt = get_varint(r);
    run->leaf.first_attempt = get_varint(r);
    run->done_seq = get_varint(r);
    if (r->failed || state > LEAF_ENDED || !value_load_opt(l, r, &run->result) ||
        !value_load_opt(l, r, &run->error) || !leaf_spec_load(&run->leaf.spec, l, r))
        return load_fail(l, "a command");
    if (run->error && value_type(run->error) != VALUE_OBJECT)
        return load_fail(l, "a command's error");
    if (state == LEAF_LAUNCHED && map_get(&l->rt->attempts, run->leaf.attempt))
        return load_fail(l, "an attempt that is there twice");
    run->leaf.state = (enum leaf_state)state;
    if (run->leaf.seq >= l->rt->leaf_seq)
        l->rt->leaf_seq = run->leaf.seq + 1;
    if (run->leaf.state == LEAF_LAUNCHED)
        map_put(&l->rt->attempts, run->leaf.attempt, &run->leaf);
    if (run->done_seq)
        load_handle(l, (struct handle){run->done_seq, run->task, NULL, HANDLE_LEAF});
    return true;
}

void leaf_loaded(struct leaf_run *run)
{
    const struct runtime *rt = run->job->rt;
    if (run->leaf.state == LEAF_WANTED)
        rt->effects->leaf_wanted(rt->arg, &run->leaf);
    else
        lines_loaded(run);
}

bool leaf_load(struct task *t, struct act *a, struct job_loader *l, struct reader *r)
{
    struct leaf_run *run = xcalloc(1, sizeof *run);
    leaf_run_begin(run, t, NULL);
    run->leaf.state = LEAF_ENDED;
    ((struct leaf_act *)a)->run = run;
    if (!leaf_run_load(run, l, r))
        return false;
    if (run->leaf.spec.lines || (run->done_seq && run->leaf.state != LEAF_ENDED))
        return load_fail(l, "a command's end");
    if (run->leaf.state != LEAF_ENDED)
        t->job->sources++;
    if (run->leaf.state == LEAF_WANTED)
        load_leaf(l, run);
    return true;
}
