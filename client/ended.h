#ifndef CORO_ENDED_H
#define CORO_ENDED_H
/* Waiting for a job that was made, as -w and -f ask for it. */
#include <jansson.h>

#include "client/conn.h"
#include "client/options.h"

/* Waits for the job's end; o->follow: shows what it prints and writes; o->wait: prints its value as
 * JSON, or its error. The exit status. */
int ended_show(struct conn *conn, const struct options *o, json_int_t id);

#endif
