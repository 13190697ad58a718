/* job.list */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/job_json.h"
#include "daemon/rpc/methods.h"
#include "daemon/rpc/users.h"
#include "proto/errors.h"
#include "proto/mem.h"

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
    (void)n;
    jout_begin_object(&o);
    jout_key(&o, "jobs");
    jout_begin_array(&o);
    for (size_t i = 0; i < shown; i++) {
        jout_begin_object(&o);
        job_write(jobs, i, NULL, &o);
        jout_end_object(&o);
    }
    jout_end_array(&o);
    if (jobs->n > shown) {
        jout_key(&o, "next");
        jout_printf(&o, "%lld", (long long)cell_int(jobs, shown - 1, JOB_ID));
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

void method_job_list(struct request *r, const struct job_list_params *p)
{
    int64_t uid, below = json_is_string(p->cursor) || json_is_integer(p->cursor)
                             ? (int64_t)json_field_id(p->cursor)
                             : -1;
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
    batch_add(&q, p->ids              ? ST_JOB_LIST_IDS
                  : is_live(p->state) ? ST_JOB_LIST_LIVE
                  : uid < 0           ? ST_JOB_LIST
                                      : ST_JOB_LIST_OF);
    if (uid < 0)
        batch_null(&q);
    else
        batch_int(&q, uid);
    batch_int(&q, p->state);
    batch_str(&q, p->pool);
    batch_str(&q, p->name);
    add_label(&q, p->label);
    if (p->since)
        batch_int(&q, p->since);
    else
        batch_null(&q);
    if (below < 0)
        batch_null(&q);
    else
        batch_int(&q, below);
    batch_int(&q, p->limit + 1);
    if (p->until)
        batch_int(&q, p->until);
    else
        batch_null(&q);
    if (p->ids)
        add_ids(&q, p->ids);
    request_read(r, &q, on_rows);
    batch_release(&q);
}
