/* One request: its libcurl handle, its redirects, its answer. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "daemon/run/http_private.h"
#include "proto/mem.h"

enum {
    MAX_HEADERS = 1000,
    MAX_HEADER_BYTES = 256 * 1024, /* with those of 100 Continue and its like */
    READ_BYTES = 16 * 1024,        /* libcurl's buffer */
    KEEPALIVE_S = 60,              /* a peer that is gone is noticed */
};

struct transfer *transfer_new(struct http_client *c, const struct http_request *r)
{
    struct transfer *t = xcalloc(1, sizeof *t);
    size_t n = 0;
    t->client = c;
    t->number = r->number;
    t->method = xstrdup(r->method);
    t->url = xstrdup(r->url);
    while (r->headers[n])
        n++;
    t->headers = xcalloc(n + 1, sizeof(char *));
    for (size_t i = 0; i < n; i++)
        t->headers[i] = xstrdup(r->headers[i]);
    if (r->body) {
        t->body = xmemdup(r->body_len ? r->body : "", r->body_len ? r->body_len : 1);
        t->body_len = r->body_len;
    }
    t->max_redirects = r->max_redirects;
    t->once = r->once;
    return t;
}

void transfer_free(struct transfer *t)
{
    const struct curl *curl = t->client->curl;
    if (t->easy)
        curl->easy_cleanup(t->easy);
    if (t->list)
        curl->slist_free_all(t->list);
    for (size_t i = 0; t->headers[i]; i++)
        free(t->headers[i]);
    free(t->headers);
    free(t->method);
    free(t->url);
    free(t->body);
    buf_release(&t->answer_headers);
    buf_release(&t->answer_body);
    free(t);
}

static bool is_header(const char *line, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(line, name, n) == 0 && line[n] == ':';
}

static bool has_header(const struct transfer *t, const char *name)
{
    for (size_t i = 0; t->headers[i]; i++)
        if (is_header(t->headers[i], name))
            return true;
    return false;
}

static void drop_header(struct transfer *t, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; t->headers[i]; i++) {
        if (is_header(t->headers[i], name))
            free(t->headers[i]);
        else
            t->headers[kept++] = t->headers[i];
    }
    t->headers[kept] = NULL;
}

/* What libcurl calls. */

/* Breaks the transfer off with a reason. */
static size_t break_off(struct transfer *t, const char *what, long long most)
{
    snprintf(t->why, sizeof t->why, "%s: more than %lld bytes are not taken", what, most);
    return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n, room = HTTP_KEPT_BODY_BYTES - t->answer_body.len;
    long long most = (long long)t->client->options->max_body_bytes;
    t->body_bytes += len;
    if (t->body_bytes > (uint64_t)most)
        return break_off(t, "the answer is too large (http_max_body in corod.conf)", most);
    buf_add(&t->answer_body, data, len < room ? len : room);
    return len;
}

static void add_header(struct transfer *t, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len), *end = line + len;
    if (!colon)
        return;
    for (const char *p = line; p < colon; p++)
        buf_addch(&t->answer_headers,
                  (unsigned char)*p <= ' ' ? '_' : (char)tolower((unsigned char)*p));
    buf_addstr(&t->answer_headers, ": ");
    colon++;
    while (colon < end && (*colon == ' ' || *colon == '\t'))
        colon++;
    while (end > colon && isspace((unsigned char)end[-1]))
        end--;
    for (; colon < end; colon++)
        buf_addch(&t->answer_headers, (unsigned char)*colon < ' ' && *colon != '\t' ? ' ' : *colon);
    buf_addch(&t->answer_headers, '\n');
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n;
    t->header_bytes += len;
    if (t->header_bytes > MAX_HEADER_BYTES || ++t->n_headers > MAX_HEADERS)
        return break_off(t, "the answer's headers are too many or too large", MAX_HEADER_BYTES);
    if (len >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* one answer may follow another: 100, 200 */
        buf_clear(&t->answer_headers);
        t->headers_done = false;
    } else if (len && (*line == '\r' || *line == '\n')) {
        t->headers_done = true;
    } else if (!t->headers_done) { /* trailers are not taken */
        add_header(t, line, len);
    }
    return len;
}

/* Each address that a name has resolved to comes here, also those of redirects. */
static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct transfer *t = arg;
    (void)purpose;
    transfer_connects(t);
    if (t->stopped)
        return CURL_SOCKET_BAD;
    if (netlist_has(&t->client->deny, &a->addr) && !netlist_has(&t->client->allow, &a->addr)) {
        netlist_show(&a->addr, t->denied, sizeof t->denied);
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* It has a connection, perhaps one that another request opened. */
static int on_connected(void *arg, char *to, char *from, int to_port, int from_port)
{
    struct transfer *t = arg;
    (void)to, (void)from, (void)to_port, (void)from_port;
    transfer_connects(t);
    return t->stopped ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* Making the handle. */

/* A line of ours as libcurl wants it: "Name;" is a header without a value, "Name:" would be none.
 */
static bool add_line(struct transfer *t, const char *line)
{
    const struct curl *curl = t->client->curl;
    size_t n = strcspn(line, ":");
    cleanup_free char *empty = line[n] && !line[n + 1 + strspn(line + n + 1, " \t")]
                                   ? xasprintf("%.*s;", (int)n, line)
                                   : NULL;
    struct curl_slist *list = curl->slist_append(t->list, empty ? empty : line);
    if (list)
        t->list = list;
    return list != NULL;
}

static bool make_list(struct transfer *t)
{
    const struct curl *curl = t->client->curl;
    static const char *const not_of_libcurl[] = {"Expect", "Content-Type"};
    curl->slist_free_all(t->list);
    t->list = NULL;
    for (size_t i = 0; t->headers[i]; i++)
        if (!add_line(t, t->headers[i]))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(not_of_libcurl); i++) {
        cleanup_free char *none = xasprintf("%s:", not_of_libcurl[i]);
        struct curl_slist *list =
            has_header(t, not_of_libcurl[i]) ? t->list : curl->slist_append(t->list, none);
        if (!list)
            return false;
        t->list = list;
    }
    return curl->easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->list) == CURLE_OK;
}

static bool is_method(const struct transfer *t, const char *method)
{
    return strcmp(t->method, method) == 0;
}

static CURLcode set_method(struct transfer *t)
{
    const struct curl *curl = t->client->curl;
    bool posts = t->body || is_method(t, "POST") || is_method(t, "PUT") || is_method(t, "PATCH");
    bool custom = posts ? !is_method(t, "POST") : !is_method(t, "GET") && !is_method(t, "HEAD");
    CURLcode r = curl->easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    if (r == CURLE_OK && is_method(t, "HEAD"))
        r = curl->easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    if (r == CURLE_OK && posts)
        r = curl->easy_setopt(t->easy, CURLOPT_POST, 1L);
    if (r == CURLE_OK && posts)
        r = curl->easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->body_len);
    if (r == CURLE_OK && posts)
        r = curl->easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body ? t->body : "");
    if (r == CURLE_OK)
        r = curl->easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, custom ? t->method : NULL);
    return r;
}

static CURLcode set_limits(struct transfer *t)
{
    /* Looking for a connection to share takes libcurl a time that grows with their number. */
    bool many = t->client->n_running > HTTP_FEW;
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0}, /* redirects are ours: libcurl repeats any method */
        {CURLOPT_QUICK_EXIT, 1},     /* breaking off does not wait for the resolver's thread */
        {CURLOPT_CONNECTTIMEOUT_MS, (long)t->client->options->connect_timeout_ms},
        {CURLOPT_BUFFERSIZE, READ_BYTES},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_S},
        {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_S},
        {CURLOPT_FRESH_CONNECT, t->once || many},
        {CURLOPT_FORBID_REUSE, many},
    };
    const char *ca = t->client->options->ca_file;
    CURLcode r = CURLE_OK;
    for (size_t i = 0; r == CURLE_OK && i < ARRAY_LEN(numbers); i++)
        r = t->client->curl->easy_setopt(t->easy, numbers[i].option, numbers[i].value);
    const struct {
        CURLoption option;
        const char *value;
    } texts[] = {
        {CURLOPT_PROTOCOLS_STR, "http,https"}, {CURLOPT_PROXY, ""}, /* nor one of the environment */
    };
    for (size_t i = 0; r == CURLE_OK && i < ARRAY_LEN(texts); i++)
        r = t->client->curl->easy_setopt(t->easy, texts[i].option, texts[i].value);
    if (r == CURLE_OK && ca && *ca)
        r = t->client->curl->easy_setopt(t->easy, CURLOPT_CAINFO, ca);
    return r;
}

static CURLcode set_callbacks(struct transfer *t)
{
    const struct curl *curl = t->client->curl;
    CURLcode r = curl->easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body);
    const CURLoption with_arg[] = {CURLOPT_WRITEDATA, CURLOPT_HEADERDATA, CURLOPT_OPENSOCKETDATA,
                                   CURLOPT_PREREQDATA, CURLOPT_PRIVATE};
    for (size_t i = 0; r == CURLE_OK && i < ARRAY_LEN(with_arg); i++)
        r = curl->easy_setopt(t->easy, with_arg[i], t);
    if (r == CURLE_OK)
        r = curl->easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_header);
    if (r == CURLE_OK)
        r = curl->easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    if (r == CURLE_OK)
        r = curl->easy_setopt(t->easy, CURLOPT_PREREQFUNCTION, on_connected);
    if (r == CURLE_OK)
        r = curl->easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error);
    return r;
}

/* What a redirect may change. */
static bool set_request(struct transfer *t)
{
    return t->client->curl->easy_setopt(t->easy, CURLOPT_URL, t->url) == CURLE_OK &&
           set_method(t) == CURLE_OK && make_list(t);
}

bool transfer_begin(struct transfer *t, struct err *err)
{
    const struct curl *curl = t->client->curl;
    t->began_us = clock_boot_us();
    t->easy = curl->easy_init();
    if (!t->easy)
        return err_set(err, ENOMEM, "libcurl has no memory for a request");
    CURLcode r = set_limits(t);
    if (r == CURLE_OK)
        r = set_callbacks(t);
    if (r != CURLE_OK)
        return err_set(err, ENOSYS, "libcurl refuses an option: %s", curl->easy_strerror(r));
    if (!set_request(t))
        return err_set(err, EINVAL, "libcurl refuses the request");
    CURLMcode m = curl->multi_add_handle(t->client->multi, t->easy);
    return m == CURLM_OK || err_set(err, EINVAL, "libcurl refuses the request (%d)", (int)m);
}

/* Addresses, and redirects. */

static char *url_part(const struct curl *curl, CURLU *u, CURLUPart part)
{
    char *text = NULL;
    return curl->url_get(u, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

char *url_host(const struct curl *curl, const char *url)
{
    CURLU *u = curl->url();
    char *host = u && curl->url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK
                     ? url_part(curl, u, CURLUPART_HOST)
                     : NULL;
    curl->url_cleanup(u);
    return host;
}

static bool same_part(const struct curl *curl, CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = url_part(curl, a, part), *y = url_part(curl, b, part);
    bool same = x && y && strcasecmp(x, y) == 0;
    curl->free(x);
    curl->free(y);
    return same;
}

/* RFC 6454: scheme, host and port. */
static bool same_origin(const struct curl *curl, const char *from, const char *to)
{
    CURLU *a = curl->url(), *b = curl->url();
    bool same = a && b && curl->url_set(a, CURLUPART_URL, from, 0) == CURLUE_OK &&
                curl->url_set(b, CURLUPART_URL, to, 0) == CURLUE_OK &&
                same_part(curl, a, b, CURLUPART_SCHEME) && same_part(curl, a, b, CURLUPART_HOST) &&
                same_part(curl, a, b, CURLUPART_PORT);
    curl->url_cleanup(a);
    curl->url_cleanup(b);
    return same;
}

/* RFC 9110, 15.4: 303 asks for a GET; POST becomes one at 301 and 302, as everybody does. */
static bool becomes_get(const struct transfer *t, long status)
{
    if (status == 303)
        return !is_method(t, "GET") && !is_method(t, "HEAD");
    return (status == 301 || status == 302) && is_method(t, "POST");
}

static void redirect(struct transfer *t, long status, const char *url)
{
    static const char *const of_origin[] = {"Authorization", "Cookie", "Proxy-Authorization",
                                            "Host"};
    bool same = same_origin(t->client->curl, t->url, url);
    for (size_t i = 0; i < ARRAY_LEN(of_origin) && !same; i++)
        drop_header(t, of_origin[i]);
    if (becomes_get(t, status)) {
        free(t->method);
        t->method = xstrdup("GET");
        free(t->body);
        t->body = NULL;
        t->body_len = 0;
        drop_header(t, "Content-Type");
    }
    free(t->url);
    t->url = xstrdup(url);
    t->redirects++;
    t->body_bytes = 0;
    t->header_bytes = t->n_headers = 0;
    t->denied[0] = t->error[0] = '\0';
    buf_clear(&t->answer_headers);
    buf_clear(&t->answer_body);
}

/* True: it goes on with the next address; else t->why says when it may not. */
static bool follow(struct transfer *t, long status)
{
    const struct curl *curl = t->client->curl;
    char *url = NULL;
    bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    curl->easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &url);
    if (!moved || !url || !t->max_redirects)
        return false;
    if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0)
        snprintf(t->why, sizeof t->why, "redirected to \"%.30s\": only http and https are followed",
                 url);
    else if (t->redirects == t->max_redirects)
        snprintf(t->why, sizeof t->why, "more than %u redirects", t->max_redirects);
    if (*t->why)
        return false;
    redirect(t, status, url);
    transfer_starts(t);
    if (set_request(t) && curl->multi_add_handle(t->client->multi, t->easy) == CURLM_OK)
        return true;
    snprintf(t->why, sizeof t->why, "the redirect cannot be followed");
    return false;
}

bool transfer_done(struct transfer *t, CURLcode result, struct http_answer *a)
{
    const struct curl *curl = t->client->curl;
    long status = 0;
    curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result == CURLE_OK && follow(t, status))
        return false;
    *a = (struct http_answer){
        .status = (int)status,
        .headers = t->answer_headers.data,
        .headers_len = t->answer_headers.len,
        .body = t->answer_body.data,
        .body_len = t->answer_body.len,
        .body_bytes = t->body_bytes,
        .duration_us = clock_boot_us() - t->began_us,
    };
    if (!*t->why && result == CURLE_COULDNT_CONNECT && *t->denied)
        snprintf(t->why, sizeof t->why,
                 "connections to %s are not allowed here (http_deny in corod.conf)", t->denied);
    if (*t->why)
        a->error = t->why;
    else if (result != CURLE_OK)
        a->error = *t->error ? t->error : curl->easy_strerror(result);
    return true;
}
