#ifndef COROD_RPC_REQUEST_H
#define COROD_RPC_REQUEST_H
/*
 * One request under way, from its dispatch until it is answered exactly once. Its connection may be
 * gone before: then `session` is NULL and the answer goes nowhere. Inside daemon/rpc only.
 */
#include "daemon/rpc/session.h"
#include "proto/json_out.h"
#include "proto/json_scan.h"
#include "proto/method.h"

/* The answers of a batch, sent when all are there. */
struct reply_batch {
    size_t left; /* requests that are not answered, and 1 while it is dispatched */
    struct buf out;
    struct session *session; /* NULL: gone */
};

struct request {
    LIST_ENTRY(request) link;
    struct server *server;
    struct session *session;
    struct reply_batch *batch;
    const struct method *method;
    struct peer peer;
    char *id; /* JSON, as it came; NULL: a notification, nothing is answered */
    size_t bytes;
    bool committing;       /* counted in session->committing */
    struct slice document; /* the text of `job`; only while the method is called */
    /* The method's own. */
    void *state;
    void (*state_free)(void *state);
    bool only_for_client; /* ends with its connection: nobody else would miss it */
    struct buf result;    /* a reply that waits for a commit */
    void (*on_rows)(struct request *r, const struct rows *sets, size_t n);
    void (*on_commit)(struct request *r);
};

void request_free(struct request *r);

/* Each of these answers and frees the request. */
/* json is empty afterwards. */
void request_result(struct request *r, struct buf *json);
/* data: JSON or NULL. */
void request_error(struct request *r, int code, const struct buf *data, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same from an err; adds retry_after where the contract has it. */
void request_fail(struct request *r, const struct err *err);
void request_mistakes(struct request *r, const struct json_mistakes *m);
/* An invalid job, with all its mistakes (job.c). */
void request_refuse_document(struct request *r, const struct mistakes *errors);
/* There is no such job, or it is another user's: the same (job.c). */
void request_no_job(struct request *r, uint64_t id);
/* With its row (columns as in job_json.h), if there is one: the peer may see it. False: answered.
 */
bool request_may(struct request *r, const struct rows *job, uint64_t id);

/* What is left of the request is its commit: it hardly counts as one in flight. */
void request_committing(struct request *r);

/* Answers with r->result after the commit of all that has happened so far. */
void request_result_after_commit(struct request *r);
/* Calls then(r) after that commit, unless the client is gone meanwhile. */
void request_after_commit(struct request *r, void (*then)(struct request *r));
/* Reads from the store and calls then(r, …); answers by itself when that fails. */
void request_read(struct request *r, const struct batch *q,
                  void (*then)(struct request *r, const struct rows *sets, size_t n));

/* Whether the peer may see and steer what belongs to uid. */
static inline bool peer_may(const struct peer *p, uint32_t uid)
{
    return p->admin || p->uid == uid;
}

#endif
