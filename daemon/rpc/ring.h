#ifndef COROD_RPC_RING_H
#define COROD_RPC_RING_H
/* The last events, for who subscribes behind an earlier one. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/engine.h"

enum { RING_EVENTS = 10000, RING_BYTES = 16 * 1024 * 1024 };

struct ring_entry {
    struct event event; /* its text is the entry's own */
    char *members;      /* see ring_members(); NULL: nobody has asked for them */
    size_t len;
};

struct ring;

/* last_seq: events up to this one are not known. */
struct ring *ring_new(uint64_t last_seq);
void ring_free(struct ring *r);
/* The entry is valid until the next call. */
struct ring_entry *ring_add(struct ring *r, const struct event *e);
uint64_t ring_last_seq(const struct ring *r);
/* It as JSON, the members of the notification's params without braces; *len their length. Most
 * events are never asked for: it is made then. */
const char *ring_members(struct ring *r, struct ring_entry *e, size_t *len);
/* Whether all events behind seq are still there. */
bool ring_has_after(const struct ring *r, uint64_t seq);
/* Calls each(arg, entry) for them, oldest first, until it returns false. */
void ring_each_after(struct ring *r, uint64_t seq, bool (*each)(void *arg, struct ring_entry *e),
                     void *arg);

#endif
