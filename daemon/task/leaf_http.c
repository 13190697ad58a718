/* HTTP requests: from a document's parts to what is sent, from an answer to a value. */
#include "daemon/task/leaf_http.h"

#include <strings.h>

#include "proto/mem.h"
#include "proto/url.h"

enum {
    MAX_METHOD = 20,
    MAX_REDIRECTS = 100,
    REDIRECTS = 10,
    ANSWER_MAX_DEPTH = 90, /* of JSON: less than a value's, it stands inside others */
};

/* Rules. */

static bool is_text_of(const struct value *v, const char *also, size_t most)
{
    size_t len;
    const char *s = value_get_string(v, &len);
    for (size_t i = 0; i < len; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        bool digit = s[i] >= '0' && s[i] <= '9';
        if (!letter && !(*also && digit) && !(s[i] && strchr(also, s[i])))
            return false;
    }
    return len > 0 && len <= most;
}

static bool method_is_good(const struct value *v)
{
    return is_text_of(v, "", MAX_METHOD) && strcasecmp(value_get_string(v, NULL), "CONNECT") != 0;
}

static bool has_no_controls(const struct value *v)
{
    size_t len;
    const char *s = value_get_string(v, &len);
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
            return false;
    return true;
}

static bool url_is_good(const struct value *v)
{
    const char *s = value_get_string(v, NULL);
    return (strncasecmp(s, "http://", 7) == 0 || strncasecmp(s, "https://", 8) == 0) &&
           has_no_controls(v);
}

static bool is_ours(const char *name)
{
    return strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
}

static bool headers_are_good(const struct value *v)
{
    if (value_type(v) != VALUE_OBJECT)
        return false;
    for (size_t i = 0; i < value_count(v); i++) {
        const struct value_member *m = value_member(v, i);
        if (!is_text_of(m->key, "!#$%&'*+-.^_`|~", 200) || is_ours(value_get_string(m->key, NULL)))
            return false;
        if (value_type(m->value) != VALUE_STRING && !value_is_number(m->value) &&
            value_type(m->value) != VALUE_NULL)
            return false;
        if (!has_no_controls(m->value))
            return false;
    }
    return true;
}

static bool redirects_are_good(const struct value *v)
{
    return value_type(v) == VALUE_INT && value_get_int(v) >= 0 && value_get_int(v) <= MAX_REDIRECTS;
}

const struct http_rule http_rule_method = {method_is_good,
                                           "\"method\" is a word such as GET or POST"};
const struct http_rule http_rule_url = {url_is_good, "\"url\" begins with http:// or https://"};
const struct http_rule http_rule_headers = {
    headers_are_good, "\"headers\" is an object of strings without line breaks; Content-Length and "
                      "Transfer-Encoding are set by themselves"};
const struct http_rule http_rule_body = {value_is_bytes,
                                         "\"body\" is a string or {\"base64\": \"…\"}"};
const struct http_rule http_rule_redirects = {redirects_are_good,
                                              "\"redirects\" is a whole number from 0 to 100"};

/* Evaluating. */

/* *ret: the value, or NULL when it is not given or null. */
static bool eval_part(const struct task *t, const struct expr *e, const struct http_rule *rule,
                      struct value **ret, struct value **error)
{
    cleanup_value struct value *v = e ? task_try_eval(t, e, error) : value_null();
    if (!v)
        return false;
    if (value_type(v) == VALUE_NULL)
        return true;
    if (!rule->is_good(v)) {
        *error = error_new("ValueError", "http: %s", rule->what);
        return false;
    }
    *ret = value_ref(v);
    return true;
}

static struct value *upper(const struct value *method)
{
    char text[MAX_METHOD + 1];
    size_t len;
    const char *s = value_get_string(method, &len);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(s[i] >= 'a' && s[i] <= 'z' ? s[i] - 'a' + 'A' : s[i]);
    return value_string(text, len);
}

static bool has_header(const struct value *headers, const char *name)
{
    for (size_t i = 0; i < value_count(headers); i++)
        if (strcasecmp(value_get_string(value_member(headers, i)->key, NULL), name) == 0)
            return true;
    return false;
}

struct parts {
    struct value *method, *url, *headers, *body, *redirects;
    const char *content_type;
};

static void parts_release(struct parts *p)
{
    value_unref(p->method);
    value_unref(p->url);
    value_unref(p->headers);
    value_unref(p->body);
    value_unref(p->redirects);
}

static bool eval_json(const struct task *t, const struct expr *e, struct parts *p,
                      struct value **error)
{
    cleanup_value struct value *v = task_try_eval(t, e, error);
    if (!v)
        return false;
    struct buf text = {0};
    value_write(&text, v, JSON_STYLE_COMPACT);
    p->body = value_string(text.data, text.len);
    p->content_type = "application/json";
    buf_release(&text);
    return true;
}

static bool eval_parts(const struct task *t, const struct http_parts *n, struct parts *p,
                       struct value **error)
{
    if (!eval_part(t, n->url, &http_rule_url, &p->url, error) ||
        !eval_part(t, n->method, &http_rule_method, &p->method, error) ||
        !eval_part(t, n->headers, &http_rule_headers, &p->headers, error) ||
        !eval_part(t, n->redirects, &http_rule_redirects, &p->redirects, error) ||
        !(n->json ? eval_json(t, n->json, p, error)
                  : eval_part(t, n->body, &http_rule_body, &p->body, error)))
        return false;
    if (!p->url)
        *error = error_new("ValueError", "http: %s", http_rule_url.what);
    if (p->body && !p->content_type)
        p->content_type = value_type(p->body) == VALUE_STRING ? "text/plain; charset=utf-8"
                                                              : "application/octet-stream";
    return p->url != NULL;
}

static struct value *method_of(const struct parts *p)
{
    return p->method ? upper(p->method) : value_text(p->body ? "POST" : "GET");
}

/* Those given, and the type of the body. */
static struct value *headers_of(const struct parts *p)
{
    struct value *none = p->headers ? value_ref(p->headers) : value_object(NULL, 0);
    if (!p->body || has_header(none, "Content-Type"))
        return none;
    cleanup_value struct value *type = value_text(p->content_type);
    struct value *with = value_with(none, "Content-Type", type);
    value_unref(none);
    return with;
}

bool http_request_eval(const struct task *t, const struct http_node *n, struct leaf_spec *spec,
                       struct value **error)
{
    cleanup(parts_release) struct parts p = {0};
    if (!eval_parts(t, &n->parts, &p, error))
        return false;
    struct value *headers = headers_of(&p);
    struct value_member m[5] = {
        {value_text("method"), method_of(&p)},
        {value_text("url"), value_ref(p.url)},
        {value_text("headers"), headers ? headers : value_null()},
        {value_text("redirects"), p.redirects ? value_ref(p.redirects) : value_int(REDIRECTS)},
    };
    size_t count = 4;
    if (p.body)
        m[count++] = (struct value_member){value_text("body"), value_ref(p.body)};
    spec->request = value_object(m, count);
    if (spec->request && http_request_is_good(spec->request))
        return true;
    bool head = spec->request != NULL && headers;
    *error =
        error_new("ValueError", head ? "http: HEAD takes no body" : "the request is too large");
    return false;
}

static const char *method_text(const struct value *request)
{
    return value_get_string(value_find(request, "method"), NULL);
}

bool http_request_is_good(const struct value *request)
{
    const struct value *method = value_find(request, "method"), *url = value_find(request, "url"),
                       *headers = value_find(request, "headers"),
                       *redirects = value_find(request, "redirects"),
                       *body = value_find(request, "body");
    return method && method_is_good(method) && url && url_is_good(url) && headers &&
           headers_are_good(headers) && redirects && redirects_are_good(redirects) &&
           (!body || (value_is_bytes(body) && strcmp(method_text(request), "HEAD") != 0));
}

bool http_is_repeatable(const struct value *request)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(method_text(request), methods[i]) == 0)
            return true;
    return false;
}

void http_request_text(const struct value *request, struct buf *out)
{
    buf_printf(out, "%s ", method_text(request));
    url_put_public(out, value_get_string(value_find(request, "url"), NULL));
}

/* Answers. */

static bool says_json(const struct value *headers)
{
    const struct value *header = headers ? value_find(headers, "content-type") : NULL;
    const char *type = header ? value_get_string(header, NULL) : "";
    size_t n = strcspn(type, "; ");
    const char *slash = memchr(type, '/', n);
    if (!slash)
        return false;
    return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

/* {status, headers, json or body, …}; without what does not fit in a value. */
static struct value *answer_of(const struct leaf_outcome *o, bool with_body, bool may_parse)
{
    struct value *json = NULL;
    if (may_parse && !o->truncated && says_json(o->headers))
        json = value_parse(o->out, o->out_len, ANSWER_MAX_DEPTH, NULL);
    bool parsed = json != NULL;
    struct value *body = json;
    if (!body)
        body = with_body ? value_from_bytes(o->out, o->out_len) : value_null();
    struct value_member m[5] = {
        {value_text("status"), value_int(o->status)},
        {value_text("headers"), o->headers ? value_ref(o->headers) : value_object(NULL, 0)},
        {value_text(parsed ? "json" : "body"), body},
        {value_text("duration"), value_real(o->duration_s)},
    };
    size_t n = 4;
    if (o->truncated || !with_body)
        m[n++] = (struct value_member){value_text("truncated"), value_bool(true)};
    struct value *v = value_object(m, n);
    if (!v && parsed)
        return answer_of(o, true, false);
    if (!v && with_body)
        return answer_of(o, false, false);
    return v ? v : value_null();
}

static struct value *http_error(const struct leaf_run *run, const char *before, const char *after,
                                struct value *data)
{
    struct buf text = {0};
    buf_addstr(&text, before);
    http_request_text(run->leaf.spec.request, &text);
    buf_addstr(&text, after);
    struct value *error = error_make("HTTPError", buf_cstr(&text), data, NULL);
    buf_release(&text);
    return error;
}

static struct value *refusal(const struct leaf_run *run, const struct leaf_outcome *o)
{
    char before[40];
    snprintf(before, sizeof before, "HTTP %d from ", o->status);
    cleanup_value struct value *data = answer_of(o, true, true);
    return http_error(run, before, "", data);
}

static struct value *failure(const struct leaf_run *run, const struct leaf_outcome *o)
{
    const char *why = o->text ? o->text : "no reason is known";
    struct value_member m = {value_text("reason"), value_from_bytes(why, strlen(why))};
    cleanup_value struct value *data = value_object(&m, 1);
    cleanup_free char *after = xasprintf(": %s", why);
    return http_error(run, "", after, data);
}

void http_take_outcome(struct leaf_run *run, const struct leaf_outcome *o)
{
    if (o->how == LEAF_LOST)
        run->error = error_new("LostError", "%s", o->text ? o->text : "the answer was lost");
    else if (o->how != LEAF_ANSWERED)
        run->error = failure(run, o);
    else if (run->leaf.spec.check && o->status >= 400)
        run->error = refusal(run, o);
    else
        run->result = answer_of(o, true, true);
}
