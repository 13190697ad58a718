/* job.remove: all are looked at before any is removed. */
#include <stdlib.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

struct removal {
    size_t n;
    uint64_t ids[];
};

/* Whether the job may be removed; else the request is answered. */
static bool check_job(struct request *r, const struct rows *job, uint64_t id)
{
    struct live_job live;
    if (!job->n || !peer_may(&r->peer, (uint32_t)cell_int(job, 0, JOB_UID))) {
        request_error(r, ERR_NOT_FOUND, NULL, "there is no job %llu", (unsigned long long)id);
        return false;
    }
    if (job_row_is_live(job, 0) || engine_live_job(r->server->engine, id, &live)) {
        request_error(r, ERR_STATE, NULL, "job %llu has not ended: cancel it first",
                      (unsigned long long)id);
        return false;
    }
    return true;
}

static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct removal *x = r->state;
    struct json_out o = {.out = &r->result};
    for (size_t i = 0; i < n; i++)
        if (!check_job(r, &sets[i], x->ids[i]))
            return;
    for (size_t i = 0; i < n; i++)
        engine_remove(r->server->engine, x->ids[i], (uint32_t)cell_int(&sets[i], 0, JOB_UID));
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jobs_write(sets, n, &o);
    jout_end_object(&o);
    request_result_after_commit(r);
}

void method_job_remove(struct request *r, const struct job_remove_params *p)
{
    const json_t *ids = p->ids ? p->ids : p->id;
    struct json_mistakes m = {0};
    struct batch q = {0};
    if (!ids) {
        json_mistakes_add(&m, "/ids", NULL, "is missing");
        request_mistakes(r, &m);
        return;
    }
    size_t n = json_field_id_count(ids);
    struct removal *x = xcalloc(1, sizeof *x + n * sizeof *x->ids);
    x->n = n;
    for (size_t i = 0; i < n; i++) {
        x->ids[i] = json_field_id_at(ids, i);
        batch_add(&q, ST_JOB_BRIEF);
        batch_int(&q, (int64_t)x->ids[i]);
    }
    r->state = x;
    r->state_free = free;
    request_read(r, &q, on_rows);
    batch_release(&q);
}
