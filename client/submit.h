#ifndef CORO_SUBMIT_H
#define CORO_SUBMIT_H
/* Making job documents out of command lines, and handing documents in. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "client/conn.h"

#define SUBMIT_MAX_BYTES (15u * 1024 * 1024)

/* What `run`, `add` and `map` let one say about a job. */
struct job_options {
    const char *name, *pool, *key, *cwd;
    const char *priority, *timeout, *retry; /* as they were typed; NULL: not given */
    const char *cpu, *on_end;
    int64_t mem_bytes;          /* 0: not given */
    const char **labels, **env; /* KEY=VALUE…; env also NAME: the caller's */
    size_t n_labels, n_env;
    bool hold;
    const char *delay, *at;
    const char **after, **after_any, **after_fail; /* jobs, as ids.h reads them */
    size_t n_after, n_after_any, n_after_fail;
};

/* Puts timeout, retry and limits on a node. False: *err. */
bool job_options_node(const struct job_options *o, json_t *node, struct err *err);
/* The document around `main` (taken over): name (fallback when none was given), pool, priority,
 * labels, cwd, env, hold, delay, at. NULL: *err. */
json_t *job_options_document(const struct job_options *o, json_t *main, const char *fallback,
                             struct err *err);

/* The parameters of job.set for what was said. False: *err. */
bool job_options_set(const struct job_options *o, json_t *params, struct err *err);
/* Puts on a document after which jobs it starts. False: *err. */
bool job_options_after(const struct job_options *o, struct conn *c, json_t *doc, struct err *err);

/* The document of one command. use_stdin: what coro's stdin holds goes with it. NULL: *err. */
json_t *job_options_command(const struct job_options *o, size_t argc, char *const *argv,
                            bool use_stdin, struct err *err);

/*
 * Hands in a document (JSON text) with the caller's directory, environment and umask: job.submit's
 * result. With a key it is sent again when the daemon goes away. NULL: *err and c->mistakes.
 */
json_t *submit_text(struct conn *c, const char *text, size_t len, const char *key, struct err *err);
/* The result of a method that takes a document and nothing else but `more`: members behind it, as
 * ",\"trace\":true", or "". */
json_t *submit_ask(struct conn *c, const char *method, const char *text, size_t len,
                   const char *more, struct err *err);
/* The same as submit_text() for a document of ours (taken over). */
json_t *submit_document(struct conn *c, json_t *document, const char *key, struct err *err);
/* Says why a document was refused, or what is odd about one that was not: path and text as in
 * place_complain(); text NULL for a document of ours. The exit status. */
int submit_refused(struct conn *c, const char *path, const char *text, size_t len,
                   const struct err *err);

#endif
