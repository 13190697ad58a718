/* From the text of a message to the call of a method: syntax, envelope, rights, parameters. */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/methods.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* An id is echoed, and kept while its request is under way. */
#define MAX_ID_BYTES 4096

#define PARAM(...)
#define METHOD(id, ...)                                                                            \
    static void call_##id(struct request *r, const void *p)                                        \
    {                                                                                              \
        method_##id(r, p);                                                                         \
    }
#include "proto/method.def"
#undef METHOD
#define METHOD(id, ...) call_##id,
static void (*const calls[])(struct request *r, const void *params) = {
#include "proto/method.def"
};
#undef METHOD
#undef PARAM

static void put_refusal(struct buf *b, int code, const char *text)
{
    struct json_out o = {.out = b};
    buf_printf(b, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,\"message\":", code);
    jout_text(&o, text);
    buf_addstr(b, "}}");
}

void dispatch_refuse(struct session *s, int code, const char *text)
{
    struct buf b = {0};
    put_refusal(&b, code, text);
    session_send(s, b.data, b.len);
    buf_release(&b);
}

static void refuse_one(struct session *s, struct reply_batch *batch, const char *text)
{
    if (!batch) {
        dispatch_refuse(s, ERR_REQUEST, text);
        return;
    }
    buf_addch(&batch->out, batch->out.len ? ',' : '[');
    put_refusal(&batch->out, ERR_REQUEST, text);
}

static bool is_text(struct slice v, const char *json)
{
    return v.len == strlen(json) && memcmp(v.p, json, v.len) == 0;
}

/* Absent, or a string, a number or null of reasonable length. */
static bool is_id(struct slice id)
{
    char c = json_scan_first(id);
    return !id.p || ((c == '"' || c == '-' || (c >= '0' && c <= '9') || is_text(id, "null")) &&
                     id.len <= MAX_ID_BYTES);
}

static bool has_document(const struct method *m)
{
    return m->params[0].name && m->params[0].kind == JSON_FIELD_DOCUMENT;
}

/*
 * Parses the parameters. The text of a job document is left out: it may be large, is checked
 * elsewhere, and its bytes are what its key is compared with.
 */
static bool parse_params(struct request *r, struct slice params, json_t **ret, struct err *err)
{
    json_error_t e;
    struct buf text = {0};
    if (!params.p)
        return true;
    if (has_document(r->method)) {
        r->document = json_scan_first(params) == '['
                          ? json_scan_item(params, 0)
                          : json_scan_member(params, r->method->params[0].name);
        if (r->document.p) {
            const char *behind = r->document.p + r->document.len;
            buf_add(&text, params.p, (size_t)(r->document.p - params.p));
            buf_addstr(&text, "false");
            buf_add(&text, behind, (size_t)(params.p + params.len - behind));
        }
    }
    struct slice source = text.data ? (struct slice){text.data, text.len} : params;
    *ret = json_loadb(source.p, source.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    buf_release(&text);
    return *ret != NULL || err_set(err, ERR_PARSE, "params: %s", e.text);
}

static void call(struct request *r, const json_t *params)
{
    union method_params p;
    struct json_mistakes m = {0};
    memset(&p, 0, sizeof p);
    if (!json_fields_read(r->method->params, params, &p, &m)) {
        request_mistakes(r, &m);
        return;
    }
    if (has_document(r->method) && !r->document.p) {
        json_mistakes_add(&m, "/job", NULL, "is missing");
        request_mistakes(r, &m);
        return;
    }
    calls[r->method - methods](r, &p);
}

static void parse_and_call(struct request *r, struct slice params)
{
    struct err err;
    json_t *parsed = NULL;
    if (!parse_params(r, params, &parsed, &err)) {
        request_fail(r, &err);
        return;
    }
    call(r, parsed);
    json_decref(parsed);
}

static bool is_too_long(const struct request *r)
{
    return r->bytes > (size_t)r->server->options.config->max_line_bytes &&
           r->method != &methods[METHOD_job_submit];
}

/* The method's name without its quotes, to free(); NULL when it is no string. */
static char *method_name(struct slice v)
{
    json_t *parsed = v.p ? json_loadb(v.p, v.len, JSON_DECODE_ANY, NULL) : NULL;
    char *name = json_is_string(parsed) ? xstrdup(json_string_value(parsed)) : NULL;
    json_decref(parsed);
    return name;
}

static struct request *request_new(struct session *s, struct reply_batch *batch, struct slice id,
                                   size_t bytes)
{
    struct request *r = xcalloc(1, sizeof *r);
    r->server = s->server;
    r->session = s;
    r->peer = s->peer;
    r->bytes = bytes;
    r->id = id.p ? xstrndup(id.p, id.len) : NULL;
    r->batch = batch;
    if (batch)
        batch->left++;
    LIST_INSERT_HEAD(&s->requests, r, link);
    s->in_flight++;
    s->in_flight_bytes += bytes;
    s->server->n_requests++;
    return r;
}

static void not_a_method(struct request *r, const char *name, const char *near)
{
    struct buf data = {0};
    struct json_out o = {.out = &data};
    jout_begin_object(&o);
    jout_key(&o, "method");
    jout_string(&o, name, strnlen(name, 100));
    if (near) {
        jout_key(&o, "hint");
        jout_printf(&o, "did you mean \"%s\"?", near);
    }
    jout_end_object(&o);
    request_error(r, ERR_METHOD, &data, "no such method: \"%.100s\"%s%s%s", name,
                  near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    buf_release(&data);
}

static void dispatch_request(struct session *s, struct reply_batch *batch, struct slice text)
{
    if (json_scan_first(text) != '{') {
        refuse_one(s, batch, "a request is an object");
        return;
    }
    struct slice id = {0}, version = {0}, name = {0}, params = {0}, key, value;
    for (size_t at = 0; json_scan_next(text, &at, &key, &value);) {
        if (is_text(key, "\"id\""))
            id = value;
        else if (is_text(key, "\"jsonrpc\""))
            version = value;
        else if (is_text(key, "\"method\""))
            name = value;
        else if (is_text(key, "\"params\""))
            params = value;
    }
    cleanup_free char *method = method_name(name);
    if (!is_id(id)) {
        refuse_one(s, batch, "id must be a string, a number or null");
        return;
    }
    if (!is_text(version, "\"2.0\"") || !method) {
        /* Without a method it is no notification either: it is answered. */
        struct request *r = request_new(s, batch, id.p ? id : (struct slice){"null", 4}, text.len);
        request_error(r, ERR_REQUEST, NULL, "%s",
                      method ? "jsonrpc must be \"2.0\"" : "method must be a string");
        return;
    }
    const char *near = NULL;
    struct request *r = request_new(s, batch, id, text.len);
    r->method = method_find(method, &near);
    if (!r->method)
        not_a_method(r, method, near);
    else if (r->method->who == METHOD_ADMINS && !r->peer.admin)
        request_error(r, ERR_FORBIDDEN, NULL, "%s is for admins", r->method->name);
    else if (is_too_long(r))
        request_error(r, ERR_TOO_LARGE, NULL, "the message has %zu bytes, %zu are possible",
                      r->bytes, (size_t)s->server->options.config->max_line_bytes);
    else
        parse_and_call(r, params);
}

static void dispatch_batch(struct session *s, struct slice text)
{
    size_t at = 0, n = 0;
    struct slice key, value;
    while (json_scan_next(text, &at, &key, &value))
        n++;
    if (n == 0) {
        dispatch_refuse(s, ERR_REQUEST, "an empty batch");
        return;
    }
    if (n > s->server->options.config->max_batch) {
        dispatch_refuse(s, ERR_TOO_LARGE, "too many requests in a batch");
        return;
    }
    struct reply_batch *batch = xcalloc(1, sizeof *batch);
    batch->session = s;
    /* Until all are dispatched the batch is not done. */
    struct request *hold = request_new(s, batch, (struct slice){0}, 0);
    for (at = 0; json_scan_next(text, &at, &key, &value);)
        dispatch_request(s, batch, value);
    request_free(hold);
}

void dispatch_message(struct session *s, const char *text, size_t len)
{
    struct err err;
    struct slice all = {text, len};
    if (!json_scan_check(text, len, s->server->options.config->max_depth, &err)) {
        dispatch_refuse(s, err.code, err.text);
        return;
    }
    if (utf8_length(text, len) != len) {
        dispatch_refuse(s, ERR_PARSE, "the message is no UTF-8");
        return;
    }
    if (json_scan_first(all) == '[')
        dispatch_batch(s, all);
    else
        dispatch_request(s, NULL, all);
}
