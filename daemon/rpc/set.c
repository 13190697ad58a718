/* job.set */
#include <stdlib.h>
#include <string.h>

#include "daemon/rpc/methods.h"
#include "daemon/rpc/steer.h"
#include "proto/errors.h"
#include "proto/mem.h"

struct set {
    struct job_setting s; /* its strings are below */
    char *name, *pool;
};

static void set_free(void *arg)
{
    struct set *set = arg;
    value_unref(set->s.labels);
    free(set->name);
    free(set->pool);
    free(set);
}

static bool set_job(struct engine *e, uint64_t id, void *arg, struct err *err)
{
    const struct set *set = arg;
    return engine_set_job(e, id, &set->s, err);
}

static struct value *read_labels(const json_t *labels)
{
    size_t n = 0;
    json_t *object = (json_t *)(uintptr_t)labels; /* jansson's iterator has no const form */
    cleanup_free struct value_member *m = xcalloc(json_object_size(labels) + 1, sizeof *m);
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        const json_t *v = json_object_iter_value(i);
        m[n].key = value_text(json_object_iter_key(i));
        m[n++].value = value_string(json_string_value(v), json_string_length(v));
    }
    return value_object(m, n);
}

void method_job_set(struct request *r, const struct job_set_params *p)
{
    struct json_mistakes m = {0};
    struct set *s = xcalloc(1, sizeof *s);
    s->name = p->name ? xstrdup(p->name) : NULL;
    s->pool = p->pool ? xstrdup(p->pool) : NULL;
    s->s = (struct job_setting){.name = s->name,
                                .pool = s->pool,
                                .labels = p->labels ? read_labels(p->labels) : NULL,
                                .has_priority = p->priority >= -1000,
                                .priority = (int)p->priority,
                                .has_time = p->delay >= 0 || p->at,
                                .delay_us = p->delay > 0 ? (int64_t)(p->delay * 1e6) : 0,
                                .at_us = p->at};
    if (p->labels && !s->s.labels)
        json_mistakes_add(&m, "/labels", NULL, "is too large");
    if (!p->name && !p->pool && !p->labels && !s->s.has_priority && !s->s.has_time)
        json_mistakes_add(&m, "", "priority, pool, name, labels, delay, at",
                          "nothing is to be set");
    if (m.n) {
        set_free(s);
        request_mistakes(r, &m);
        return;
    }
    steer_with(r, p->id, p->ids, set_job, s, set_free);
}
