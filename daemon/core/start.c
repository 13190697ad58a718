/* What the executor is told of a leaf: its words, environment, directory and limits as bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/mem.h"

/* Strings for exec_start, freed together. */
struct strings {
    char **all; /* NULL-terminated once finished */
    size_t n, cap;
};

static void strings_release(struct strings *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->all[i]);
    free(s->all);
}

static void strings_add(struct strings *s, char *text)
{
    s->all = xgrow(s->all, &s->cap, s->n + 2, sizeof *s->all);
    s->all[s->n++] = text;
    s->all[s->n] = NULL;
}

static int digit64(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* RFC 4648, section 4. */
static bool decode64(const char *s, size_t len, struct buf *out)
{
    while (len && s[len - 1] == '=')
        len--;
    uint32_t bits = 0;
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        int d = digit64(s[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        n += 6;
        if (n >= 8) {
            n -= 8;
            buf_addch(out, (char)(unsigned char)(bits >> n));
        }
    }
    return n < 6;
}

/* The bytes that a string, a number or {"base64": …} stands for. */
static bool value_bytes_of(const struct value *v, struct buf *out, const char *what,
                           struct err *err)
{
    const struct value *base64 = value_find(v, "base64");
    size_t len;
    if (value_type(v) == VALUE_STRING) {
        const char *s = value_get_string(v, &len);
        buf_add(out, s, len);
    } else if (value_is_number(v)) {
        value_write_text(out, v);
    } else if (base64 && value_count(v) == 1 && value_type(base64) == VALUE_STRING) {
        const char *s = value_get_string(base64, &len);
        if (!decode64(s, len, out))
            return err_set(err, EINVAL, "%s: not base64", what);
    } else {
        return err_set(err, EINVAL, "%s must be a string, a number or {\"base64\": …}, not %s",
                       what, value_type_name(v));
    }
    return true;
}

/* As above, for what the system takes as a C string; for the caller to free(). */
static char *c_string(const struct value *v, const char *what, struct err *err)
{
    struct buf b = {0};
    if (!value_bytes_of(v, &b, what, err)) {
        buf_release(&b);
        return NULL;
    }
    if (b.len && memchr(b.data, '\0', b.len)) {
        buf_release(&b);
        err_set(err, EINVAL, "%s holds a NUL byte", what);
        return NULL;
    }
    return buf_steal(&b);
}

/* Later layers of the environment win; null takes a name away. */
static struct value *merge_env(struct value *base, const struct value *over)
{
    for (size_t i = 0; i < value_count(over); i++) {
        const struct value_member *m = value_member(over, i);
        struct value *next = value_with(base, value_get_string(m->key, NULL), m->value);
        value_unref(base);
        base = next;
    }
    return base;
}

static bool build_env(const struct live *job, const struct leaf *leaf, struct strings *env,
                      struct err *err)
{
    const struct document *doc = program_document(job->program->program);
    cleanup_value struct value *merged =
        job->environment ? value_ref(job->environment->environment) : value_object(NULL, 0);
    if (doc->env)
        merged = merge_env(merged, doc->env);
    if (leaf->spec.env)
        merged = merge_env(merged, leaf->spec.env);
    for (size_t i = 0; i < value_count(merged); i++) {
        const struct value_member *m = value_member(merged, i);
        const char *name = value_get_string(m->key, NULL);
        if (value_type(m->value) == VALUE_NULL)
            continue;
        if (!*name || strchr(name, '='))
            return err_set(err, EINVAL, "env: \"%.100s\" is no name for a variable", name);
        cleanup_free char *value = c_string(m->value, "env", err);
        if (!value)
            return err_prefix(err, "%.100s", name);
        strings_add(env, xasprintf("%s=%s", name, value));
    }
    strings_add(env, xasprintf("CORO_JOB=%llu", (unsigned long long)job->id));
    strings_add(env, xasprintf("CORO_TASK=%llu.%u", (unsigned long long)job->id, leaf->task));
    return true;
}

static bool build_argv(const struct leaf *leaf, struct strings *argv, struct err *err)
{
    size_t n = value_count(leaf->spec.argv);
    if (value_type(leaf->spec.argv) != VALUE_LIST || !n)
        return err_set(err, EINVAL, "run takes a list with at least the program's name");
    for (size_t i = 0; i < n; i++) {
        char *word = c_string(value_item(leaf->spec.argv, i), "a word of the command", err);
        if (!word)
            return false;
        strings_add(argv, word);
    }
    return true;
}

/* A relative directory is the job's. */
static bool build_cwd(const struct live *job, const struct leaf *leaf, char **ret, struct err *err)
{
    char *cwd = NULL;
    if (leaf->spec.cwd) {
        cwd = c_string(leaf->spec.cwd, "cwd", err);
        if (!cwd)
            return false;
    }
    if (cwd && cwd[0] != '/' && job->cwd) {
        char *whole = xasprintf("%s/%s", job->cwd, cwd);
        free(cwd);
        cwd = whole;
    }
    *ret = cwd ? cwd : job->cwd ? xstrdup(job->cwd) : NULL;
    return true;
}

bool attempt_send(struct engine *e, const struct attempt *a, struct err *err)
{
    const struct live *job = engine_job(e, a->job);
    if (!job)
        return err_set(err, ENOENT, "its job is gone");
    struct strings argv = {0}, env = {0};
    struct buf input = {0};
    char *cwd = NULL;
    const struct leaf_spec *spec = &a->leaf->spec;
    bool ok = build_argv(a->leaf, &argv, err) && build_env(job, a->leaf, &env, err) &&
              build_cwd(job, a->leaf, &cwd, err) &&
              (!spec->stdin_data || value_bytes_of(spec->stdin_data, &input, "stdin", err));
    if (ok) {
        struct exec_start start = {
            .number = a->number,
            .uid = job->uid,
            .argv = (const char *const *)argv.all,
            .env = (const char *const *)env.all,
            .cwd = cwd,
            .input = spec->stdin_data ? buf_cstr(&input) : NULL,
            .input_len = input.len,
            .umask = (uint32_t)job->umask,
            .grace_ms = (uint32_t)(e->config->kill_grace_ms),
            .log_cap_bytes = (uint64_t)e->config->log_cap_bytes,
            .merge_stderr = spec->stderr_to_stdout,
            .keep_leftovers = spec->leftover_keep,
        };
        exec_start(e->exec, &start);
    }
    strings_release(&argv);
    strings_release(&env);
    buf_release(&input);
    free(cwd);
    return ok;
}

void leaf_command_text(const struct leaf *leaf, struct buf *out)
{
    enum { MAX = 200 };
    for (size_t i = 0; i < value_count(leaf->spec.argv) && out->len < MAX; i++) {
        size_t len;
        const char *word = value_get_string(value_item(leaf->spec.argv, i), &len);
        if (i)
            buf_addch(out, ' ');
        buf_add(out, word, len < MAX ? len : MAX);
    }
    if (out->len > MAX) {
        out->len = MAX;
        while (out->len && ((unsigned char)out->data[out->len] & 0xc0) == 0x80)
            out->len--;
        buf_addstr(out, "…");
    }
}
