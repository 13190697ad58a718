/* job.simulate */
#include "daemon/rpc/methods.h"
#include "proto/errors.h"

static void on_simulated(void *arg, const struct simulation *s, const struct mistakes *errors,
                         const struct err *err)
{
    struct request *r = arg;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    r->state = NULL; /* it is over: nothing to drop */
    r->only_for_client = false;
    r->state_free = NULL;
    if (errors) {
        request_refuse_document(r, errors);
        return;
    }
    if (err) {
        request_fail(r, err);
        return;
    }
    simulation_write(s, &o);
    request_result(r, &b);
}

static void drop(void *state)
{
    engine_simulate_drop(state);
}

void method_job_simulate(struct request *r, const struct job_simulate_params *p)
{
    struct simulating *s = engine_simulate(r->server->engine, r->document.p, r->document.len,
                                           p->trace, on_simulated, r);
    if (!s)
        return; /* answered */
    r->state = s;
    r->state_free = drop;
    r->only_for_client = true;
}
