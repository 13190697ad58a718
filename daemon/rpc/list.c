/* job.list */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/users.h"
#include "proto/errors.h"
#include "proto/mem.h"

/* Ids that one page looks at: a question that hardly any job answers takes many short pages, not a
 * long one. */
enum { WINDOW_IDS = 50000 };

struct list {
    size_t limit;
};

static void on_rows(struct request *r, const struct rows *sets, size_t n)
{
    const struct list *l = r->state;
    const struct rows *jobs = &sets[0];
    size_t shown = jobs->n < l->limit ? jobs->n : l->limit;
    struct buf b = {0};
    struct json_out o = {.out = &b};
    /* A window that was not enough goes on below the next job there is. */
    int64_t next = n > 1 ? cell_int(&sets[1], 0, 0) + 1 : 1;
    if (jobs->n > shown)
        next = cell_int(jobs, shown - 1, JOB_ID);
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jout_begin_array(&o);
    for (size_t i = 0; i < shown; i++) {
        jout_begin_object(&o);
        job_write(r->server->engine, jobs, i, NULL, &o);
        jout_end_object(&o);
    }
    jout_end_array(&o);
    if (next > 1) {
        jout_key(&o, "next");
        jout_printf(&o, "%lld", (long long)next);
    }
    jout_end_object(&o);
    request_result(r, &b);
}

static void add_label(struct batch *q, const char *label)
{
    const char *equals = label ? strchr(label, '=') : NULL;
    if (!label) {
        batch_null(q);
        batch_null(q);
    } else if (!equals) {
        batch_str(q, label);
        batch_null(q);
    } else {
        batch_text(q, label, (size_t)(equals - label));
        batch_str(q, equals + 1);
    }
}

/* As a JSON array, for json_each(). */
static void add_ids(struct batch *q, const json_t *ids)
{
    struct buf b = {0};
    for (size_t i = 0; i < json_field_id_count(ids); i++)
        buf_printf(&b, "%s%llu", i ? "," : "[", (unsigned long long)json_field_id_at(ids, i));
    buf_addch(&b, ']');
    batch_text(q, b.data, b.len);
    buf_release(&b);
}

/* Whose jobs: -1 all. False: nobody's. */
static bool whose(const struct request *r, const char *owner, int64_t *ret)
{
    uint32_t uid = r->peer.uid;
    if (owner && !user_id(&r->peer, owner, &uid))
        return false;
    *ret = r->peer.admin && !owner ? -1 : (int64_t)uid;
    return peer_may(&r->peer, uid);
}

/* Only states of jobs that have not ended: few rows, whatever the history. */
static bool is_live(uint32_t states)
{
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        if (states & 1u << i && !job_state_is_live((enum job_state)i))
            return false;
    return states != 0;
}

static void int_or_null(struct batch *q, bool given, int64_t v)
{
    if (given)
        batch_int(q, v);
    else
        batch_null(q);
}

/* What to look at, by which index. */
static const struct way {
    enum statement list, next; /* next ST_COUNT: no window, there are not many */
} ways[] = {
    {ST_JOB_LIST, ST_JOB_NEXT},           {ST_JOB_LIST_OF, ST_JOB_NEXT_OF},
    {ST_JOB_LIST_LIVE, ST_JOB_NEXT_LIVE}, {ST_JOB_LIST_NAMED, ST_COUNT},
    {ST_JOB_LIST_IDS, ST_COUNT},
};

static const struct way *choose(const struct job_list_params *p, int64_t uid)
{
    if (p->ids)
        return &ways[4];
    if (p->name && !strpbrk(p->name, "*?["))
        return &ways[3];
    if (is_live(p->state))
        return &ways[2];
    return &ways[uid >= 0];
}

static void add_query(struct batch *q, const struct job_list_params *p, int64_t uid, int64_t below)
{
    const struct way *way = choose(p, uid);
    int64_t least = way->next != ST_COUNT && below > WINDOW_IDS ? below - WINDOW_IDS : 0;
    batch_add(q, way->list);
    int_or_null(q, uid >= 0, uid);
    batch_int(q, p->state);
    batch_str(q, p->pool);
    batch_str(q, p->name);
    add_label(q, p->label);
    int_or_null(q, p->since, p->since);
    batch_int(q, below);
    batch_int(q, p->limit + 1);
    int_or_null(q, p->until, p->until);
    batch_int(q, least);
    if (p->ids)
        add_ids(q, p->ids);
    if (least) {
        batch_add(q, way->next);
        batch_int(q, least);
        if (way->next == ST_JOB_NEXT_OF)
            batch_int(q, uid);
    }
}

void method_job_list(struct request *r, const struct job_list_params *p)
{
    int64_t uid, below = json_is_string(p->cursor) || json_is_integer(p->cursor)
                             ? (int64_t)json_field_id(p->cursor)
                             : INT64_MAX;
    int64_t end = (int64_t)engine_next_job(r->server->engine);
    struct batch q = {0};
    if (below == 0) {
        request_error(r, ERR_EXPIRED, NULL, "the cursor is none that job.list gave");
        return;
    }
    if (!whose(r, p->owner, &uid)) {
        struct buf b = {0};
        buf_addstr(&b, "{\"jobs\":[]}");
        request_result(r, &b);
        return;
    }
    struct list *l = xcalloc(1, sizeof *l);
    l->limit = (size_t)p->limit;
    r->state = l;
    r->state_free = free;
    add_query(&q, p, uid, below < end ? below : end);
    request_read(r, &q, on_rows);
    batch_release(&q);
}
