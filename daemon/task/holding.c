/* Which jobs hold an object with a name. Both lists of a holding are short, nearly always one of
 * them. */
#include "daemon/task/job.h"
#include "daemon/task/named.h"
#include "proto/mem.h"

static struct holding *find(const struct object *o, uint64_t job)
{
    struct holding *a = o->named->first;
    struct holding *b = map_get(&o->named->rt->named.holders, job);
    for (; a && b; a = a->next, b = b->job_next) {
        if (a->job == job)
            return a;
        if (b->object == o)
            return b;
    }
    return NULL;
}

static void add(struct object *o, uint64_t job, uint64_t n)
{
    struct named *named = o->named;
    struct map *holders = &named->rt->named.holders;
    struct holding *h = find(o, job);
    if (h) {
        h->n += n;
        return;
    }
    h = xcalloc(1, sizeof *h);
    *h = (struct holding){
        .object = o, .job = job, .n = n, .prev = named->last, .job_next = map_get(holders, job)};
    *(h->prev ? &h->prev->next : &named->first) = h;
    named->last = h;
    if (h->job_next)
        h->job_next->job_prev = h;
    map_put(holders, job, h);
}

void hold_add(struct object *o, const struct job *job)
{
    if (o->named && !o->named->removed)
        add(o, job->id, 1);
}

void hold_load(struct object *o, uint64_t job, uint64_t n)
{
    add(o, job, n);
}

void hold_remove(struct object *o, const struct job *job)
{
    if (!o->named || !o->named->first)
        return;
    struct holding *h = job ? find(o, job->id) : NULL;
    if (!h)
        h = o->named->first;
    if (--h->n == 0)
        hold_free(h);
}

void hold_free(struct holding *h)
{
    struct named *named = h->object->named;
    struct map *holders = &named->rt->named.holders;
    *(h->prev ? &h->prev->next : &named->first) = h->next;
    *(h->next ? &h->next->prev : &named->last) = h->prev;
    if (h->job_next)
        h->job_next->job_prev = h->job_prev;
    if (h->job_prev)
        h->job_prev->job_next = h->job_next;
    else if (h->job_next)
        map_put(holders, h->job, h->job_next);
    else
        map_remove(holders, h->job);
    free(h);
}
