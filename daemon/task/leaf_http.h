#ifndef COROD_TASK_LEAF_HTTP_H
#define COROD_TASK_LEAF_HTTP_H
/* What the leaf `http` has of its own (leaf_http.c); the rest is as for commands (leaf.h). */
#include "daemon/task/leaf.h"

/* Its node begins as a command's does. */
struct http_node {
    struct leaf_node leaf;
    struct http_parts {
        struct expr *method, *url, *headers, *body, *json, *redirects;
    } parts;
};

/* Rules for literals and for what is computed: whether v is good, and what it has to be. */
struct http_rule {
    bool (*is_good)(const struct value *v);
    const char *what;
};
extern const struct http_rule http_rule_method, http_rule_url, http_rule_headers, http_rule_body,
    http_rule_redirects;

/* spec->request of the node; false: *error. */
bool http_request_eval(const struct task *t, const struct http_node *n, struct leaf_spec *spec,
                       struct value **error);
/* Whether a request that was interrupted is sent again unless the document says otherwise. */
bool http_is_repeatable(const struct value *request);
/* What a row gave is a request that http_request_eval() could have made. */
bool http_request_is_good(const struct value *request);
/* `GET http://host/path`: no user, no password, no query. */
void http_request_text(const struct value *request, struct buf *out);
/* The result or the error that the end makes. */
void http_take_outcome(struct leaf_run *run, const struct leaf_outcome *o);

#endif
