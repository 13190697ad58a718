/* job.explain: what waits for what, from a job down to the last cause. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/map.h"
#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/request.h"
#include "daemon/rpc/snapshot.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum {
    REASONS_MAX = 300, /* in all */
    DEPTH_MAX = 25,    /* two levels of JSON each */
    SIBLINGS_MAX = 10, /* of the causes of one */
    HOLDERS_MAX = 8,
};

struct explain {
    struct engine *engine;
    const struct peer *peer;
    struct json_out *out;
    struct map jobs; /* that were explained: id → itself */
    size_t left;     /* reasons that may still be given */
    size_t more;     /* that were left out */
    unsigned depth;
    bool needs_executor;
};

/* Writing. */

/* False: no more reasons are given. Else an object is open. */
static bool begin(struct explain *x, const char *kind)
{
    if (!x->left) {
        x->more++;
        return false;
    }
    x->left--;
    jout_begin_object(x->out);
    jout_key(x->out, "kind");
    jout_text(x->out, kind);
    return true;
}

static void end(struct explain *x)
{
    jout_end_object(x->out);
}

__attribute__((format(printf, 2, 3))) static void put_text(struct explain *x, const char *format,
                                                           ...)
{
    struct buf b = {0};
    va_list ap;
    va_start(ap, format);
    buf_vprintf(&b, format, ap);
    va_end(ap);
    jout_key(x->out, "text");
    jout_string(x->out, b.data, b.len);
    buf_release(&b);
}

static void simple(struct explain *x, const char *kind, const char *text)
{
    if (!begin(x, kind))
        return;
    put_text(x, "%s", text);
    end(x);
}

/* "3 h 12 min": for people. */
static void put_duration(struct buf *out, int64_t us)
{
    int64_t s = us > 0 ? us / 1000000 : 0;
    if (s >= 86400)
        buf_printf(out, "%" PRId64 " d %" PRId64 " h", s / 86400, s % 86400 / 3600);
    else if (s >= 3600)
        buf_printf(out, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else if (s >= 60)
        buf_printf(out, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else
        buf_printf(out, "%" PRId64 " s", s);
}

static void put_until(struct explain *x, const char *what, int64_t until_us)
{
    char time[RFC3339_SIZE];
    struct buf left = {0};
    rfc3339_format(time, until_us);
    put_duration(&left, until_us - clock_real_us());
    put_text(x, "%s until %.19sZ, %s from now", what, time, buf_cstr(&left));
    buf_release(&left);
    jout_key(x->out, "until");
    jout_time(x->out, until_us);
}

static void explain_job(struct explain *x, uint64_t id);

/* The job's reasons, if it has any more to say than its state. */
static void put_reasons_of_job(struct explain *x, uint64_t id)
{
    if (x->depth >= DEPTH_MAX || map_get(&x->jobs, id))
        return;
    map_put(&x->jobs, id, x);
    jout_key(x->out, "reasons");
    jout_begin_array(x->out);
    x->depth++;
    explain_job(x, id);
    x->depth--;
    jout_end_array(x->out);
}

static void explain_after(struct explain *x, const struct after *a)
{
    static const char *const ends[] = {
        [AFTER_OK] = "succeed", [AFTER_ANY] = "end", [AFTER_FAIL] = "end without success"};
    struct live_job other;
    bool is_live = engine_live_job(x->engine, a->job, &other);
    bool may = is_live && peer_may(x->peer, other.uid);
    if (!begin(x, "job"))
        return;
    jout_key(x->out, "job");
    jout_uint(x->out, a->job);
    put_text(x, "waits for job %" PRIu64 "%s%.100s%s to %s%s%s", a->job,
             may && other.name ? " (" : "", may && other.name ? other.name : "",
             may && other.name ? ")" : "", ends[a->kind], may ? ", which is " : "",
             may ? job_state_name(other.state) : "");
    if (may)
        put_reasons_of_job(x, a->job);
    end(x);
}

static void explain_gate(struct explain *x, const struct gate_view *g)
{
    struct engine_stats stats;
    size_t i;
    if (g->held)
        simple(x, "held", "is held until it is released");
    if (g->until_us && begin(x, "time")) {
        put_until(x, "waits", g->until_us);
        end(x);
    }
    for (i = 0; i < g->n_after && i < SIBLINGS_MAX; i++)
        explain_after(x, &g->after[i]);
    x->more += g->n_after - i;
    if (g->held || g->until_us || g->n_after)
        return;
    engine_get_stats(x->engine, &stats);
    if (stats.draining)
        simple(x, "draining", "the daemon is draining: it starts no jobs");
    else
        simple(x, "limit",
               "may start; so many tasks live that none is started now "
               "(max_live_tasks), or it is just about to");
}

/* Commands. */

struct holders {
    uint64_t jobs[HOLDERS_MAX];
    uint32_t tasks[HOLDERS_MAX];
    size_t n;
    bool more;
};

static bool on_holder(void *arg, uint64_t job, uint32_t task)
{
    struct holders *h = arg;
    if (h->n == HOLDERS_MAX) {
        h->more = true;
        return false;
    }
    h->jobs[h->n] = job;
    h->tasks[h->n++] = task;
    return true;
}

/* " by 14.3, 14.4 and 15.1" */
static void put_holders(const struct holders *h, struct buf *out)
{
    for (size_t i = 0; i < h->n; i++)
        buf_printf(out, "%s%" PRIu64 ".%u",
                   i == 0                      ? " by "
                   : i + 1 == h->n && !h->more ? " and "
                                               : ", ",
                   h->jobs[i], h->tasks[i]);
    if (h->more)
        buf_addstr(out, " and others");
}

static void explain_slot(struct explain *x, const struct leaf_view *l, size_t ahead)
{
    struct holders h = {0};
    struct buf text = {0};
    engine_each_holder(x->engine, l->pool, on_holder, &h);
    if (l->slots > 1)
        buf_printf(&text, "waits for %u slots", l->slots);
    else
        buf_addstr(&text, "waits for a slot");
    buf_printf(&text, " of pool %s: %u of %u taken", l->pool, l->pool_taken, l->pool_slots);
    put_holders(&h, &text);
    if (ahead)
        buf_printf(&text, ", %zu before it in line", ahead);
    else
        buf_addstr(&text, ", next in line");
    put_text(x, "%s", buf_cstr(&text));
    buf_release(&text);
    jout_key(x->out, "pool");
    jout_text(x->out, l->pool);
    jout_key(x->out, "position");
    jout_uint(x->out, ahead + 1);
    jout_key(x->out, "holders");
    jout_begin_array(x->out);
    for (size_t i = 0; i < h.n; i++)
        jout_printf(x->out, "%" PRIu64 ".%u", h.jobs[i], h.tasks[i]);
    jout_end_array(x->out);
    if (l->pool_paused) {
        jout_key(x->out, "reasons");
        jout_begin_array(x->out);
        if (begin(x, "pool_paused")) {
            put_text(x, "pool %s is paused: it gives no slots until it is resumed", l->pool);
            end(x);
        }
        jout_end_array(x->out);
    }
}

static void explain_command(struct explain *x, const struct leaf_view *l)
{
    struct buf since = {0}, pid = {0};
    put_duration(&since, l->launched_us ? clock_real_us() - l->launched_us : 0);
    if (l->pid)
        buf_printf(&pid, " as process %" PRId64, l->pid);
    put_text(x, "%s%s, for %s",
             l->http       ? "its request is under way"
             : l->stopping ? "its command is being ended, it ran"
                           : "its command runs",
             buf_cstr(&pid), buf_cstr(&since));
    jout_key(x->out, "attempt");
    jout_uint(x->out, l->attempt);
    if (l->pid) {
        jout_key(x->out, "pid");
        jout_int(x->out, l->pid);
    }
    buf_release(&since);
    buf_release(&pid);
}

/* Tasks. */

static void explain_task(struct explain *x, struct snapshot *s, size_t i);

static void put_reasons_of_tasks(struct explain *x, struct snapshot *s, const struct edge *edges,
                                 size_t n)
{
    size_t given = 0;
    if (x->depth >= DEPTH_MAX)
        return;
    jout_key(x->out, "reasons");
    jout_begin_array(x->out);
    x->depth++;
    for (size_t k = 0; k < n; k++) {
        size_t i = snapshot_find(s, edges[k].awaited);
        if (i == s->n || s->seen[i])
            continue;
        if (given++ < SIBLINGS_MAX) {
            explain_task(x, s, i);
        } else {
            s->seen[i] = true;
            x->more++;
        }
    }
    x->depth--;
    jout_end_array(x->out);
}

static void put_task(struct explain *x, const struct snapshot *s, const struct task_view *v)
{
    jout_key(x->out, "task");
    jout_printf(x->out, "%" PRIu64 ".%u", s->job, v->id);
    jout_key(x->out, "name");
    jout_text(x->out, v->name);
}

static const char *kind_of(const struct task_view *v, const struct leaf_view *l, size_t n_edges)
{
    return n_edges       ? "task"
           : v->until_us ? "timer"
           : v->leaf     ? (l->waiting ? "slot" : "command")
           : *v->awaits  ? "wait"
                         : "ready";
}

static void explain_task(struct explain *x, struct snapshot *s, size_t i)
{
    const struct task_view *v = &s->views[i];
    const struct leaf_view *l = &s->leaves[i];
    size_t n;
    const struct edge *edges = snapshot_edges(s, v->id, &n);
    s->seen[i] = true;
    if (!begin(x, kind_of(v, l, n)))
        return;
    put_task(x, s, v);
    if (n == 1) {
        put_text(x, "waits for task %" PRIu64 ".%u", s->job, edges[0].awaited);
        put_reasons_of_tasks(x, s, edges, n);
    } else if (n > 1) {
        put_text(x, "waits for %s", *v->awaits ? v->awaits : "several tasks");
        put_reasons_of_tasks(x, s, edges, n);
    } else if (v->until_us) {
        put_until(x, "sleeps", engine_wall_us(x->engine, v->until_us));
    } else if (v->leaf && l->waiting) {
        explain_slot(x, l, engine_leaf_ahead(v->leaf));
        x->needs_executor = true;
    } else if (v->leaf) {
        explain_command(x, l);
        x->needs_executor |= !l->http;
    } else if (*v->awaits) {
        put_text(x, "waits for %s", v->awaits);
    } else {
        put_text(x, "goes on at its next turn");
    }
    end(x);
}

static void explain_tasks(struct explain *x, uint64_t id)
{
    struct snapshot s;
    snapshot_take(&s, x->engine, id);
    /* Main first: it is what the job waits for. Then what else goes on in it. */
    for (size_t i = 0; i < s.n; i++) {
        if (!s.seen[i])
            explain_task(x, &s, i);
    }
    x->more += s.more;
    snapshot_release(&s);
}

static void explain_job(struct explain *x, uint64_t id)
{
    struct live_job job;
    struct gate_view gate;
    if (!engine_live_job(x->engine, id, &job))
        return;
    if (engine_gate(x->engine, id, &gate)) {
        explain_gate(x, &gate);
        free(gate.after);
        return;
    }
    if (job.state == JOB_STATE_PAUSED)
        simple(x, "paused",
               job.frozen ? "is paused, its commands are stopped, until it is resumed"
                          : "is paused: its commands get no slots until it is resumed");
    explain_tasks(x, id);
}

/* Troubles of the whole daemon. */
static void explain_daemon(struct explain *x)
{
    struct engine_stats stats;
    engine_get_stats(x->engine, &stats);
    if (!stats.storage_ok && begin(x, "storage")) {
        put_text(x, "nothing starts until the disk can be written again: %s", stats.trouble);
        end(x);
    }
    if (!stats.executor_up && x->needs_executor && begin(x, "executor")) {
        put_text(x, "the executor is not there: commands that run go on, none is started (%s)",
                 *stats.trouble ? stats.trouble : "it is being connected");
        end(x);
    }
}

static void write_head(struct json_out *o, uint64_t id, const char *name, enum job_state state)
{
    jout_begin_object(o);
    jout_key(o, "id");
    jout_uint(o, id);
    jout_key(o, "name");
    jout_text(o, name);
    jout_key(o, "state");
    jout_text(o, job_state_name(state));
    jout_key(o, "reasons");
    jout_begin_array(o);
}

static void write_tail(struct json_out *o, size_t more)
{
    jout_end_array(o);
    jout_key(o, "more");
    jout_uint(o, more);
    jout_end_object(o);
}

/* How it ended, and what it failed with unless that is long. */
static void explain_end(struct explain *x, const struct rows *job, enum job_state state)
{
    enum { MOST_BYTES = 500 };
    bool failed = state == JOB_STATE_FAILED || state == JOB_STATE_LOST;
    const char *text = failed ? cell_str(job, 0, JOB_ERROR) : NULL;
    json_t *error = text ? json_loads(text, 0, NULL) : NULL;
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *message = json_string_value(json_object_get(error, "message"));
    bool tells = message && *message && strlen(message) <= MOST_BYTES;
    if (begin(x, "ended")) {
        put_text(x, "has ended: %s%s%s%s%s", job_state_name(state), type ? ", " : "",
                 type ? type : "", tells ? ": " : "", tells ? message : "");
        end(x);
    }
    json_decref(error);
}

/* As the store has it: it has ended, or nothing newer can be said. */
static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    uint64_t id = *(const uint64_t *)r->state;
    const struct rows *job = &sets[0];
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)n;
    if (!request_may(r, job, id))
        return;
    enum job_state state = (enum job_state)cell_int(job, 0, JOB_STATE);
    struct explain x = {.engine = r->server->engine, .out = &o, .left = 1};
    write_head(&o, id, cell_str(job, 0, JOB_NAME), state);
    if (job_state_is_live(state)) {
        explain_daemon(&x);
    } else {
        explain_end(&x, job, state);
    }
    write_tail(&o, 0);
    request_result(r, &b);
}

static void read_job(struct request *r)
{
    struct batch q = {0};
    batch_add(&q, ST_JOB_BRIEF);
    batch_int(&q, *(const int64_t *)r->state);
    request_read(r, &q, on_rows);
    batch_release(&q);
}

void method_job_explain(struct request *r, const struct job_explain_params *p)
{
    struct engine *e = r->server->engine;
    struct live_job job;
    struct engine_stats stats;
    engine_get_stats(e, &stats);
    if (!stats.storage_ok || !engine_live_job(e, p->id, &job)) {
        r->state = xmemdup(&p->id, sizeof p->id);
        r->state_free = free;
        /* What memory holds can be shown once it is on disk: now that would take too long. */
        if (stats.storage_ok)
            request_after_commit(r, read_job);
        else
            read_job(r);
        return;
    }
    if (!peer_may(&r->peer, job.uid)) {
        request_no_job(r, p->id);
        return;
    }
    struct json_out o = {.out = &r->result};
    struct explain x = {.engine = e, .peer = &r->peer, .out = &o, .left = REASONS_MAX};
    write_head(&o, job.id, job.name, job.state);
    map_put(&x.jobs, job.id, &x);
    explain_job(&x, job.id);
    explain_daemon(&x);
    write_tail(&o, x.more);
    map_release(&x.jobs);
    request_result_after_commit(r);
}
