#ifndef CORO_LEAVE_H
#define CORO_LEAVE_H
/* Ctrl-C while a job is shown: once leaves it running and says so, twice cancels it. */
#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "client/conn.h"

struct leave {
    unsigned seen;      /* interrupts dealt with */
    bool leaving;       /* the first was said; a second one may come */
    double until_s;     /* so long */
    uint64_t cancel_id; /* the request to cancel; its reply says nothing new */
};

/* After CONN_INTERRUPTED. True: leave now. */
bool leave_interrupted(struct leave *l, struct conn *c, json_int_t job);
/* How long to wait for a message, at most other_ms (-1: no matter). */
int leave_timeout_ms(const struct leave *l, int other_ms);
/* No second one came: leave now. */
bool leave_is_due(const struct leave *l);

#endif
