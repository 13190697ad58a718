#ifndef COROD_RUN_HTTP_H
#define COROD_RUN_HTTP_H
/*
 * HTTP requests, many at a time, in the daemon's loop: libcurl's multi interface on io and alarms.
 * This is the narrow set of functions behind which a request is made. It knows nothing of jobs and
 * tasks: a request has the number of its attempt.
 *
 * The caller commits an attempt's launch before http_start().
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/loop.h"
#include "proto/err.h"

enum { HTTP_KEPT_BODY_BYTES = 1024 * 1024 }; /* so much of an answer's body is handed over */

struct http_options {
    const char *ca_file; /* trusted instead of the system's certificates; NULL or "": those */
    const char *allow,
        *deny; /* proto/netlist.h: no connection to what is in deny but not in allow */
    int64_t connect_timeout_ms;
    int64_t max_body_bytes; /* an answer with more is broken off */
};

struct http_request {
    uint64_t number;
    const char *method; /* upper case */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated, without line breaks */
    const void *body;           /* NULL: none */
    size_t body_len;
    unsigned max_redirects; /* 0: the redirect itself is the answer */
    bool once; /* must not be sent a second time when a connection breaks: it gets a fresh one */
};

/* Borrowed for the call. */
struct http_answer {
    const char *error; /* why there is no answer; NULL: there is one */
    int status;
    /* "name: value\n" for each header, names in lower case, bytes as they came. */
    const char *headers;
    size_t headers_len;
    const char *body; /* at most HTTP_KEPT_BODY_BYTES of it */
    size_t body_len;
    uint64_t body_bytes; /* all that came */
    int64_t duration_us; /* from the first byte of work; waiting for a connection not counted */
};

struct http_client;

/* Options are borrowed for as long as it lives. on_end comes once for each request that was started
 * and not stopped, never from inside the calls below. Needs nothing of libcurl before the first
 * request. */
struct http_client *
http_client_new(struct loop *l, const struct http_options *options,
                void (*on_end)(void *arg, uint64_t number, const struct http_answer *a), void *arg);
/* Breaks off what is in flight. */
void http_client_free(struct http_client *c);

/* Copies the request. False with err: it cannot be made at all, on_end does not come. */
bool http_start(struct http_client *c, const struct http_request *r, struct err *err);
/* Breaks it off: on_end does not come. */
void http_stop(struct http_client *c, uint64_t number);
/* Requests that were started and have not ended. */
size_t http_in_flight(const struct http_client *c);

#endif
