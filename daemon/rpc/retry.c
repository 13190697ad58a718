/* job.retry: all jobs are looked at before one is made again; then one after the other. */
#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

struct retry {
    bool failed;
    uint64_t *ids;
    size_t n, done;
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
    engine_retry(r->server->engine, t->ids[t->done], t->failed, on_made, r);
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
    jout_uint(&o, t->ids[t->done]);
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
    if (++t->done < t->n) {
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
    for (size_t i = 0; i < n; i++) {
        if (!sets[i].n || !peer_may(&r->peer, (uint32_t)cell_int(&sets[i], 0, JOB_UID))) {
            request_no_job(r, t->ids[i]);
            return;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (job_row_is_live(&sets[i], 0)) {
            request_error(r, ERR_STATE, NULL, "job %llu has not ended",
                          (unsigned long long)t->ids[i]);
            return;
        }
    }
    make_next(r);
}

void method_job_retry(struct request *r, const struct job_retry_params *p)
{
    const json_t *ids = p->ids ? p->ids : p->id;
    struct json_mistakes m = {0};
    if (!ids) {
        json_mistakes_add(&m, "/ids", NULL, "is missing");
        request_mistakes(r, &m);
        return;
    }
    struct retry *t = xcalloc(1, sizeof *t);
    struct batch q = {0};
    t->failed = p->failed;
    t->n = json_field_id_count(ids);
    t->ids = xcalloc(t->n, sizeof *t->ids);
    for (size_t i = 0; i < t->n; i++) {
        t->ids[i] = json_field_id_at(ids, i);
        batch_add(&q, ST_JOB_BRIEF);
        batch_int(&q, (int64_t)t->ids[i]);
    }
    r->state = t;
    r->state_free = retry_free;
    request_read(r, &q, on_rows);
    batch_release(&q);
}
