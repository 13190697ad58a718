/* What the executor is told of a leaf: its words, environment, directory and limits as bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/core/state.h"
#include "proto/mem.h"

/* A spool keeps what is not yet taken in a log's tail, a quarter of its cap: the longest line, and
 * what is read ahead of it. */
#define SPOOL_CAP_BYTES (4ull * (VALUE_MAX_BYTES + 8ull * EXEC_SPOOL_WINDOW_BYTES))

/* What words, environment and stdin may have together; the rest of a message is small. */
enum { START_MAX_BYTES = EXEC_FRAME_MAX_BYTES - 64 * 1024 };

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

/* The bytes that a string, a number or {"base64": …} stands for. */
static bool value_bytes_of(const struct value *v, struct buf *out, const char *what,
                           struct err *err)
{
    if (value_is_number(v))
        value_write_text(out, v);
    else if (!value_to_bytes(v, out))
        return err_set(err, EINVAL, "%s must be a string, a number or {\"base64\": …}, not %s",
                       what, value_type_name(v));
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

/* Variables in layers: a name that is there already is replaced. Found by hash: both what a client
 * sends and what a document says may have very many. */
struct variables {
    const struct value_member **all;
    size_t n;
    struct map places; /* hash of the name → its place + 1 */
};

static void variables_release(struct variables *v)
{
    free(v->all);
    map_release(&v->places);
}

static void add_layer(struct variables *v, const struct value *layer)
{
    for (size_t i = 0; i < value_count(layer); i++) {
        const struct value_member *m = value_member(layer, i);
        size_t len;
        const char *name = value_get_string(m->key, &len);
        uint64_t hash = map_key(name, len);
        size_t at = (uintptr_t)map_get(&v->places, hash);
        if (at && value_equal(v->all[at - 1]->key, m->key)) {
            v->all[at - 1] = m;
            continue;
        }
        v->all[v->n++] = m;
        map_put(&v->places, hash, (void *)(uintptr_t)v->n);
    }
}

/* Ours, told by us alone: a job that was submitted by a command brings those of that command. */
static bool is_ours(const char *name)
{
    return strcmp(name, "CORO_JOB") == 0 || strcmp(name, "CORO_TASK") == 0 ||
           strcmp(name, "CORO_ATTEMPT") == 0;
}

static bool put_variables(const struct variables *v, struct strings *env, struct err *err)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct value_member *m = v->all[i];
        const char *name = value_get_string(m->key, NULL);
        if (value_type(m->value) == VALUE_NULL || is_ours(name))
            continue; /* taken away */
        if (!*name || strchr(name, '='))
            return err_set(err, EINVAL, "env: \"%.100s\" is no name for a variable", name);
        cleanup_free char *value = c_string(m->value, "env", err);
        if (!value)
            return err_prefix(err, "%.100s", name);
        strings_add(env, xasprintf("%s=%s", name, value));
    }
    return true;
}

static bool build_env(const struct live *job, const struct leaf *leaf, struct strings *env,
                      struct err *err)
{
    const struct document *doc = program_document(job->program->program);
    const struct value *layers[] = {job->environment ? job->environment->environment : NULL,
                                    doc->env, leaf->spec.env};
    cleanup(variables_release) struct variables v = {0};
    size_t room = 0;
    for (size_t i = 0; i < ARRAY_LEN(layers); i++)
        room += layers[i] ? value_count(layers[i]) : 0;
    v.all = xmalloc((room + 1) * sizeof *v.all);
    for (size_t i = 0; i < ARRAY_LEN(layers); i++) {
        if (layers[i])
            add_layer(&v, layers[i]);
    }
    if (!put_variables(&v, env, err))
        return false;
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

char *path_in(const char *dir, const char *path)
{
    if (path && *path != '/')
        return xasprintf("%s/%s", dir ? dir : "", path);
    return path ? xstrdup(path) : dir ? xstrdup(dir) : NULL;
}

static bool build_cwd(const struct live *job, const struct leaf *leaf, char **ret, struct err *err)
{
    cleanup_free char *own = leaf->spec.cwd ? c_string(leaf->spec.cwd, "cwd", err) : NULL;
    if (leaf->spec.cwd && !own)
        return false;
    *ret = path_in(job->cwd, own);
    return true;
}

/* More than a message to the executor holds: refused here, or it would be no message. */
static bool check_size(const struct strings *argv, const struct strings *env, size_t other_bytes,
                       struct err *err)
{
    const struct strings *lists[] = {argv, env};
    size_t bytes = other_bytes;
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            bytes += strlen(lists[k]->all[i]) + 5; /* its NUL and its length */
    return bytes <= START_MAX_BYTES ||
           err_set(err, E2BIG,
                   "its words, environment and stdin have %zu bytes together, %d are possible",
                   bytes, START_MAX_BYTES);
}

/* As setrlimit(2) and systemd.exec(5) name them. */
static const struct {
    const char *name;
    uint32_t resource;
} limit_names[] = {
    {"as", RLIMIT_AS},         {"core", RLIMIT_CORE},   {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},     {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK},
    {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK},
};

enum { N_LIMITS = ARRAY_LEN(limit_names) };

static bool build_limits(const struct value *limits, struct exec_limit out[N_LIMITS], size_t *n,
                         struct err *err)
{
    for (size_t i = 0; i < value_count(limits); i++) {
        const struct value_member *m = value_member(limits, i);
        const char *name = value_get_string(m->key, NULL);
        size_t k = 0;
        while (k < N_LIMITS && strcmp(limit_names[k].name, name) != 0)
            k++;
        if (k == N_LIMITS)
            return err_set(err, EINVAL, "limits: there is no limit \"%.100s\"", name);
        if (value_type(m->value) != VALUE_INT || value_get_int(m->value) < 0)
            return err_set(err, EINVAL, "limits: %s takes a whole number, 0 or more", name);
        uint64_t v = (uint64_t)value_get_int(m->value);
        out[(*n)++] = (struct exec_limit){limit_names[k].resource, v, v};
    }
    return true;
}

static bool build_files(const struct leaf_spec *spec, char *files[STREAMS], bool append[STREAMS],
                        struct err *err)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    for (int i = 0; i < STREAMS; i++) {
        const struct value *path = stream_path(spec->streams[i], &append[i]);
        if (path && !(files[i] = c_string(path, names[i], err)))
            return false;
    }
    return true;
}

static bool has_input(const struct leaf_spec *spec)
{
    bool append;
    return spec->streams[STREAM_IN] && !stream_path(spec->streams[STREAM_IN], &append);
}

bool attempt_send(struct engine *e, const struct attempt *a, struct err *err)
{
    const struct live *job = engine_job(e, a->job);
    if (!job)
        return err_set(err, ENOENT, "its job is gone");
    struct strings argv = {0}, env = {0};
    struct buf input = {0};
    struct exec_limit limits[N_LIMITS];
    size_t n_limits = 0;
    char *cwd = NULL, *files[STREAMS] = {NULL};
    bool append[STREAMS] = {false};
    const struct leaf_spec *spec = &a->leaf->spec;
    bool ok =
        build_argv(a->leaf, &argv, err) && build_env(job, a->leaf, &env, err) &&
        build_cwd(job, a->leaf, &cwd, err) &&
        (!spec->limits || build_limits(spec->limits, limits, &n_limits, err)) &&
        build_files(spec, files, append, err) &&
        (!has_input(spec) || value_bytes_of(spec->streams[STREAM_IN], &input, "stdin", err)) &&
        check_size(&argv, &env, input.len + (cwd ? strlen(cwd) : 0), err);
    if (ok) {
        struct exec_start start = {
            .number = a->number,
            .uid = job->uid,
            .argv = (const char *const *)argv.all,
            .env = (const char *const *)env.all,
            .cwd = cwd,
            .input = has_input(spec) ? buf_cstr(&input) : NULL,
            .input_len = input.len,
            .umask = (uint32_t)job->umask,
            .grace_ms = (uint32_t)(e->config->kill_grace_ms),
            .log_cap_bytes = (uint64_t)e->config->log_cap_bytes,
            .merge_stderr = stream_is_stdout(spec->streams[STREAM_ERR]),
            .files = {files[STREAM_IN], files[STREAM_OUT], files[STREAM_ERR]},
            .append = {false, append[STREAM_OUT], append[STREAM_ERR]},
            .keep_leftovers = spec->leftover_keep,
            .limits = limits,
            .n_limits = n_limits,
        };
        if (spec->lines) {
            start.window_bytes = EXEC_SPOOL_WINDOW_BYTES;
            if (start.log_cap_bytes < SPOOL_CAP_BYTES)
                start.log_cap_bytes = SPOOL_CAP_BYTES;
        }
        exec_start(e->exec, &start);
    }
    strings_release(&argv);
    strings_release(&env);
    buf_release(&input);
    free(cwd);
    for (int i = 0; i < STREAMS; i++)
        free(files[i]);
    return ok;
}
