/* job.ends, job.attempts: a job's tasks and commands page by page, however many there are. */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "proto/mem.h"
#include "proto/state.h"

struct page {
    uint64_t job;
    size_t limit;
};

/* A page's rows: what it asks of the store is one more than it shows. */
static void read_page(struct request *r, uint64_t job, enum statement s, int64_t after,
                      int64_t limit,
                      void (*then)(struct request *r, const struct rows *sets, size_t n))
{
    struct batch q = {0};
    struct page *p = xcalloc(1, sizeof *p);
    p->job = job;
    p->limit = (size_t)limit;
    r->state = p;
    r->state_free = free;
    batch_add(&q, ST_JOB_BRIEF);
    batch_int(&q, (int64_t)job);
    batch_add(&q, s);
    batch_int(&q, (int64_t)job);
    batch_int(&q, after);
    batch_int(&q, limit + 1);
    request_read(r, &q, then);
    batch_release(&q);
}

static size_t shown(const struct page *p, const struct rows *rows)
{
    return rows->n < p->limit ? rows->n : p->limit;
}

/* False: the job is not there, or not the peer's, and the request is answered. */
static bool begin_page(struct request *r, const struct rows *job, const char *what,
                       struct json_out *o)
{
    const struct page *p = r->state;
    if (!request_may(r, job, p->job))
        return false;
    jout_begin_object(o);
    jout_key(o, what);
    jout_begin_array(o);
    return true;
}

/* `next` is the number in the first column of the last row shown. */
static void end_page(struct request *r, const struct page *p, const struct rows *rows,
                     struct json_out *o)
{
    jout_end_array(o);
    if (rows->n > p->limit) {
        jout_key(o, "next");
        jout_int(o, cell_int(rows, p->limit - 1, 0));
    }
    jout_end_object(o);
    request_result(r, o->out);
}

enum { END_SEQ, END_TASK, END_STATE, END_FINISHED, END_ERROR };

static void on_ends(struct request *r, const struct rows *sets, size_t n)
{
    const struct page *p = r->state;
    const struct rows *ends = &sets[1];
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)n;
    if (!begin_page(r, &sets[0], "ends", &o))
        return;
    for (size_t i = 0; i < shown(p, ends); i++) {
        const char *error = cell_str(ends, i, END_ERROR);
        jout_begin_object(&o);
        jout_key(&o, "seq");
        jout_int(&o, cell_int(ends, i, END_SEQ));
        jout_key(&o, "task");
        jout_printf(&o, "%llu.%lld", (unsigned long long)p->job,
                    (long long)cell_int(ends, i, END_TASK));
        jout_key(&o, "state");
        jout_text(&o, task_state_name((enum task_state)cell_int(ends, i, END_STATE)));
        jout_key(&o, "finished");
        jout_time(&o, cell_int(ends, i, END_FINISHED));
        if (error) {
            jout_key(&o, "error");
            jout_raw(&o, error, strlen(error));
        }
        jout_end_object(&o);
    }
    end_page(r, p, ends, &o);
}

void method_job_ends(struct request *r, const struct job_ends_params *p)
{
    read_page(r, p->id, ST_JOB_END_LIST, p->after, p->limit, on_ends);
}

static void on_attempts(struct request *r, const struct rows *sets, size_t n)
{
    const struct page *p = r->state;
    const struct rows *attempts = &sets[1];
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)n;
    if (!begin_page(r, &sets[0], "attempts", &o))
        return;
    for (size_t i = 0; i < shown(p, attempts); i++)
        attempt_write(attempts, i, p->job, &o);
    end_page(r, p, attempts, &o);
}

void method_job_attempts(struct request *r, const struct job_attempts_params *p)
{
    read_page(r, p->id, ST_JOB_ATTEMPTS, p->after, p->limit, on_attempts);
}
