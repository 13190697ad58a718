#ifndef CORO_MAP_DOC_H
#define CORO_MAP_DOC_H
/* The job document of `coro map`. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "client/options.h"
#include "proto/err.h"

struct map_plan {
    int64_t jobs;        /* at most so many at once; 0: as the pool has slots */
    double delay_s;      /* between two starts */
    bool halts, at_once; /* end the others, or only start no more */
    bool on_success;     /* after so many that went well, else that failed */
    int64_t halt_after;
};

/* From --jobs (N, N%, +N, 0), --delay and --halt, for n items. False: *err. */
bool map_plan_read(struct map_plan *p, const struct options *o, size_t n, struct err *err);

/* The document: items is a list of commands (taken over), name what it is called unless told.
 * *ret_first: the task of the first item; those of the others follow. NULL: *err. */
json_t *map_document(const struct map_plan *p, const struct job_options *job, json_t *items,
                     const char *name, uint32_t *ret_first, struct err *err);

#endif
