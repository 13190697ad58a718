#ifndef COROD_RUN_HTTP_PRIVATE_H
#define COROD_RUN_HTTP_PRIVATE_H
/* What http.c (many requests in the loop) and http_transfer.c (one of them) share. */
#include <sys/queue.h>

#include "daemon/base/map.h"
#include "daemon/run/curl.h"
#include "daemon/run/http.h"
#include "proto/buf.h"
#include "proto/netlist.h"

TAILQ_HEAD(transfers, transfer);

enum { HTTP_FEW = 100 }; /* connections that are kept for the next request */

/* Of the requests to one host those that wait or are starting: a name server that does not answer
 * for its name must not keep others from theirs. */
struct http_host {
    uint64_t key;
    struct transfers waiting;
    size_t n_starting, max_starting;
    bool ready; /* some wait, and may start */
    TAILQ_ENTRY(http_host) link;
};

struct http_client {
    struct loop *loop;
    const struct http_options *options;
    void (*on_end)(void *arg, uint64_t number, const struct http_answer *a);
    void *arg;
    const struct curl *curl; /* NULL: not loaded yet */
    CURLM *multi;
    struct alarm *timer; /* libcurl's */
    struct alarm *kick;  /* some may begin */
    struct netlist allow, deny;
    size_t since_trim;    /* requests that have ended since memory was given back */
    struct map transfers; /* number → struct transfer */
    struct map hosts;     /* key → struct http_host */
    TAILQ_HEAD(, http_host) ready;
    size_t n_running, max_running; /* handed to libcurl; as many as descriptors allow */
    size_t n_starting;             /* of those: that may have a thread that resolves a name */
    size_t n_stopped;              /* of those: nobody waits for them any more */
};

struct transfer {
    struct http_client *client;
    uint64_t number;
    struct http_host *host;     /* while it waits or is starting, else NULL */
    TAILQ_ENTRY(transfer) link; /* while it waits */
    bool running, starting, stopped;
    CURL *easy;
    char *method, *url;
    char **headers; /* NULL-terminated */
    struct curl_slist *list;
    char *body;
    size_t body_len;
    unsigned redirects, max_redirects; /* followed; that may be */
    bool once;
    int64_t began_us;
    /* The answer. */
    struct buf answer_headers, answer_body;
    uint64_t body_bytes;
    size_t header_bytes, n_headers; /* of all that came since the last redirect */
    bool headers_done;
    char why[160];               /* why it was broken off here; "" */
    char denied[64];             /* the address that it may not connect to; "" */
    char error[CURL_ERROR_SIZE]; /* libcurl's */
};

struct transfer *transfer_new(struct http_client *c, const struct http_request *r);
void transfer_free(struct transfer *t);
/* Makes its handle and gives it to libcurl. False: err. */
bool transfer_begin(struct transfer *t, struct err *err);
/* A name may be resolved for it from now on; no more. */
void transfer_starts(struct transfer *t);
void transfer_connects(struct transfer *t);
/* The host of a URL, for curl->free(); NULL: there is none. */
char *url_host(const struct curl *curl, const char *url);
/* libcurl is done with it. False: it goes on (a redirect); true: *a is how it ended. */
bool transfer_done(struct transfer *t, CURLcode result, struct http_answer *a);

#endif
