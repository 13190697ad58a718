/* job.retry: all jobs are looked at before one is made again; then one after the other. */
#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/steer.h"
#include "proto/mem.h"

struct retry {
    bool failed;
    struct job_ids *ids;
    size_t done;
    struct buf made; /* the ids of the new jobs, for an error */
    struct buf rows; /* of the answer */
};

static void retry_free(void *state)
{
    struct retry *t = state;
    free(t->ids);
    buf_release(&t->made);
    buf_release(&t->rows);
    free(t);
}

static void on_made(void *arg, const struct submitted *s, const struct mistakes *errors,
                    const struct err *err);

static void make_next(struct request *r)
{
    struct retry *t = r->state;
    engine_retry(r->server->engine, t->ids->all[t->done], t->failed, on_made, r);
}

static void add_row(struct retry *t, const struct submitted *s)
{
    struct json_out o = {.out = &t->rows};
    if (t->rows.len)
        buf_addch(&t->rows, ',');
    jout_begin_object(&o);
    jout_key(&o, "id");
    jout_uint(&o, s->id);
    jout_key(&o, "retry_of");
    jout_uint(&o, t->ids->all[t->done]);
    jout_key(&o, "state");
    jout_text(&o, job_state_name(s->state));
    jout_end_object(&o);
    buf_printf(&t->made, "%s%llu", t->made.len ? ", " : "", (unsigned long long)s->id);
}

static void on_made(void *arg, const struct submitted *s, const struct mistakes *errors,
                    const struct err *err)
{
    struct request *r = arg;
    struct retry *t = r->state;
    (void)errors; /* its document was accepted before */
    if (err) {
        request_error(r, err->code, NULL, "%s%s%s", err->text,
                      t->made.len ? "; made before that: " : "",
                      t->made.len ? buf_cstr(&t->made) : "");
        return;
    }
    add_row(t, s);
    if (++t->done < t->ids->n) {
        make_next(r);
        return;
    }
    struct buf b = {0};
    buf_printf(&b, "{\"jobs\":[%s]}", buf_cstr(&t->rows));
    request_result(r, &b);
}

static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct retry *t = r->state;
    (void)n;
    if (job_ids_may(r, t->ids, sets) && job_ids_ended(r, t->ids, sets, ""))
        make_next(r);
}

void method_job_retry(struct request *r, const struct job_retry_params *p)
{
    struct job_ids *ids = job_ids_new(r, p->id, p->ids);
    if (!ids)
        return;
    struct retry *t = xcalloc(1, sizeof *t);
    t->failed = p->failed;
    t->ids = ids;
    r->state = t;
    r->state_free = retry_free;
    job_ids_read(r, ids, on_rows);
}
