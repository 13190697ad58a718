/* job.submit, job.check, job.get, job.tree */
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/tasks.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* What job.get shows of a job's output, tasks and diagnostics; log.read and job.tree have more. */
enum { GET_LINES = 10000, GET_OUTPUT_BYTES = 1024 * 1024, GET_TASKS = 1000 };
/* Rows of attempts behind a tree. */
enum { TREE_ATTEMPTS = 20000 };
/* Requests that have taken what the runtime shows and wait for its commit: some MB each. */
enum { SHOWN_MAX = 100 };

void request_no_job(struct request *r, uint64_t id)
{
    request_error(r, ERR_NOT_FOUND, NULL, "there is no job %llu", (unsigned long long)id);
}

bool request_may(struct request *r, const struct rows *job, uint64_t id)
{
    if (job->n && peer_may(&r->peer, (uint32_t)cell_int(job, 0, JOB_UID)))
        return true;
    request_no_job(r, id);
    return false;
}

void request_refuse_document(struct request *r, const struct mistakes *errors)
{
    struct buf data = {0};
    struct json_out o = {.out = &data};
    const struct mistake *first = errors->n ? &errors->all[0] : NULL;
    mistakes_write(errors, &o);
    request_error(r, ERR_INVALID_JOB, &data, "invalid job: %s%s%s%s%s%s",
                  first ? first->pointer : "", first && *first->pointer ? ": " : "",
                  first ? first->message : "", first && first->hint ? " (" : "",
                  first && first->hint ? first->hint : "", first && first->hint ? ")" : "");
    buf_release(&data);
}

static void on_submitted(void *arg, const struct submitted *s, const struct mistakes *errors,
                         const struct err *err)
{
    struct request *r = arg;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    if (err && errors) {
        request_refuse_document(r, errors);
        return;
    }
    if (err) {
        request_fail(r, err);
        return;
    }
    jout_begin_object(&o);
    jout_key(&o, "id");
    jout_uint(&o, s->id);
    jout_key(&o, "uuid");
    uuid_write(s->uuid, sizeof s->uuid, &o);
    jout_key(&o, "state");
    jout_text(&o, job_state_name(s->state));
    jout_key(&o, "existing");
    jout_bool(&o, s->existing);
    if (s->warnings && s->warnings->n) {
        jout_key(&o, "warnings");
        mistakes_write(s->warnings, &o);
    }
    jout_end_object(&o);
    request_result(r, &b);
}

/* An environment: names have no '=' and are not empty, no NUL anywhere. */
static struct value *read_env(const json_t *env, struct json_mistakes *m)
{
    size_t n = 0;
    void *i;
    json_t *object = (json_t *)(uintptr_t)env; /* jansson's iterator has no const form */
    cleanup_free struct value_member *members = xcalloc(json_object_size(env) + 1, sizeof *members);
    for (i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *v = json_object_iter_value(i);
        if (!*key || strchr(key, '='))
            json_mistakes_add(m, "/env", NULL, "\"%s\" is no name of a variable", key);
        members[n].key = value_text(key);
        members[n++].value = value_string(json_string_value(v), json_string_length(v));
    }
    return value_object(members, n);
}

void method_job_submit(struct request *r, const struct job_submit_params *p)
{
    struct json_mistakes m = {0};
    cleanup_value struct value *env = p->env ? read_env(p->env, &m) : NULL;
    if (p->env && !env)
        json_mistakes_add(&m, "/env", NULL, "is too large");
    if (p->cwd && *p->cwd != '/')
        json_mistakes_add(&m, "/cwd", NULL, "must be an absolute path");
    if (m.n) {
        request_mistakes(r, &m);
        return;
    }
    struct submission s = {
        .uid = r->peer.uid,
        .gid = r->peer.gid,
        .admin = r->peer.admin,
        .text = r->document.p,
        .len = r->document.len,
        .key = p->key,
        .cwd = p->cwd,
        .env = env,
        .umask = (int)p->umask,
    };
    request_committing(r);
    engine_submit(r->server->engine, &s, on_submitted, r);
}

static void on_checked(void *arg, const struct mistakes *errors, const struct mistakes *warnings)
{
    struct request *r = arg;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    if (errors && errors->n) {
        request_refuse_document(r, errors);
        return;
    }
    jout_begin_object(&o);
    jout_key(&o, "warnings");
    mistakes_write(warnings, &o);
    jout_end_object(&o);
    request_result(r, &b);
}

void method_job_check(struct request *r, const struct job_check_params *p)
{
    (void)p;
    engine_check(r->server->engine, r->document.p, r->document.len, on_checked, r);
}

/* One job of the store, with its tasks: job.get and job.tree. */

static void add_id(struct batch *q, enum statement s, uint64_t id)
{
    batch_add(q, s);
    batch_int(q, (int64_t)id);
}

static void write_output(const struct rows *lines, int64_t kind, const char *key,
                         struct json_out *o)
{
    jout_key(o, key);
    jout_begin_array(o);
    for (size_t i = 0; i < lines->n; i++) {
        const struct cell *text = cell_at(lines, i, 3);
        if (cell_int(lines, i, 1) == kind)
            jout_string(o, text->s.p, text->s.len);
    }
    jout_end_array(o);
}

/* {count, running, succeeded, lost, cpu, max_rss} of the commands of a job. */
static void write_attempt_counts(const struct rows *r, struct json_out *o)
{
    static const char *const names[] = {"count", "running", "succeeded", "lost"};
    jout_begin_object(o);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct cell *c = cell_at(r, 0, i);
        jout_key(o, names[i]);
        jout_int(o, c->type == CELL_REAL ? (int64_t)c->d : cell_int(r, 0, i));
    }
    const struct cell *cpu = cell_at(r, 0, 4);
    jout_key(o, "cpu");
    jout_real(o, (cpu->type == CELL_REAL ? cpu->d : 0) / 1e6);
    jout_key(o, "max_rss");
    jout_int(o, cell_int(r, 0, 5));
    jout_end_object(o);
}

enum { SET_JOB, SET_TASKS, SET_MORE = SET_TASKS + TASKS_SETS, SET_LINES, SET_ATTEMPTS };

static void write_more(const struct rows *more, const struct rows *lines, struct json_out *o)
{
    const struct cell *cwd = cell_at(more, 0, 2);
    const char *value = cell_str(more, 0, 4);
    size_t bytes = 0;
    for (size_t i = 0; i < lines->n; i++)
        bytes += cell_at(lines, i, 3)->s.len;
    jout_key(o, "gid");
    jout_int(o, cell_int(more, 0, 0));
    jout_key(o, "key");
    jout_text(o, cell_str(more, 0, 1));
    jout_key(o, "cwd");
    if (cwd->type == CELL_TEXT || cwd->type == CELL_BLOB)
        jout_string(o, cwd->s.p, cwd->s.len);
    else
        jout_null(o);
    jout_key(o, "umask");
    jout_int(o, cell_int(more, 0, 3));
    jout_key(o, "value");
    if (value)
        jout_raw(o, value, strlen(value));
    else
        jout_null(o);
    jout_key(o, "retry_of");
    if (cell_int(more, 0, 6))
        jout_int(o, cell_int(more, 0, 6));
    else
        jout_null(o);
    write_output(lines, 0, "output", o);
    jout_key(o, "output_truncated");
    jout_bool(o, lines->n >= GET_LINES || bytes >= GET_OUTPUT_BYTES);
    write_output(lines, 1, "diagnostics", o);
}

/* What the runtime knows of the job waits for the disk: it is read when that is there. */
static void read_committed(struct request *r, void (*then)(struct request *r))
{
    struct tasks *t = r->state;
    t->is_committed = true;
    request_after_commit(r, then);
}

/* Not in memory any more, its end is on its way to the disk. */
static bool is_ending(const struct tasks *t, const struct rows *job)
{
    return !t->is_committed && job->n && job_row_is_live(job, 0);
}

static void read_get(struct request *r);
static void read_tree(struct request *r);

static void on_get_rows(struct request *r, const struct rows *sets, size_t n)
{
    struct tasks *t = r->state;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)n;
    if (is_ending(t, &sets[SET_JOB])) {
        read_committed(r, read_get);
        return;
    }
    if (!request_may(r, &sets[SET_JOB], t->job))
        return;
    tasks_build(t, &sets[SET_TASKS]);
    jout_begin_object(&o);
    job_write(r->server->engine, &sets[SET_JOB], 0, cell_str(&sets[SET_MORE], 0, 5), &o);
    write_more(&sets[SET_MORE], &sets[SET_LINES], &o);
    jout_key(&o, "tasks");
    tasks_write_list(t, &o);
    jout_key(&o, "tasks_truncated");
    jout_bool(&o, t->more > 0);
    jout_key(&o, "task_counts");
    tasks_write_counts(t, &sets[SET_TASKS], &o);
    jout_key(&o, "attempts");
    write_attempt_counts(&sets[SET_ATTEMPTS], &o);
    jout_end_object(&o);
    request_result(r, &b);
}

static void read_get(struct request *r)
{
    const struct tasks *t = r->state;
    struct batch q = {0};
    add_id(&q, ST_JOB_BRIEF, t->job);
    tasks_query(t, &q);
    add_id(&q, ST_JOB_MORE, t->job);
    add_id(&q, ST_JOB_OUTPUT, t->job);
    batch_int(&q, 0);
    batch_int(&q, GET_LINES);
    batch_int(&q, GET_OUTPUT_BYTES);
    add_id(&q, ST_JOB_ATTEMPT_COUNTS, t->job);
    request_read(r, &q, on_get_rows);
    batch_release(&q);
}

/* Takes what the runtime shows of a live job; reading goes on when that is on disk. */
static void show_job(struct request *r, uint64_t id, size_t max_tasks,
                     void (*then)(struct request *r))
{
    struct live_job live;
    bool is_live = engine_live_job(r->server->engine, id, &live);
    if (is_live && !peer_may(&r->peer, live.uid)) {
        request_no_job(r, id);
        return;
    }
    if (r->server->n_shown >= SHOWN_MAX) {
        struct err err;
        err_set(&err, ERR_OVERLOADED, "too many such requests wait for the disk");
        request_fail(r, &err);
        return;
    }
    r->state = tasks_new(r->server->engine, id, max_tasks, &r->server->n_shown);
    r->state_free = tasks_free;
    if (is_live)
        read_committed(r, then);
    else
        then(r);
}

void method_job_get(struct request *r, const struct job_get_params *p)
{
    show_job(r, p->id, GET_TASKS, read_get);
}

static void on_tree_rows(struct request *r, const struct rows *sets, size_t n)
{
    struct tasks *t = r->state;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    const struct rows *job = &sets[SET_JOB], *attempts = &sets[SET_MORE];
    (void)n;
    if (is_ending(t, job)) {
        read_committed(r, read_tree);
        return;
    }
    if (!request_may(r, job, t->job))
        return;
    tasks_build(t, &sets[SET_TASKS]);
    tasks_add_attempts(t, attempts);
    jout_begin_object(&o);
    job_write(r->server->engine, job, 0, NULL, &o);
    jout_key(&o, "tasks");
    tasks_write_tree(t, attempts, &o);
    jout_key(&o, "more");
    jout_uint(&o, t->more);
    jout_end_object(&o);
    request_result(r, &b);
}

static void read_tree(struct request *r)
{
    const struct tasks *t = r->state;
    struct batch q = {0};
    add_id(&q, ST_JOB_BRIEF, t->job);
    tasks_query(t, &q);
    add_id(&q, ST_JOB_ATTEMPTS, t->job);
    batch_int(&q, 0);
    batch_int(&q, TREE_ATTEMPTS);
    request_read(r, &q, on_tree_rows);
    batch_release(&q);
}

void method_job_tree(struct request *r, const struct job_tree_params *p)
{
    show_job(r, p->id, TASKS_MAX, read_tree);
}
