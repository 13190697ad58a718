/* Simulations: slices of them in turns of the loop, one after the other. */
#include <sys/queue.h>

#include "daemon/core/state.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum {
    SLICE_STEPS = 2000, /* a millisecond or two */
    SIMULATIONS_MAX = 16,
};

struct simulating {
    TAILQ_ENTRY(simulating) link;
    struct engine *engine;
    struct simulation *simulation; /* NULL: the document is being checked */
    bool trace;
    bool dropped;
    bool called; /* inside of engine_simulate() */
    void (*on_done)(void *arg, const struct simulation *s, const struct mistakes *errors,
                    const struct err *err);
    void *arg;
};

static void simulating_free(struct simulating *s)
{
    TAILQ_REMOVE(&s->engine->simulations, s, link);
    s->engine->n_simulations--;
    simulation_free(s->simulation);
    free(s);
}

static void on_parsed(void *arg, struct program *program, const struct mistakes *errors)
{
    struct simulating *s = arg;
    if (s->dropped) {
        simulating_free(s);
    } else if (!program) {
        struct err err;
        err_set(&err, ERR_INVALID_JOB, "the job has %zu mistake%s", errors->n,
                errors->n == 1 ? "" : "s");
        s->on_done(s->arg, NULL, errors, &err);
        if (s->called)
            s->dropped = true;
        else
            simulating_free(s);
    } else {
        s->simulation = simulation_new(program, s->trace);
    }
}

struct simulating *engine_simulate(struct engine *e, const char *text, size_t len, bool trace,
                                   void (*on_done)(void *arg, const struct simulation *s,
                                                   const struct mistakes *errors,
                                                   const struct err *err),
                                   void *arg)
{
    if (e->n_simulations >= SIMULATIONS_MAX) {
        struct err err;
        err_set(&err, ERR_OVERLOADED, "%d simulations are under way already", SIMULATIONS_MAX);
        on_done(arg, NULL, NULL, &err);
        return NULL;
    }
    struct simulating *s = xcalloc(1, sizeof *s);
    *s = (struct simulating){
        .engine = e, .trace = trace, .called = true, .on_done = on_done, .arg = arg};
    TAILQ_INSERT_TAIL(&e->simulations, s, link);
    e->n_simulations++;
    submission_parse(e, text, len, on_parsed, s);
    s->called = false;
    if (!s->dropped)
        return s;
    simulating_free(s);
    return NULL;
}

void engine_simulate_drop(struct simulating *s)
{
    if (s->simulation)
        simulating_free(s);
    else
        s->dropped = true; /* its check is under way on the worker */
}

bool simulations_turn(struct engine *e)
{
    struct simulating *s;
    TAILQ_FOREACH(s, &e->simulations, link)
    if (s->simulation)
        break;
    if (!s)
        return false;
    if (simulation_run(s->simulation, SLICE_STEPS)) { /* the next one's turn */
        TAILQ_REMOVE(&e->simulations, s, link);
        TAILQ_INSERT_TAIL(&e->simulations, s, link);
        return true;
    }
    s->on_done(s->arg, s->simulation, NULL, NULL);
    simulating_free(s);
    return true;
}

void simulations_free(struct engine *e)
{
    struct simulating *s;
    struct err err;
    err_set(&err, ERR_DRAINING, "the daemon ends");
    while ((s = TAILQ_FIRST(&e->simulations))) {
        if (!s->dropped)
            s->on_done(s->arg, NULL, NULL, &err);
        simulating_free(s);
    }
}
