/* job.cancel, job.kill, job.pause, job.resume, job.hold, job.release. */
#include "daemon/rpc/steer.h"

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

struct steer {
    steer_fn *act;
    void *arg;
    void (*arg_free)(void *arg);
    uint64_t *ids;
    size_t n;
};

static void steer_free(void *state)
{
    struct steer *s = state;
    if (s->arg_free)
        s->arg_free(s->arg);
    free(s->ids);
    free(s);
}

static void read_jobs(struct request *r,
                      void (*then)(struct request *, const struct rows *, size_t))
{
    const struct steer *s = r->state;
    struct batch q = {0};
    for (size_t i = 0; i < s->n; i++) {
        batch_add(&q, ST_JOB_BRIEF);
        batch_int(&q, (int64_t)s->ids[i]);
    }
    request_read(r, &q, then);
    batch_release(&q);
}

static void on_steered_rows(struct request *r, const struct rows *sets, size_t n)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jobs_write(sets, n, &o);
    jout_end_object(&o);
    request_result(r, &b);
}

static void read_steered(struct request *r)
{
    read_jobs(r, on_steered_rows);
}

/* An error only when it was possible for none of them: the reply says in which state each is. */
static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct steer *s = r->state;
    struct err err = {0}, why;
    size_t done = 0;
    for (size_t i = 0; i < n; i++) {
        if (!sets[i].n || !peer_may(&r->peer, (uint32_t)cell_int(&sets[i], 0, JOB_UID))) {
            request_no_job(r, s->ids[i]);
            return;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (s->act(r->server->engine, s->ids[i], s->arg, &why))
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
    struct json_mistakes m = {0};
    if (!ids)
        ids = id;
    if (!ids) {
        if (arg_free)
            arg_free(arg);
        json_mistakes_add(&m, "/ids", NULL, "is missing");
        request_mistakes(r, &m);
        return;
    }
    struct steer *s = xcalloc(1, sizeof *s);
    s->act = act;
    s->arg = arg;
    s->arg_free = arg_free;
    s->n = json_field_id_count(ids);
    s->ids = xcalloc(s->n, sizeof *s->ids);
    for (size_t i = 0; i < s->n; i++)
        s->ids[i] = json_field_id_at(ids, i);
    r->state = s;
    r->state_free = steer_free;
    read_jobs(r, on_rows);
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
