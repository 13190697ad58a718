#ifndef CORO_QUEUE_H
#define CORO_QUEUE_H
/* What the commands `coro queue …` share. */
#include <jansson.h>

#include "client/options.h"
#include "proto/err.h"

struct cli;

struct queue_options {
    const char *name, *owner; /* owner NULL: one's own */
    double timeout_s;         /* -1: none */
};

#define OPTION_QUEUE_TIMEOUT                                                                       \
    OPTION_TEXT("timeout", 0, deadline, "DURATION", "wait at most so long; then 124")
#define OPTION_QUEUE_OWNER OPTION_TEXT("owner", 0, owner, "USER", "another's: for admins")

/* False: *err, a mistake of the command line. */
bool queue_read_options(struct queue_options *q, const struct options *o, int argc, char **argv,
                        struct err *err);
/* For a request, the caller's. */
json_t *queue_params(const struct queue_options *q);
/* Says it; the exit status. */
int queue_fail(struct cli *c, const struct err *err);

#endif
