#ifndef COROD_RPC_SUBSCRIPTION_H
#define COROD_RPC_SUBSCRIPTION_H
/* What a connection asked to be told: events, or the output of a job. Inside daemon/rpc only. */
#include "daemon/rpc/ring.h"
#include "daemon/rpc/session.h"

struct follow; /* log.c */

struct subscription {
    LIST_ENTRY(subscription) link;
    struct session *session;
    uint64_t id;
    struct follow *follow; /* NULL: of events */
    /* Which events. */
    uint64_t *jobs; /* n_jobs, ascending; 0: any */
    size_t n_jobs;
    uint32_t types; /* as bits; 0: any */
    bool of_owner;
    uint32_t owner;
};

/* Whether the connection may have one more; else the request is answered. */
bool subscription_may(struct request *r);
struct subscription *subscription_new(struct session *s);
void subscription_free(struct subscription *s);
/* Whether the session has one that ends by itself: after a half-close it still goes out. */
bool subscriptions_have_end(const struct session *s);
/* The connection is gone. */
void subscriptions_drop(struct session *s);

/* Ends it with a last notification that says why. */
void subscription_lose(struct subscription *s, const char *why);
/* Sends a notification with these members behind `subscription`. False: the peer is too slow, the
 * subscription was ended with a last notification and is gone. */
bool subscription_notify(struct subscription *s, const char *members, size_t len);

void subscriptions_on_event(struct server *server, struct ring_entry *e);

#endif
