/* job.remove: all are looked at before any is removed. */
#include <stdlib.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/steer.h"
#include "proto/mem.h"

static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct job_ids *ids = r->state;
    struct json_out o = {.out = &r->result};
    if (!job_ids_may(r, ids, sets) || !job_ids_ended(r, ids, sets, ": cancel it first"))
        return;
    for (size_t i = 0; i < n; i++)
        engine_remove(r->server->engine, ids->all[i], (uint32_t)cell_int(&sets[i], 0, JOB_UID));
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jobs_write(r->server->engine, sets, n, &o);
    jout_end_object(&o);
    request_result_after_commit(r);
}

void method_job_remove(struct request *r, const struct job_remove_params *p)
{
    struct job_ids *ids = job_ids_new(r, p->id, p->ids);
    if (!ids)
        return;
    r->state = ids;
    r->state_free = free;
    job_ids_read(r, ids, on_rows);
}
