#ifndef CORO_STEER_H
#define CORO_STEER_H
/* What the commands share that do something to jobs: cancel, pause, resume … */
#include <jansson.h>

#include "client/cli.h"
#include "client/ids.h"
#include "client/options.h"

/*
 * Calls `method` with the jobs that the words mean, as many at once as it takes. more: further
 * members of its parameters (taken over), or NULL. -n only says which jobs are meant. *ret_jobs:
 * the rows of the jobs that were answered, for the caller to drop; NULL: printed with --json. The
 * exit status.
 */
int steer_jobs(struct cli *c, const struct options *o, int argc, char **argv, enum ids_all all,
               const char *method, json_t *more, json_t **ret_jobs);

/* The row of -n. */
#define OPTION_DRY_RUN OPTION_FLAG("dry-run", 'n', dry_run, "only say which jobs are meant")

#endif
