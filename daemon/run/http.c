/* Many requests in the daemon's loop: libcurl says which sockets and which moment it waits for. */
#include "daemon/run/http.h"

#include <ctype.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/run/http_private.h"
#include "proto/mem.h"

enum {
    MAX_STARTING = 64, /* that may resolve names: libcurl makes a thread for each */
    MAX_STARTING_OF_HOST = 16,
    TRIM_AFTER = 1000,
    OTHER_FDS = 1024, /* left for clients, the store, resolving */
};

struct socket {
    struct http_client *client;
    int fd;
    struct io *io;
};

static void act(struct http_client *c, curl_socket_t fd, int what);

static void on_ready(void *arg, unsigned what)
{
    const struct socket *s = arg;
    act(s->client, s->fd,
        (what & IO_READ ? CURL_CSELECT_IN : 0) | (what & IO_WRITE ? CURL_CSELECT_OUT : 0));
}

/* libcurl wants to know when the socket is ready. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket)
{
    struct http_client *c = arg;
    struct socket *s = socket;
    unsigned want = (what & CURL_POLL_IN ? IO_READ : 0) | (what & CURL_POLL_OUT ? IO_WRITE : 0);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            io_free(s->io);
        free(s);
    } else if (s) {
        io_want(s->io, want);
    } else {
        s = xcalloc(1, sizeof *s);
        *s = (struct socket){.client = c, .fd = fd};
        s->io = io_new(c->loop, fd, want, on_ready, s);
        c->curl->multi_assign(c->multi, fd, s);
    }
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    if (ms < 0)
        alarm_stop(c->timer);
    else
        alarm_start(c->timer, (int64_t)ms * 1000);
    return 0;
}

/* Hosts. */

/* Of all addresses, for which no name server is asked, there is one. */
static struct http_host *host_of(struct http_client *c, const char *url)
{
    enum { ADDRESSES = 0 };
    char *name = url_host(c->curl, url);
    size_t len = name ? strlen(name) : 0;
    bool is_address = !name || *name == '[' || strspn(name, "0123456789.") == len;
    for (size_t i = 0; i < len; i++)
        name[i] = (char)tolower((unsigned char)name[i]);
    uint64_t key = is_address ? ADDRESSES : map_key(name, len);
    c->curl->free(name);
    struct http_host *h = map_get(&c->hosts, key);
    if (h)
        return h;
    h = xcalloc(1, sizeof *h);
    h->key = key;
    h->max_starting = is_address ? MAX_STARTING : MAX_STARTING_OF_HOST;
    TAILQ_INIT(&h->waiting);
    map_put(&c->hosts, key, h);
    return h;
}

/* Something of it has changed: it is in the list of those that may start some, or gone. */
static void look_at_host(struct http_client *c, struct http_host *h)
{
    bool ready = !TAILQ_EMPTY(&h->waiting) && h->n_starting < h->max_starting;
    if (ready && !h->ready)
        TAILQ_INSERT_TAIL(&c->ready, h, link);
    else if (!ready && h->ready)
        TAILQ_REMOVE(&c->ready, h, link);
    h->ready = ready;
    if (TAILQ_EMPTY(&h->waiting) && !h->n_starting) {
        map_remove(&c->hosts, h->key);
        free(h);
    }
}

static void wait_in_line(struct transfer *t)
{
    t->host = host_of(t->client, t->url);
    TAILQ_INSERT_TAIL(&t->host->waiting, t, link);
    look_at_host(t->client, t->host);
}

/* The first of the next host; hosts take turns. */
static struct transfer *take_waiting(struct http_client *c)
{
    struct http_host *h = TAILQ_FIRST(&c->ready);
    struct transfer *t = TAILQ_FIRST(&h->waiting);
    TAILQ_REMOVE(&h->waiting, t, link);
    TAILQ_REMOVE(&c->ready, h, link);
    h->ready = false;
    transfer_starts(t);
    look_at_host(c, h);
    return t;
}

void transfer_starts(struct transfer *t)
{
    if (t->starting)
        return;
    t->starting = true;
    t->host = host_of(t->client, t->url);
    t->host->n_starting++;
    t->client->n_starting++;
}

void transfer_connects(struct transfer *t)
{
    if (!t->starting)
        return;
    t->starting = false;
    t->host->n_starting--;
    t->client->n_starting--;
    look_at_host(t->client, t->host);
    t->host = NULL;
}

/* Takes it out of everything and frees it. */
static void forget(struct transfer *t)
{
    struct http_client *c = t->client;
    if (t->running) {
        transfer_connects(t);
        c->n_running--;
        c->n_stopped -= t->stopped;
    } else {
        TAILQ_REMOVE(&t->host->waiting, t, link);
        look_at_host(c, t->host);
    }
    map_remove(&c->transfers, t->number);
    transfer_free(t);
    c->since_trim++;
    if (!c->transfers.n && c->since_trim >= TRIM_AFTER) { /* what many took is given back */
        malloc_trim(0);
        c->since_trim = 0;
    }
}

static void end(struct transfer *t, const struct http_answer *a)
{
    struct http_client *c = t->client;
    if (!t->stopped)
        c->on_end(c->arg, t->number, a);
    forget(t);
}

/* Hands to libcurl what may start now. */
static void begin_waiting(struct http_client *c)
{
    while (!TAILQ_EMPTY(&c->ready) && c->n_starting < MAX_STARTING &&
           c->n_running < c->max_running) {
        struct transfer *t = take_waiting(c);
        struct err err;
        t->running = true;
        c->n_running++;
        if (!transfer_begin(t, &err)) {
            const struct http_answer a = {.error = err.text};
            end(t, &a);
        }
    }
}

static void take_ended(struct http_client *c)
{
    CURLMsg *m;
    int left;
    while ((m = c->curl->multi_info_read(c->multi, &left))) {
        struct transfer *t = NULL;
        struct http_answer a;
        CURLcode result = m->data.result;
        CURL *easy = m->easy_handle;
        if (m->msg != CURLMSG_DONE)
            continue;
        c->curl->easy_getinfo(easy, CURLINFO_PRIVATE, &t);
        c->curl->multi_remove_handle(c->multi, easy);
        if (transfer_done(t, result, &a))
            end(t, &a);
    }
}

static void act(struct http_client *c, curl_socket_t fd, int what)
{
    int running;
    c->curl->multi_socket_action(c->multi, fd, what, &running);
    take_ended(c);
    begin_waiting(c);
}

static void on_timeout(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_kick(void *arg)
{
    begin_waiting(arg);
}

struct http_client *
http_client_new(struct loop *l, const struct http_options *options,
                void (*on_end)(void *arg, uint64_t number, const struct http_answer *a), void *arg)
{
    struct http_client *c = xcalloc(1, sizeof *c);
    c->loop = l;
    c->options = options;
    c->on_end = on_end;
    c->arg = arg;
    TAILQ_INIT(&c->ready);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&c->transfers, &at));) {
        struct transfer *t = s->value;
        if (t->easy)
            c->curl->multi_remove_handle(c->multi, t->easy);
        transfer_free(t);
    }
    map_release(&c->transfers);
    at = 0;
    for (struct map_slot *s; (s = map_next(&c->hosts, &at));)
        free(s->value);
    map_release(&c->hosts);
    if (c->multi)
        c->curl->multi_cleanup(c->multi);
    alarm_free(c->timer);
    alarm_free(c->kick);
    netlist_release(&c->allow);
    netlist_release(&c->deny);
    free(c);
}

static size_t room_for_sockets(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return OTHER_FDS;
    return files.rlim_cur > 2 * OTHER_FDS ? files.rlim_cur - OTHER_FDS : files.rlim_cur / 2;
}

static bool make_multi(struct http_client *c, struct err *err)
{
    if (c->multi)
        return true;
    c->curl = curl_load(err);
    if (!c->curl || !netlist_parse(&c->allow, c->options->allow, err) ||
        !netlist_parse(&c->deny, c->options->deny, err))
        return false;
    CURLM *multi = c->curl->multi_init();
    if (!multi)
        return err_set(err, ENOMEM, "libcurl cannot be initialised");
    c->timer = alarm_new(c->loop, on_timeout, c);
    c->kick = alarm_new(c->loop, on_kick, c);
    c->max_running = room_for_sockets();
    c->curl->multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    c->curl->multi_setopt(multi, CURLMOPT_SOCKETDATA, c);
    c->curl->multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    c->curl->multi_setopt(multi, CURLMOPT_TIMERDATA, c);
    c->curl->multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)HTTP_FEW);
    c->multi = multi;
    return true;
}

bool http_start(struct http_client *c, const struct http_request *r, struct err *err)
{
    if (!make_multi(c, err))
        return false;
    struct transfer *t = transfer_new(c, r);
    map_put(&c->transfers, t->number, t);
    wait_in_line(t);
    alarm_start(c->kick, 0);
    return true;
}

void http_stop(struct http_client *c, uint64_t number)
{
    struct transfer *t = map_get(&c->transfers, number);
    if (!t || t->stopped)
        return;
    if (t->starting) { /* its thread can't be stopped: it keeps its place, else there were many */
        t->stopped = true;
        c->n_stopped++;
        return;
    }
    if (t->easy)
        c->curl->multi_remove_handle(c->multi, t->easy);
    forget(t);
    alarm_start(c->kick, 0); /* others may begin */
}

size_t http_in_flight(const struct http_client *c)
{
    return c->transfers.n - c->n_stopped;
}
