/*
 * From a document to a job: check (large ones on the worker), key, row, first step.
 *
 * A key is looked up on disk before its job is accepted. Until that is decided and on disk, other
 * submissions with the same key wait in line, so two of them can never both find it unused.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum { WORKER_FROM_BYTES = 64 * 1024 };

struct submit {
    struct engine *engine;
    char *text;
    size_t len;
    uint32_t uid, gid;
    char *key, *cwd;
    struct value *env;
    int umask;
    unsigned char sha[SHA_BYTES];
    struct program *program; /* parsed here, not yet shared */
    struct mistakes errors, warnings;
    struct shared *shared;
    struct submitted result;
    struct origin *origin; /* of a job that is made again, or NULL */
    bool admin;
    enum job_state *ended; /* how those that it waits for have ended; JOB_STATE_COUNT: not known */
    uint64_t key_hash;
    struct submit *next_in_line; /* waits for the same key */
    void (*on_submitted)(void *arg, const struct submitted *r, const struct mistakes *errors,
                         const struct err *err);
    void (*on_checked)(void *arg, const struct mistakes *errors, const struct mistakes *warnings);
    void (*on_program)(void *arg, struct program *program, const struct mistakes *errors);
    void *arg;
};

static void submit_free(struct submit *s)
{
    free(s->text);
    free(s->key);
    free(s->cwd);
    free(s->ended);
    value_unref(s->env);
    program_unref(s->program);
    shared_unref(s->shared);
    origin_free(s->origin);
    mistakes_release(&s->errors);
    mistakes_release(&s->warnings);
    free(s);
}

void submission_drop(void *submit)
{
    submit_free(submit);
}

static void fail(struct submit *s, const struct err *err)
{
    s->on_submitted(s->arg, NULL, err->code == ERR_INVALID_JOB ? &s->errors : NULL, err);
    submit_free(s);
}

static void next_in_line(struct submit *s);

static void on_accepted(void *arg)
{
    struct submit *s = arg;
    s->on_submitted(s->arg, &s->result, NULL, NULL);
    next_in_line(s);
    submit_free(s);
}

static void store_program(struct engine *e, struct submit *s)
{
    if (s->shared->stored)
        return;
    batch_add(&e->open, ST_PROGRAM_ADD);
    batch_blob(&e->open, s->sha, SHA_BYTES);
    batch_blob(&e->open, s->text, s->len);
    s->shared->stored = true;
}

/* What job.set may have changed is as it was. */
static void take_origin(struct submit *s, struct live *job)
{
    struct origin *o = s->origin;
    job->retry_of = o->retry_of;
    job->pool = steal(&o->pool);
    job->name = steal(&o->name);
    job->labels = steal(&o->labels);
    job->priority = o->priority;
    job->cwd = steal(&s->cwd);
    job->umask = s->umask;
}

static void take_document(struct submit *s, struct live *job)
{
    const struct document *doc = program_document(s->shared->program);
    job->key = s->key ? xstrdup(s->key) : NULL;
    job->pool = doc->pool ? xstrdup(doc->pool) : NULL;
    job->name = doc->name ? xstrdup(doc->name) : NULL;
    job->labels = doc->labels ? value_ref(doc->labels) : NULL;
    job->priority = doc->priority;
    job->cwd = path_in(s->cwd, doc->cwd);
    job->umask = doc->umask >= 0 ? doc->umask : s->umask;
}

static void start(struct submit *s, const struct live *job)
{
    struct engine *e = s->engine;
    struct program *p = job->program->program;
    struct given *given = s->origin ? steal(&s->origin->given) : NULL;
    if (given)
        runtime_start_given(e->runtime, job->id, job->uid, p, engine_now_us(e), given);
    else
        runtime_start(e->runtime, job->id, job->uid, p, engine_now_us(e));
    if (s->origin) /* it may have been changed */
        runtime_set_priority(e->runtime, job->id, job->priority);
}

/* False: nothing keeps it from starting. */
static bool close_gate(struct submit *s, struct live *job)
{
    const struct document *doc = program_document(s->shared->program);
    struct engine *e = s->engine;
    struct gate_setting g = {.held = doc->hold, .after = doc->after, .ended = s->ended};
    if (doc->delay > 0)
        g.delay_until_us = engine_now_us(e) + (int64_t)(doc->delay * 1e6);
    if (doc->at_us > job->created_us)
        g.at_us = doc->at_us;
    if (!g.held && !g.delay_until_us && !g.at_us && !g.after.n)
        return false;
    gate_new(e, job, &g);
    return true;
}

static void accept(struct submit *s)
{
    struct engine *e = s->engine;
    struct live *job = xcalloc(1, sizeof *job);
    TAILQ_INIT(&job->dependents);
    job->id = e->next_job++;
    job->uid = s->uid;
    job->gid = s->gid;
    job->created_us = clock_real_us();
    uuid7(job->uuid, job->created_us);
    (s->origin ? take_origin : take_document)(s, job);
    job->environment = environment_get(e, s->env);
    store_program(e, s);
    job->program = s->shared;
    job->program->refs++;
    job->fresh = true;
    job->state = JOB_STATE_QUEUED;
    bool waits = !s->origin && close_gate(s, job);
    map_put(&e->jobs, job->id, job);
    job_mark_dirty(e, job);
    engine_emit(e, EVENT_JOB_CREATED, job, 0, (int)job->state, 0, job->name,
                job->name ? strlen(job->name) : 0);
    if (waits)
        gate_check(e, job);
    else
        start(s, job);

    s->result =
        (struct submitted){.id = job->id, .state = job->state, .warnings = &s->shared->warnings};
    memcpy(s->result.uuid, job->uuid, sizeof job->uuid);
    engine_after_commit(e, on_accepted, s);
}

/* The jobs it waits for. Those that are not live any more the store knows, once what has happened
 * so far is on disk; meanwhile others may end. */

static void look_at_others(struct submit *s);

static void refuse_other(struct submit *s, uint64_t id)
{
    struct err err;
    err_set(&err, ERR_NOT_FOUND, "/after: there is no job %llu", (unsigned long long)id);
    next_in_line(s);
    fail(s, &err);
}

static bool may_see(const struct submit *s, uint32_t uid)
{
    return s->admin || s->uid == uid;
}

static void on_other_rows(void *arg, const struct rows *sets, size_t n, const struct err *read_err)
{
    struct submit *s = arg;
    const struct after_list *after = &program_document(s->shared->program)->after;
    if (read_err) {
        struct err err;
        err_set(&err, ERR_STORAGE, "cannot look up the jobs it waits for: %s", read_err->text);
        next_in_line(s);
        fail(s, &err);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (s->ended[i] != JOB_STATE_COUNT || engine_job(s->engine, after->all[i].job))
            continue;
        if (!sets[i].n || !may_see(s, (uint32_t)cell_int(&sets[i], 0, 0))) {
            refuse_other(s, after->all[i].job);
            return;
        }
        s->ended[i] = (enum job_state)cell_int(&sets[i], 0, 1);
    }
    look_at_others(s);
}

static void read_others(void *arg)
{
    struct submit *s = arg;
    const struct after_list *after = &program_document(s->shared->program)->after;
    struct batch q = {0};
    struct err err;
    for (size_t i = 0; i < after->n; i++) {
        batch_add(&q, ST_JOB_HOW_ENDED);
        batch_int(&q, (int64_t)after->all[i].job);
    }
    bool ok = store_read(s->engine->store, &q, on_other_rows, s, &err);
    batch_release(&q);
    if (ok)
        return;
    err.code = ERR_OVERLOADED;
    next_in_line(s);
    fail(s, &err);
}

static void look_at_others(struct submit *s)
{
    const struct after_list *after = &program_document(s->shared->program)->after;
    bool all_known = true;
    if (!s->ended && after->n) {
        s->ended = xcalloc(after->n, sizeof *s->ended);
        for (size_t i = 0; i < after->n; i++)
            s->ended[i] = JOB_STATE_COUNT;
    }
    for (size_t i = 0; i < after->n; i++) {
        const struct live *other = engine_job(s->engine, after->all[i].job);
        if (other && !may_see(s, other->uid)) {
            refuse_other(s, other->id);
            return;
        }
        all_known &= other || s->ended[i] != JOB_STATE_COUNT;
    }
    if (all_known)
        accept(s);
    else
        engine_after_commit(s->engine, read_others, s);
}

/* Keys. */

static void on_key_rows(void *arg, const struct rows *sets, size_t n, const struct err *err);
static struct submit *leave_line(struct submit *s);

/* Of the first in line; whoever cannot be looked up makes room for the next. */
static void look_up_key(struct submit *s)
{
    while (s) {
        struct err err;
        struct batch q = {0};
        batch_add(&q, ST_JOB_BY_KEY);
        batch_int(&q, s->uid);
        batch_str(&q, s->key);
        bool ok = store_read(s->engine->store, &q, on_key_rows, s, &err);
        batch_release(&q);
        if (ok)
            return;
        err.code = ERR_OVERLOADED;
        struct submit *next = leave_line(s);
        fail(s, &err);
        s = next;
    }
}

/* Returns who is the first now. */
static struct submit *leave_line(struct submit *s)
{
    struct map *keys = &s->engine->keys;
    if (!s->key || map_get(keys, s->key_hash) != s)
        return NULL;
    map_remove(keys, s->key_hash);
    if (s->next_in_line)
        map_put(keys, s->key_hash, s->next_in_line);
    return s->next_in_line;
}

static void next_in_line(struct submit *s)
{
    look_up_key(leave_line(s));
}

static void on_key_rows(void *arg, const struct rows *sets, size_t n, const struct err *read_err)
{
    struct submit *s = arg;
    struct err err;
    if (read_err || n != 1) {
        err_set(&err, ERR_STORAGE, "cannot look up the key: %s",
                read_err ? read_err->text : "no answer");
        next_in_line(s);
        fail(s, &err);
        return;
    }
    if (!sets->n) {
        look_at_others(s);
        return;
    }
    const struct cell *sha = cell_at(sets, 0, 2), *uuid = cell_at(sets, 0, 3);
    if (sha->type != CELL_BLOB || sha->s.len != SHA_BYTES ||
        memcmp(sha->s.p, s->sha, SHA_BYTES) != 0) {
        err_set(&err, ERR_KEY, "key \"%s\" was used for another document, by job %lld", s->key,
                (long long)cell_int(sets, 0, 0));
        next_in_line(s);
        fail(s, &err);
        return;
    }
    s->result = (struct submitted){.id = (uint64_t)cell_int(sets, 0, 0),
                                   .state = (enum job_state)cell_int(sets, 0, 1),
                                   .existing = true};
    if (uuid->type == CELL_BLOB && uuid->s.len == sizeof s->result.uuid)
        memcpy(s->result.uuid, uuid->s.p, sizeof s->result.uuid);
    on_accepted(s);
}

static void submit_keyed(struct submit *s)
{
    struct buf b = {0};
    put_u32(&b, s->uid);
    buf_addstr(&b, s->key);
    s->key_hash = map_key(b.data, b.len);
    buf_release(&b);
    struct submit *first = map_get(&s->engine->keys, s->key_hash);
    if (!first) {
        map_put(&s->engine->keys, s->key_hash, s);
        look_up_key(s);
        return;
    }
    while (first->next_in_line)
        first = first->next_in_line;
    first->next_in_line = s;
}

/* Checking. */

static bool may_accept(struct submit *s, struct err *err)
{
    struct engine *e = s->engine;
    if (!s->shared)
        return err_set(err, ERR_INVALID_JOB, "the job has %zu mistake%s", s->errors.n,
                       s->errors.n == 1 ? "" : "s");
    const struct document *doc = program_document(s->shared->program);
    if (e->draining)
        return err_set(err, ERR_DRAINING, "the daemon is draining: it takes no new jobs");
    if (e->storage_trouble.code)
        return err_set(err, ERR_STORAGE, "no new jobs while the disk refuses: %.200s",
                       e->storage_trouble.text);
    if (!s->origin && doc->pool && !engine_has_pool(e, doc->pool))
        return err_set(err, ERR_PARAMS,
                       "/pool: there is no pool \"%.64s\" (coro pool set NAME SLOTS creates one)",
                       doc->pool);
    if (!s->key && doc->key && !s->origin)
        s->key = xstrdup(doc->key);
    size_t live = runtime_live_tasks(e->runtime), most = e->config->max_live_tasks;
    if (live >= most || e->jobs.n >= most) /* one that has not started has no task */
        return err_set(err, ERR_OVERLOADED, "%u tasks or jobs live already (max_live_tasks)",
                       e->config->max_live_tasks);
    if (s->key && (!*s->key || strlen(s->key) > 255))
        return err_set(err, ERR_PARAMS, "a key has 1 to 255 bytes");
    return true;
}

static void on_given(void *arg, const struct err *err)
{
    struct submit *s = arg;
    if (err)
        fail(s, err);
    else
        accept(s);
}

static void on_parsed(void *arg)
{
    struct submit *s = arg;
    struct engine *e = s->engine;
    struct err err;
    if (s->on_program) {
        s->on_program(s->arg, s->program, &s->errors);
        submit_free(s);
        return;
    }
    if (s->on_checked) {
        s->on_checked(s->arg, &s->errors, &s->warnings);
        submit_free(s);
        return;
    }
    if (s->program) {
        s->shared = shared_find(&e->programs, s->sha);
        if (!s->shared) {
            s->shared = shared_add(&e->programs, s->sha);
            s->shared->program = s->program;
            s->program = NULL;
            s->shared->warnings = s->warnings;
            s->warnings = (struct mistakes){0};
        }
    }
    if (!may_accept(s, &err))
        fail(s, &err);
    else if (s->origin && s->origin->failed)
        retry_read_given(e, s->origin, s->shared->program, on_given, s);
    else if (s->origin)
        accept(s);
    else if (s->key)
        submit_keyed(s);
    else
        look_at_others(s);
}

static void parse(void *arg)
{
    struct submit *s = arg;
    s->program = program_parse(s->text, s->len, s->engine->config->max_depth, runtime_kinds(),
                               &s->errors, &s->warnings);
}

static void run(struct submit *s)
{
    if (s->len >= WORKER_FROM_BYTES) {
        worker_run(s->engine->worker, parse, on_parsed, s);
        return;
    }
    parse(s);
    on_parsed(s);
}

void engine_submit(struct engine *e, const struct submission *in,
                   void (*on_done)(void *arg, const struct submitted *r,
                                   const struct mistakes *errors, const struct err *err),
                   void *arg)
{
    submission_again(e, in, NULL, on_done, arg);
}

void submission_again(struct engine *e, const struct submission *in, struct origin *origin,
                      void (*on_done)(void *arg, const struct submitted *r,
                                      const struct mistakes *errors, const struct err *err),
                      void *arg)
{
    struct submit *s = xcalloc(1, sizeof *s);
    *s = (struct submit){
        .engine = e,
        .text = xmemdup(in->text, in->len),
        .len = in->len,
        .uid = in->uid,
        .gid = in->gid,
        .admin = in->admin,
        .key = in->key ? xstrdup(in->key) : NULL,
        .cwd = in->cwd ? xstrdup(in->cwd) : NULL,
        .env = in->env ? value_ref(in->env) : NULL,
        .umask = in->umask < 0 ? 022 : in->umask,
        .origin = origin,
        .on_submitted = on_done,
        .arg = arg,
    };
    sha256(s->text, s->len, s->sha);
    s->shared = shared_find(&e->programs, s->sha);
    if (s->shared)
        on_parsed(s);
    else
        run(s);
}

void engine_check(struct engine *e, const char *text, size_t len,
                  void (*on_done)(void *arg, const struct mistakes *errors,
                                  const struct mistakes *warnings),
                  void *arg)
{
    struct submit *s = xcalloc(1, sizeof *s);
    *s = (struct submit){
        .engine = e, .text = xmemdup(text, len), .len = len, .on_checked = on_done, .arg = arg};
    run(s);
}

void submission_parse(struct engine *e, const char *text, size_t len,
                      void (*on_program)(void *arg, struct program *program,
                                         const struct mistakes *errors),
                      void *arg)
{
    struct submit *s = xcalloc(1, sizeof *s);
    *s = (struct submit){
        .engine = e, .text = xmemdup(text, len), .len = len, .on_program = on_program, .arg = arg};
    run(s);
}
