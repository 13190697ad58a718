/* job.cancel, job.kill, job.pause, job.resume, job.hold, job.release. */
#include "daemon/rpc/steer.h"

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* Each counts once; there are at most a thousand. */
static bool has_id(const struct job_ids *ids, uint64_t id)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (ids->all[i] == id)
            return true;
    }
    return false;
}

struct job_ids *job_ids_new(struct request *r, const json_t *id, const json_t *ids)
{
    struct json_mistakes m = {0};
    if (!ids)
        ids = id;
    if (!ids) {
        json_mistakes_add(&m, "/ids", NULL, "is missing");
        request_mistakes(r, &m);
        return NULL;
    }
    size_t n = json_field_id_count(ids);
    struct job_ids *new = xcalloc(1, sizeof *new + n * sizeof *new->all);
    for (size_t i = 0; i < n; i++) {
        uint64_t one = json_field_id_at(ids, i);
        if (!has_id(new, one))
            new->all[new->n++] = one;
    }
    return new;
}

void job_ids_read(struct request *r, const struct job_ids *ids,
                  void (*then)(struct request *r, const struct rows *sets, size_t n))
{
    struct batch q = {0};
    for (size_t i = 0; i < ids->n; i++) {
        batch_add(&q, ST_JOB_BRIEF);
        batch_int(&q, (int64_t)ids->all[i]);
    }
    request_read(r, &q, then);
    batch_release(&q);
}

bool job_ids_may(struct request *r, const struct job_ids *ids, const struct rows *sets)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (!request_may(r, &sets[i], ids->all[i]))
            return false;
    }
    return true;
}

bool job_ids_ended(struct request *r, const struct job_ids *ids, const struct rows *sets,
                   const char *hint)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (job_row_is_live(&sets[i], 0)) {
            request_error(r, ERR_STATE, NULL, "job %llu has not ended%s",
                          (unsigned long long)ids->all[i], hint);
            return false;
        }
    }
    return true;
}

struct steer {
    steer_fn *act;
    void *arg;
    void (*arg_free)(void *arg);
    struct job_ids *ids;
};

static void steer_free(void *state)
{
    struct steer *s = state;
    if (s->arg_free)
        s->arg_free(s->arg);
    free(s->ids);
    free(s);
}

static void on_steered_rows(struct request *r, const struct rows *sets, size_t n)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jobs_write(r->server->engine, sets, n, &o);
    jout_end_object(&o);
    request_result(r, &b);
}

static void read_steered(struct request *r)
{
    const struct steer *s = r->state;
    job_ids_read(r, s->ids, on_steered_rows);
}

/* An error only when it was possible for none of them: the reply says in which state each is. */
static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct steer *s = r->state;
    struct err err = {0}, why;
    size_t done = 0;
    if (!job_ids_may(r, s->ids, sets))
        return;
    for (size_t i = 0; i < n; i++) {
        if (s->act(r->server->engine, s->ids->all[i], s->arg, &why))
            done++;
        else if (!err.code)
            err = why;
    }
    if (done == 0)
        request_error(r, err.code, NULL, n == 1 ? "%s" : "none of them: %s", err.text);
    else
        request_after_commit(r, read_steered);
}

void steer_with(struct request *r, const json_t *id, const json_t *ids, steer_fn *act, void *arg,
                void (*arg_free)(void *arg))
{
    struct job_ids *jobs = job_ids_new(r, id, ids);
    if (!jobs) {
        if (arg_free)
            arg_free(arg);
        return;
    }
    struct steer *s = xcalloc(1, sizeof *s);
    *s = (struct steer){act, arg, arg_free, jobs};
    r->state = s;
    r->state_free = steer_free;
    job_ids_read(r, jobs, on_rows);
}

static void steer(struct request *r, const json_t *id, const json_t *ids, steer_fn *act)
{
    steer_with(r, id, ids, act, NULL, NULL);
}

static bool cancel(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_cancel(e, id) ||
           err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
}

void method_job_cancel(struct request *r, const struct job_cancel_params *p)
{
    steer(r, p->id, p->ids, cancel);
}

static bool kill_job(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_kill(e, id) ||
           err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
}

void method_job_kill(struct request *r, const struct job_kill_params *p)
{
    steer(r, p->id, p->ids, kill_job);
}

static bool pause_starts(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_pause(e, id, false, err);
}

static bool freeze(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_pause(e, id, true, err);
}

void method_job_pause(struct request *r, const struct job_pause_params *p)
{
    steer(r, p->id, p->ids, p->freeze ? freeze : pause_starts);
}

static bool resume(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_resume(e, id, err);
}

void method_job_resume(struct request *r, const struct job_resume_params *p)
{
    steer(r, p->id, p->ids, resume);
}

static bool hold(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_hold(e, id, err);
}

void method_job_hold(struct request *r, const struct job_hold_params *p)
{
    steer(r, p->id, p->ids, hold);
}

static bool release(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    (void)arg;
    return engine_release(e, id, err);
}

void method_job_release(struct request *r, const struct job_release_params *p)
{
    steer(r, p->id, p->ids, release);
}
