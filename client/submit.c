#include "client/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ids.h"
#include "client/place.h"
#include "client/text.h"
#include "client/view.h"
#include "client/words.h"
#include "proto/errors.h"
#include "proto/json_out.h"
#include "proto/mem.h"

#define PATIENCE_S   60
#define MISTAKES_MAX 100 /* the daemon tells no more of them */

/* As setrlimit(2) has them: address space in bytes, processor time in whole seconds. */
static bool fill_limits(const struct job_options *o, json_t *node, struct err *err)
{
    json_t *limits = json_object();
    double s;

    json_object_set_new(node, "limits", limits);
    if (o->mem_bytes > 0)
        json_object_set_new(limits, "as", json_integer(o->mem_bytes));
    if (o->cpu != NULL) {
        if (!text_duration(o->cpu, &s, err))
            return err_prefix(err, "--cpu");
        json_object_set_new(limits, "cpu", json_integer((json_int_t)(s + 0.999)));
    }
    return true;
}

bool job_options_node(const struct job_options *o, json_t *node, struct err *err)
{
    if (o->timeout != NULL) {
        double s;
        if (!text_duration(o->timeout, &s, err))
            return err_prefix(err, "--timeout");
        json_object_set_new(node, "timeout", json_real(s));
    }
    if (o->retry != NULL) {
        int64_t n;
        if (!text_whole(o->retry, 1, 1000000, &n, err))
            return err_prefix(err, "--retry");
        json_object_set_new(node, "retry", json_integer(n));
    }
    if (o->mem_bytes > 0 || o->cpu != NULL)
        return fill_limits(o, node, err);
    return true;
}

/* KEY=VALUE words as an object; `inherit`: a word without "=" takes the caller's variable. */
static bool pairs(json_t *object, const char **words, size_t n, bool inherit, const char *option,
                  struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const char *equals = strchr(words[i], '=');
        const char *value = equals != NULL ? equals + 1 : inherit ? getenv(words[i]) : "";
        size_t len = equals != NULL ? (size_t)(equals - words[i]) : strlen(words[i]);
        if (len == 0 || !text_is_utf8(words[i], len))
            return err_set(err, EINVAL, "%s: \"%s\" is no NAME=VALUE", option, words[i]);
        if (value == NULL)
            continue;
        cleanup_free char *name = xstrndup(words[i], len);
        if (!inherit && !text_is_utf8(value, strlen(value)))
            return err_set(err, EINVAL, "%s: the value of \"%s\" is not UTF-8", option, name);
        json_object_set_new(object, name,
                            inherit ? word_plain(value, strlen(value)) : json_string(value));
    }
    return true;
}

/* When it may start. */
static bool fill_start(const struct job_options *o, json_t *doc, struct err *err)
{
    double s;
    char at[RFC3339_SIZE];

    if (o->hold)
        json_object_set_new(doc, "hold", json_true());
    if (o->delay != NULL) {
        if (!text_duration(o->delay, &s, err))
            return err_prefix(err, "--delay");
        json_object_set_new(doc, "delay", json_real(s));
    }
    if (o->at != NULL) {
        if (!text_moment_to_come(o->at, view_now_s(), &s, err))
            return err_prefix(err, "--at");
        rfc3339_format(at, (int64_t)(s * 1e6));
        json_object_set_new(doc, "at", json_string(at));
    }
    return true;
}

static bool fill(const struct job_options *o, json_t *doc, struct err *err)
{
    if (o->pool != NULL)
        json_object_set_new(doc, "pool", json_string(o->pool));
    if (o->cwd != NULL) {
        cleanup_free char *absolute = realpath(o->cwd, NULL);
        if (absolute == NULL)
            return err_errno(err, "--cwd %s", o->cwd);
        json_object_set_new(doc, "cwd", word_plain(absolute, strlen(absolute)));
    }
    if (o->priority != NULL) {
        int64_t n;
        if (!text_whole(o->priority, -1000, 1000, &n, err))
            return err_prefix(err, "--priority");
        json_object_set_new(doc, "priority", json_integer(n));
    }
    if (o->n_labels > 0) {
        json_t *labels = json_object();
        json_object_set_new(doc, "labels", labels);
        if (!pairs(labels, o->labels, o->n_labels, false, "--label", err))
            return false;
    }
    if (o->n_env > 0) {
        json_t *env = json_object();
        json_object_set_new(doc, "env", env);
        if (!pairs(env, o->env, o->n_env, true, "--env", err))
            return false;
    }
    return fill_start(o, doc, err);
}

bool job_options_set(const struct job_options *o, json_t *params, struct err *err)
{
    if (o->name != NULL)
        json_object_set_new(params, "name", json_string(o->name));
    if (!fill(o, params, err))
        return false;
    return json_object_size(params) > 0 ||
           err_set(err, EINVAL,
                   "what is to be set? --name, --pool, --priority, --label, --delay or --at");
}

static bool add_after(struct conn *c, json_t *after, const char *kind, const char **words, size_t n,
                      const char *option, struct err *err)
{
    if (n == 0)
        return true;
    json_t *ids = ids_resolve(c, (char *const *)(uintptr_t)words, n, IDS_ALL_LIVE, err);
    if (ids == NULL)
        return err_prefix(err, "%s", option);
    json_object_set_new(after, kind, ids);
    return true;
}

bool job_options_after(const struct job_options *o, struct conn *c, json_t *doc, struct err *err)
{
    json_t *after = json_object();
    bool ok = add_after(c, after, "ok", o->after, o->n_after, "--after", err) &&
              add_after(c, after, "any", o->after_any, o->n_after_any, "--after-any", err) &&
              add_after(c, after, "fail", o->after_fail, o->n_after_fail, "--after-fail", err);
    if (ok && json_object_size(after) > 0)
        json_object_set(doc, "after", after);
    json_decref(after);
    return ok;
}

json_t *job_options_document(const struct job_options *o, json_t *main, const char *fallback,
                             struct err *err)
{
    json_t *doc = json_object();
    const char *name = o->name != NULL ? o->name : fallback;

    if (name != NULL)
        json_object_set_new(doc, "name", json_string(name));
    if (!fill(o, doc, err)) {
        json_decref(doc);
        json_decref(main);
        return NULL;
    }
    json_object_set_new(doc, "main", main);
    return doc;
}

static bool add_stdin(json_t *node, struct err *err)
{
    struct buf in = {0};
    bool ok = place_read("-", SUBMIT_MAX_BYTES / 2, &in, err);
    if (ok)
        json_object_set_new(node, "stdin", word_escaped(in.data != NULL ? in.data : "", in.len));
    buf_release(&in);
    return ok;
}

json_t *job_options_command(const struct job_options *o, size_t argc, char *const *argv,
                            bool use_stdin, struct err *err)
{
    json_t *words = json_array(), *node = json_pack("{s:o}", "run", words);

    for (size_t i = 0; i < argc; i++)
        json_array_append_new(words, word_escaped(argv[i], strlen(argv[i])));
    if (!job_options_node(o, node, err) || (use_stdin && !add_stdin(node, err))) {
        json_decref(node);
        return NULL;
    }
    if (o->on_end != NULL)
        node =
            json_pack("{s:o, s:{s:s, s:b}}", "try", node, "finally", "sh", o->on_end, "check", 0);
    cleanup_free char *line = words_line(argv, argc, 120);
    return job_options_document(o, node, line, err);
}

static mode_t current_umask(void)
{
    mode_t mask = umask(077);
    umask(mask);
    return mask;
}

/* Opens params with a document in one line: an end of line is never inside a JSON string. */
static void put_document(struct buf *out, const char *text, size_t len)
{
    buf_addstr(out, "{\"job\":");
    size_t start = out->len;
    buf_add(out, text, len);
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '\n' || out->data[i] == '\r')
            out->data[i] = ' ';
    }
}

/* The params of job.submit around the document's text, in one line. */
static char *params_text(const char *text, size_t len, const char *key, struct err *err)
{
    struct buf out = {0};
    cleanup_free char *cwd = getcwd(NULL, 0);
    if (cwd == NULL) { /* in another one commands might do harm */
        err_errno(err, "this directory, where commands would run");
        return NULL;
    }
    json_t *rest = json_object();
    json_object_set_new(rest, "env", words_environment());
    json_object_set_new(rest, "umask", json_integer((json_int_t)current_umask()));
    json_object_set_new(rest, "cwd", word_plain(cwd, strlen(cwd)));
    if (key != NULL)
        json_object_set_new(rest, "key", json_string(key));
    cleanup_free char *tail = json_dumps(rest, JSON_COMPACT);
    json_decref(rest);
    put_document(&out, text, len);
    buf_addch(&out, ',');
    buf_addstr(&out, tail != NULL ? tail + 1 : "}");
    return buf_steal(&out);
}

json_t *submit_text(struct conn *c, const char *text, size_t len, const char *key, struct err *err)
{
    cleanup_free char *params = params_text(text, len, key, err);

    if (params == NULL)
        return NULL;
    for (;;) {
        json_t *result = conn_reply(c, conn_send_text(c, "job.submit", params), err);
        if (result != NULL || !conn_is_gone(err))
            return result;
        if (key == NULL) {
            err_prefix(err, "no answer (`coro ls` shows whether the job was taken)");
            return NULL;
        }
        if (!conn_reopen(c, PATIENCE_S, err))
            return NULL;
    }
}

json_t *submit_ask(struct conn *c, const char *method, const char *text, size_t len,
                   const char *more, struct err *err)
{
    struct buf params = {0};
    put_document(&params, text, len);
    buf_addstr(&params, more);
    buf_addch(&params, '}');
    json_t *result = conn_reply(c, conn_send_text(c, method, buf_cstr(&params)), err);
    buf_release(&params);
    return result;
}

json_t *submit_document(struct conn *c, json_t *document, const char *key, struct err *err)
{
    cleanup_free char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (text == NULL) {
        err_set(err, EINVAL, "a name, pool, key or label is not UTF-8");
        return NULL;
    }
    return submit_text(c, text, strlen(text), key, err);
}

int submit_refused(struct conn *c, const char *path, const char *text, size_t len,
                   const struct err *err)
{
    if (err->code != ERR_INVALID_JOB || !json_is_array(c->mistakes))
        return cli_fail(c->cli, err);
    place_complain(c->cli, path, text, len, NULL, c->mistakes);
    if (json_array_size(c->mistakes) >= MISTAKES_MAX)
        cli_note(c->cli, "there may be more mistakes than these");
    return EXIT_COROD;
}
