/* `http: {method, url, …}`: one request. */
#include "daemon/task/leaf_http.h"

/* A literal is checked at once. */
static void parse_part(struct parser *p, const json_t *json, void *out,
                       const struct http_rule *rule)
{
    struct expr *e = parser_expr(p, json);
    *(struct expr **)out = e;
    const struct value *v = expr_literal(e);
    if (v && value_type(v) != VALUE_NULL && !rule->is_good(v))
        parser_complain(p, NULL, "%s", rule->what);
}

static void release_part(void *out)
{
    expr_free(*(struct expr **)out);
}

#define PART(name, words)                                                                          \
    static void parse_##name(struct parser *p, const json_t *json, void *out)                      \
    {                                                                                              \
        parse_part(p, json, out, &http_rule_##name);                                               \
    }                                                                                              \
    static const struct field_type type_##name = {parse_##name, release_part, words}
PART(method, "a string");
PART(url, "a string");
PART(headers, "an object of strings");
PART(body, "a string or {\"base64\"}");
PART(redirects, "a whole number");
#undef PART

/* Keys of the node, not of the request. */
static void parse_beside(struct parser *p, const json_t *json, void *out)
{
    (void)json;
    (void)out;
    parser_complain(p, NULL, "this key stands beside \"http\", not in it");
}

static void release_nothing(void *out)
{
    (void)out;
}

static const struct field_type type_beside = {parse_beside, release_nothing, "nothing"};

#define BESIDE(name)                                                                               \
    {                                                                                              \
        name, &type_beside, 0, false, NULL                                                         \
    }
static const struct field part_fields[] = {
    {"method", &type_method, offsetof(struct http_parts, method), false, NULL},
    {"url", &type_url, offsetof(struct http_parts, url), true, NULL},
    {"headers", &type_headers, offsetof(struct http_parts, headers), false, NULL},
    {"body", &type_body, offsetof(struct http_parts, body), false, NULL},
    {"json", &field_expr, offsetof(struct http_parts, json), false, NULL},
    {"redirects", &type_redirects, offsetof(struct http_parts, redirects), false, NULL},
    BESIDE("check"),
    BESIDE("timeout"),
    BESIDE("retry"),
    BESIDE("pool"),
    BESIDE("priority"),
    BESIDE("slots"),
    BESIDE("on_lost"),
    BESIDE("simulate"),
    {NULL}};
#undef BESIDE

/* A string alone is the url. */
static void parse_request(struct parser *p, const json_t *json, void *out)
{
    struct http_parts *parts = out;
    if (json_is_string(json))
        parse_url(p, json, &parts->url);
    else
        parser_fields(p, "\"http\"", part_fields, json, parts);
    if (parts->body && parts->json)
        parser_complain(p, NULL, "\"body\" and \"json\" exclude each other");
}

static void release_request(void *out)
{
    struct http_parts *parts = out;
    expr_free(parts->method);
    expr_free(parts->url);
    expr_free(parts->headers);
    expr_free(parts->body);
    expr_free(parts->json);
    expr_free(parts->redirects);
}

static const struct field_type type_request = {
    parse_request, release_request, "{\"url\", \"method\", \"headers\", \"body\" or \"json\"}"};

static const struct field http_fields[] = {
    {"http", &type_request, offsetof(struct http_node, parts), true,
     "The request: an object, or only its address."},
    LEAF_FIELDS("false: a status of 400 or more is no error."),
    {"simulate", &field_simulate_http, offsetof(struct leaf_node, simulate), false,
     "What answers when the job is only simulated."},
    {NULL}};

const struct node_kind node_http = LEAF_KIND("http", http_fields, struct http_node);
