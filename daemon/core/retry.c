/* Jobs that are made again. */
#include <stdlib.h>

#include "daemon/core/state.h"
#include "proto/errors.h"
#include "proto/mem.h"

enum {
    PAGE_ROWS = 1000,
    PAGE_BYTES = 4 * 1024 * 1024,
    GIVEN_BYTES = 128 * 1024 * 1024, /* as they are stored; far beyond what one value can hold */
};

void origin_free(struct origin *o)
{
    if (!o)
        return;
    free(o->name);
    free(o->pool);
    value_unref(o->labels);
    given_free(o->given);
    free(o);
}

struct retry {
    struct engine *engine;
    uint64_t id;
    bool failed;
    void (*on_done)(void *arg, const struct submitted *r, const struct mistakes *errors,
                    const struct err *err);
    void *arg;
};

static void fail(struct retry *r, int code, const char *text)
{
    struct err err;
    err_set(&err, code, "job %llu: %s", (unsigned long long)r->id, text);
    r->on_done(r->arg, NULL, NULL, &err);
    free(r);
}

static char *dup_cell(const struct rows *row, size_t column)
{
    const char *s = cell_str(row, 0, column);
    return s ? xstrdup(s) : NULL;
}

/* NULL: there is none, or it is damaged (*ok false). */
static struct value *environment_of(const struct cell *data, bool *ok)
{
    *ok = true;
    if (data->type != CELL_BLOB)
        return NULL;
    struct reader r = READER(data->s.p, data->s.len);
    struct value *env = value_load(&r, NULL, NULL);
    *ok = env != NULL;
    return env;
}

static struct origin *origin_of(const struct rows *row, const struct retry *r)
{
    struct origin *o = xcalloc(1, sizeof *o);
    const struct cell *labels = cell_at(row, 0, 5);
    *o = (struct origin){
        .retry_of = r->id,
        .name = dup_cell(row, 2),
        .pool = dup_cell(row, 3),
        .priority = (int)cell_int(row, 0, 4),
        .failed = r->failed,
    };
    if (labels->type == CELL_TEXT)
        o->labels = value_parse(labels->s.p, labels->s.len, VALUE_MAX_DEPTH, NULL);
    return o;
}

static void on_row(void *arg, const struct rows *row, size_t n, const struct err *err)
{
    struct retry *r = arg;
    (void)n;
    if (err || !row->n) {
        fail(r, err ? ERR_STORAGE : ERR_NOT_FOUND, err ? err->text : "it is not there any more");
        return;
    }
    bool ok;
    const struct cell *text = cell_at(row, 0, 8);
    cleanup_value struct value *env = environment_of(cell_at(row, 0, 9), &ok);
    const char *cwd = cell_str(row, 0, 6);
    if (!ok) {
        fail(r, ERR_STORAGE, "its environment is damaged");
        return;
    }
    struct submission s = {
        .uid = (uint32_t)cell_int(row, 0, 0),
        .gid = (uint32_t)cell_int(row, 0, 1),
        .text = text->s.p,
        .len = text->s.len,
        .cwd = cwd,
        .env = env,
        .umask = (int)cell_int(row, 0, 7),
    };
    submission_again(r->engine, &s, origin_of(row, r), r->on_done, r->arg);
    free(r);
}

void engine_retry(struct engine *e, uint64_t id, bool failed,
                  void (*on_done)(void *arg, const struct submitted *r,
                                  const struct mistakes *errors, const struct err *err),
                  void *arg)
{
    struct retry *r = xcalloc(1, sizeof *r);
    *r = (struct retry){e, id, failed, on_done, arg};
    struct batch q = {0};
    struct err err;
    batch_add(&q, ST_JOB_AGAIN);
    batch_int(&q, (int64_t)id);
    if (!store_read(e->store, &q, on_row, r, &err))
        fail(r, ERR_OVERLOADED, err.text);
    batch_release(&q);
}

/* What is given to it. */

struct reading {
    struct engine *engine;
    struct origin *origin;
    uint32_t gatherer;
    int64_t last; /* the end that was read last */
    size_t bytes;
    void (*then)(void *arg, const struct err *err);
    void *arg;
};

static void end_reading(struct reading *r, const struct err *err)
{
    r->then(r->arg, err);
    free(r);
}

static void read_page(struct reading *r);

static void on_page(void *arg, const struct rows *rows, size_t n, const struct err *read_err)
{
    struct reading *r = arg;
    struct err err;
    (void)n;
    if (read_err) {
        err_set(&err, ERR_STORAGE, "job %llu: its results cannot be read: %s",
                (unsigned long long)r->origin->retry_of, read_err->text);
        end_reading(r, &err);
        return;
    }
    for (size_t i = 0; i < rows->n; i++) {
        const struct cell *result = cell_at(rows, i, 2);
        r->last = cell_int(rows, i, 0);
        if (result->type != CELL_BLOB)
            continue;
        r->bytes += result->s.len;
        given_add(r->origin->given, (uint32_t)cell_int(rows, i, 1), result->s.p, result->s.len);
    }
    if (r->bytes > GIVEN_BYTES) {
        err_set(&err, ERR_TOO_LARGE,
                "job %llu: its results take more than %d MiB: retry it as a whole",
                (unsigned long long)r->origin->retry_of, GIVEN_BYTES >> 20);
        end_reading(r, &err);
    } else if (rows->n) {
        read_page(r);
    } else {
        end_reading(r, NULL);
    }
}

static void read_page(struct reading *r)
{
    struct batch q = {0};
    struct err err;
    batch_add(&q, ST_JOB_RESULTS);
    batch_int(&q, (int64_t)r->origin->retry_of);
    batch_int(&q, r->gatherer);
    batch_int(&q, TASK_SUCCEEDED);
    batch_int(&q, r->last);
    batch_int(&q, PAGE_ROWS);
    batch_int(&q, PAGE_BYTES);
    bool ok = store_read(r->engine->store, &q, on_page, r, &err);
    batch_release(&q);
    if (ok)
        return;
    err.code = ERR_OVERLOADED;
    end_reading(r, &err);
}

void retry_read_given(struct engine *e, struct origin *o, const struct program *program,
                      void (*then)(void *arg, const struct err *err), void *arg)
{
    struct reading *r = xcalloc(1, sizeof *r);
    *r = (struct reading){.engine = e, .origin = o, .then = then, .arg = arg};
    r->gatherer = runtime_gatherer(program);
    if (!r->gatherer) {
        struct err err;
        err_set(&err, ERR_STATE,
                "job %llu is no gather over items (as `coro map` makes): only the whole of it can "
                "be retried",
                (unsigned long long)o->retry_of);
        end_reading(r, &err);
        return;
    }
    o->given = given_new();
    read_page(r);
}
