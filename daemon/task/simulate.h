#ifndef COROD_TASK_SIMULATE_H
#define COROD_TASK_SIMULATE_H
/*
 * A job on virtual time in a runtime of its own: nothing is started, nothing is stored. Commands
 * are pretended (pretend.h). It is bounded: in steps, in tasks and in what it holds.
 */
#include <stdbool.h>

#include "daemon/lang/program.h"
#include "proto/json_out.h"

enum {
    SIMULATION_MAX_STEPS = 10000000,
    SIMULATION_MAX_TASKS = 200000, /* in all */
    SIMULATION_MAX_BYTES = 64 * 1024 * 1024,
    SIMULATION_MAX_LINES = 10000,             /* of output that are shown */
    SIMULATION_MAX_SHOWN_BYTES = 1024 * 1024, /* of output; of trace */
    SIMULATION_MAX_TIMELINE = 10000,          /* tasks that are shown */
};

struct simulation;

/* Takes a reference to the program, which is this thread's. */
struct simulation *simulation_new(struct program *program, bool trace);
void simulation_free(struct simulation *s);
/* Makes about so many steps. False: it is over, or was stopped at a bound. */
bool simulation_run(struct simulation *s, unsigned budget);
/* job.simulate's result. */
void simulation_write(const struct simulation *s, struct json_out *o);

#endif
