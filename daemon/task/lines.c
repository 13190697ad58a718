#include "daemon/task/lines.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/task/leaf.h"
#include "daemon/task/save.h"
#include "proto/mem.h"

enum {
    LOW_WATER_BYTES = 64 * 1024, /* below it more is read ahead, as asyncio's StreamReader does */
    KEEP_BYTES = 1024 * 1024,    /* a larger buffer is freed once it is empty */
};

static struct lines *of(struct leaf_run *run)
{
    return container_of(run, struct lines, run);
}

/* ---- the buffer ---- */

static size_t left(const struct lines *l)
{
    return l->data.len - l->off;
}

/* How long the line is that begins at off; left(l) when its end is not there. */
static size_t line_length(struct lines *l)
{
    if (l->scanned < l->off)
        l->scanned = l->off;
    if (l->scanned < l->data.len) {
        const char *from = l->data.data + l->scanned;
        const char *end = memchr(from, '\n', l->data.len - l->scanned);
        l->scanned = end ? (size_t)(end - l->data.data) : l->data.len;
    }
    return l->scanned - l->off;
}

/* A position of the spool, and how many bytes from there on were taken too. */
static void taken(const struct lines *l, uint64_t *position, uint64_t *skip)
{
    *position = l->read;
    *skip = l->skip;
    if (left(l) == 0)
        return;
    size_t i = l->n_marks;
    while (i > 1 && l->marks[i - 1].at > l->off)
        i--;
    *position = l->marks[i - 1].position;
    *skip = l->off - l->marks[i - 1].at;
}

/* Forgets what was taken. */
static void compact(struct lines *l)
{
    if (left(l) == 0) {
        l->data.len = l->off = l->scanned = l->n_marks = 0;
        if (l->data.cap > KEEP_BYTES)
            buf_release(&l->data);
        return;
    }
    if (l->off < LOW_WATER_BYTES || l->off < l->data.len / 2)
        return;
    if (l->scanned < l->off)
        l->scanned = l->off;
    size_t first = 0;
    while (first + 1 < l->n_marks && l->marks[first + 1].at <= l->off)
        first++;
    size_t gone = first < l->n_marks ? l->marks[first].at : l->off;
    memmove(l->data.data, l->data.data + gone, l->data.len - gone);
    l->data.len -= gone;
    l->off -= gone;
    l->scanned -= gone;
    l->n_marks -= first;
    for (size_t i = 0; i < l->n_marks; i++)
        l->marks[i] =
            (struct lines_mark){l->marks[first + i].at - gone, l->marks[first + i].position};
}

static void push(struct lines *l, const char *data, size_t len, uint64_t next)
{
    if (len > 0) {
        l->marks = xgrow(l->marks, &l->cap_marks, l->n_marks + 1, sizeof *l->marks);
        l->marks[l->n_marks++] = (struct lines_mark){l->data.len, l->read};
        buf_add(&l->data, data, len);
    }
    l->read = next;
    if (l->skip > 0) {
        size_t n = l->skip < left(l) ? (size_t)l->skip : left(l);
        l->off += n;
        l->skip -= n;
    }
    if (left(l) == 0)
        task_touch(l->run.task); /* its position has moved */
    compact(l);
}

/* The buffer counts among the values of the job. */
static void count_buffer(struct lines *l)
{
    value_account_change(l->run.job->values, l->data.cap, l->charge);
    l->charge = l->data.cap;
}

/* ---- what is wanted, what is told ---- */

static bool wants(struct lines *l)
{
    const struct leaf *leaf = &l->run.leaf;
    if (leaf->cancelled || leaf->state == LEAF_WANTED || !leaf->attempt || l->eof || l->kept)
        return false;
    if (left(l) < LOW_WATER_BYTES)
        return true;
    return line_length(l) == left(l) && left(l) <= LINE_MAX_BYTES;
}

static void update(struct lines *l)
{
    struct job *job = l->run.job;
    bool more = wants(l), counts = more || l->run.leaf.state != LEAF_ENDED;
    if (more && !l->asked && job->rt->effects->lines_wanted)
        job->rt->effects->lines_wanted(job->rt->arg, &l->run.leaf);
    l->asked = more;
    if (counts && !l->counted) {
        job->sources++;
    } else if (!counts && l->counted && job->sources > 0) {
        job->sources--;
        job_wake(job); /* nothing may be left that could run */
    }
    l->counted = counts;
}

/* Who waits for a line, or for the command's end, is woken in the next tick. */
static void notify(struct lines *l)
{
    struct task *t = l->run.task;
    if (l->run.done_seq || lines_of(t) != l)
        return;
    bool something = l->eof || line_length(l) < left(l) || left(l) > LINE_MAX_BYTES;
    if (!something && (l->run.leaf.state != LEAF_ENDED || wants(l)))
        return;
    l->run.done_seq = job_soon(l->run.job, HANDLE_LEAF, t, NULL);
    task_touch(t);
}

/* ---- events ---- */

void lines_launched(struct leaf_run *run)
{
    update(of(run));
}

void lines_ended(struct leaf_run *run, const struct leaf_outcome *o)
{
    struct lines *l = of(run);
    run->leaf.state = LEAF_ENDED;
    task_touch(run->task);
    if (!run->leaf.cancelled) {
        leaf_take_outcome(run, o);
        value_unref(steal(&run->result));
        l->total = o->how == LEAF_LOST ? UINT64_MAX : o->spool_bytes;
        if (!o->spooled) {
            push(l, o->out, o->out_len, l->read);
            l->kept = l->eof = true;
        } else if (l->read >= l->total) {
            l->eof = true;
        }
    }
    notify(l);
    update(l);
}

/* Where output was lost, what is behind the last end of a line is no line. */
static void cut_half_line(struct lines *l)
{
    const char *from = l->data.data + l->off, *end = left(l) ? memrchr(from, '\n', left(l)) : NULL;
    l->data.len = end ? (size_t)(end - l->data.data) + 1 : l->off;
    if (l->scanned > l->data.len)
        l->scanned = l->data.len;
    compact(l);
}

void runtime_leaf_data(struct runtime *rt, struct leaf *leaf, const char *data, size_t len,
                       uint64_t next, const char *lost)
{
    (void)rt;
    struct lines *l = of(container_of(leaf, struct leaf_run, leaf));
    if (leaf->cancelled || l->eof)
        return;
    struct value *full = NULL;
    struct job *job = l->run.job;
    job->values_before = job->values->bytes;
    push(l, data, len, next);
    count_buffer(l);
    if (lost || (job_is_large(job) && job_refuse(job, &full))) {
        l->eof = true;
        cut_half_line(l);
        if (full || l->total != UINT64_MAX || !l->run.error) {
            value_unref(l->run.error);
            l->run.error = full ? full : error_new("LostError", "%s", lost);
        }
        task_touch(l->run.task);
    } else if (leaf->state == LEAF_ENDED && l->read >= l->total) {
        l->eof = true;
    }
    notify(l);
    update(l);
}

bool runtime_lines_want(struct leaf *leaf, uint64_t *position)
{
    if (!leaf->spec.lines)
        return false;
    struct lines *l = of(container_of(leaf, struct leaf_run, leaf));
    *position = l->read;
    return wants(l);
}

uint64_t runtime_lines_taken(struct leaf *leaf)
{
    struct lines *l = of(container_of(leaf, struct leaf_run, leaf));
    uint64_t position, skip;
    taken(l, &position, &skip);
    /* A line that is longer than what may be ahead must not stop its command for ever. */
    return line_length(l) == left(l) ? l->read : position;
}

/* ---- the loop's side ---- */

struct lines *lines_new(struct task *t, const struct leaf_node *n, struct value **error)
{
    struct leaf_spec spec;
    if (!leaf_spec_eval(t, n, &spec, error))
        return NULL;
    spec.lines = true;
    struct lines *l = xcalloc(1, sizeof *l);
    leaf_run_begin(&l->run, t, &spec);
    l->counted = true;
    leaf_want(&l->run);
    return l;
}

void lines_free(struct lines *l)
{
    if (!l)
        return;
    struct leaf *leaf = &l->run.leaf;
    struct job *job = l->run.job;
    if (l->counted && job->sources > 0)
        job->sources--;
    leaf_leave(leaf, job);
    if (leaf->attempt && map_get(&job->rt->attempts, leaf->attempt) == leaf)
        map_remove(&job->rt->attempts, leaf->attempt);
    buf_release(&l->data);
    count_buffer(l);
    free(l->marks);
    value_unref(l->leaving);
    leaf_run_release(&l->run);
    free(l);
}

static enum lines_state too_long(struct value **v)
{
    *v = error_new("ValueError", "Separator is not found, and chunk exceed the limit");
    return LINES_ERROR;
}

enum lines_state lines_next(struct lines *l, struct value **v)
{
    size_t len = line_length(l);
    bool whole = len < left(l);
    if (len > LINE_MAX_BYTES)
        return too_long(v);
    if (!whole && !l->eof)
        return LINES_WAIT;
    if (!whole && len == 0) {
        *v = steal(&l->run.error);
        return *v ? LINES_ERROR : LINES_END;
    }
    *v = value_from_bytes(l->data.data + l->off, len);
    if (!*v)
        return too_long(v);
    l->off += len + whole;
    compact(l);
    count_buffer(l);
    update(l);
    return LINES_ITEM;
}

bool lines_stop(struct lines *l)
{
    struct leaf *leaf = &l->run.leaf;
    struct job *job = l->run.job;
    enum leaf_state state = leaf->state;
    if (!leaf->cancelled) {
        leaf->cancelled = true;
        if (state == LEAF_WANTED)
            job->rt->effects->leaf_dropped(job->rt->arg, leaf);
        if (state == LEAF_WANTED)
            leaf->state = LEAF_ENDED;
        if (state == LEAF_LAUNCHED)
            job->rt->effects->leaf_dropped(job->rt->arg, leaf);
        update(l);
    }
    return state != LEAF_LAUNCHED;
}

/* ---- rows ---- */

void lines_save(const struct lines *l, struct buf *out)
{
    uint64_t position, skip;
    taken(l, &position, &skip);
    leaf_run_save(&l->run, out);
    put_varint(out, position);
    put_varint(out, skip);
    put_varint(out, l->total);
    bool eof = l->eof && (l->kept || left(l) == 0);
    put_u8(out, (uint8_t)((l->kept ? 1 : 0) | (eof ? 2 : 0) | (l->interrupted ? 4 : 0)));
    put_varint(out, l->kept ? left(l) : 0);
    if (l->kept && left(l) > 0)
        buf_add(out, l->data.data + l->off, left(l));
    value_save_opt(l->leaving, out);
}

static bool load(struct lines *l, struct job_loader *loader, struct reader *r)
{
    if (!leaf_run_load(&l->run, loader, r))
        return false;
    l->read = get_varint(r);
    l->skip = get_varint(r);
    l->total = get_varint(r);
    uint8_t flags = get_u8(r);
    l->kept = flags & 1;
    l->eof = flags & 2;
    l->interrupted = flags & 4;
    uint64_t len = get_varint(r);
    if (r->failed || len > (size_t)(r->end - r->p) || !l->run.leaf.spec.lines ||
        (l->run.leaf.state != LEAF_ENDED && l->kept) || (len > 0 && !l->kept) ||
        (l->kept && !l->eof))
        return load_fail(loader, "lines");
    buf_add(&l->data, r->p, (size_t)len);
    r->p += len;
    if (len > 0) {
        l->marks = xgrow(l->marks, &l->cap_marks, 1, sizeof *l->marks);
        l->marks[l->n_marks++] = (struct lines_mark){0, l->read};
    }
    return value_load_opt(loader, r, &l->leaving);
}

struct lines *lines_load(struct task *t, struct job_loader *loader, struct reader *r)
{
    struct lines *l = xcalloc(1, sizeof *l);
    leaf_run_begin(&l->run, t, NULL);
    l->run.leaf.state = LEAF_ENDED;
    if (!load(l, loader, r)) {
        lines_free(l);
        return NULL;
    }
    const struct leaf *leaf = &l->run.leaf;
    if (leaf->attempt && !map_get(&loader->rt->attempts, leaf->attempt))
        map_put(&loader->rt->attempts, leaf->attempt, &l->run.leaf);
    if (leaf->state != LEAF_ENDED || wants(l)) {
        l->counted = true;
        t->job->sources++;
        load_leaf(loader, &l->run);
    }
    return l;
}

void lines_loaded(struct leaf_run *run)
{
    update(of(run));
}
