#ifndef CORO_CONN_H
#define CORO_CONN_H
/*
 * The connection to the daemon: JSON-RPC 2.0, one message a line. Requests may be pipelined; what
 * arrives while a reply is awaited is kept for conn_next().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "client/cli.h"
#include "proto/buf.h"
#include "proto/err.h"
#include "proto/frame.h"

struct conn {
    struct cli *cli;
    int fd;       /* -1: closed */
    bool is_open; /* what is in it is to be released */
    struct frame_reader in;
    struct buf out;
    uint64_t last_id;
    json_t **kept; /* messages for conn_next(), oldest first: kept[first_kept … n_kept) */
    size_t first_kept, n_kept, cap_kept;
    size_t kept_replies; /* of them those that conn_reply() may look for */
    double opened_s;
    unsigned short_lived; /* connections before this one that broke at once */
    json_t *mistakes;     /* `data` of the last error reply; NULL */
};

/* Finds the daemon (architecture.md: which one), starts a personal one where that is right. */
bool conn_open(struct conn *c, struct cli *cli, struct err *err);
/* The same without starting or waiting. */
bool conn_probe(struct conn *c, struct cli *cli, struct err *err);
/* conn_open() after the daemon went away: tries for at most `patience_s`. Requests are forgotten.
 */
bool conn_reopen(struct conn *c, double patience_s, struct err *err);
void conn_close(struct conn *c);

/* Queues a request; its id. params is taken over; NULL: none. */
uint64_t conn_send(struct conn *c, const char *method, json_t *params);
/* The same with params as JSON text in one line. */
uint64_t conn_send_text(struct conn *c, const char *method, const char *params);

enum conn_got {
    CONN_MESSAGE,
    CONN_TIMEOUT,
    CONN_INTERRUPTED, /* a caught signal came */
    CONN_GONE         /* the daemon closed, or what came is no JSON: *err */
};
/* Sends what is queued and waits for a message (the caller's json_decref()). timeout_ms -1: none.
 */
enum conn_got conn_next(struct conn *c, int timeout_ms, json_t **ret, struct err *err);

/* Waits for the reply to `id`. NULL: *err has what the daemon said (code of proto/errors.def) or
 * why it is gone (a positive code). The result is the caller's. */
json_t *conn_reply(struct conn *c, uint64_t id, struct err *err);
/* conn_send() and conn_reply(). */
json_t *conn_call(struct conn *c, const char *method, json_t *params, struct err *err);
/* The same for what changes nothing: asked once more when the daemon ended just then. */
json_t *conn_ask(struct conn *c, const char *method, json_t *params, struct err *err);

/* Takes a reply apart: the result (borrowed), or NULL with *err and c->mistakes. */
json_t *conn_result(struct conn *c, json_t *message, struct err *err);
/* The id of a reply, 0 for a notification. */
uint64_t conn_message_id(const json_t *message);
/* The daemon went away, or was never there: err of a call. */
bool conn_is_gone(const struct err *err);

#endif
