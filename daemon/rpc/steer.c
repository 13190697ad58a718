/* job.cancel, job.pause, job.resume: all jobs are looked at before anything is done to one. */
#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* Does it to one job. False with err: it was not possible for that one. */
typedef bool steer_fn(struct engine *e, uint64_t id, struct err *err);

struct steer {
    steer_fn *act;
    uint64_t *ids;
    size_t n;
};

static void steer_free(void *state)
{
    struct steer *s = state;
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
        if (s->act(r->server->engine, s->ids[i], &why))
            done++;
        else if (!err.code)
            err = why;
    }
    if (done == 0)
        request_error(r, err.code, NULL, n == 1 ? "%s" : "none of them: %s", err.text);
    else
        request_after_commit(r, read_steered);
}

static void steer(struct request *r, const json_t *id, const json_t *ids, steer_fn *act)
{
    struct json_mistakes m = {0};
    if (!ids)
        ids = id;
    if (!ids) {
        json_mistakes_add(&m, "/ids", NULL, "is missing");
        request_mistakes(r, &m);
        return;
    }
    struct steer *s = xcalloc(1, sizeof *s);
    s->act = act;
    s->n = json_field_id_count(ids);
    s->ids = xcalloc(s->n, sizeof *s->ids);
    for (size_t i = 0; i < s->n; i++)
        s->ids[i] = json_field_id_at(ids, i);
    r->state = s;
    r->state_free = steer_free;
    read_jobs(r, on_rows);
}

static bool cancel(struct engine *e, uint64_t id, struct err *err)
{
    return engine_cancel(e, id) ||
           err_set(err, ERR_STATE, "job %llu has ended", (unsigned long long)id);
}

void method_job_cancel(struct request *r, const struct job_cancel_params *p)
{
    steer(r, p->id, p->ids, cancel);
}

static bool pause_starts(struct engine *e, uint64_t id, struct err *err)
{
    return engine_pause(e, id, false, err);
}

static bool freeze(struct engine *e, uint64_t id, struct err *err)
{
    return engine_pause(e, id, true, err);
}

void method_job_pause(struct request *r, const struct job_pause_params *p)
{
    steer(r, p->id, p->ids, p->freeze ? freeze : pause_starts);
}

void method_job_resume(struct request *r, const struct job_resume_params *p)
{
    steer(r, p->id, p->ids, engine_resume);
}
