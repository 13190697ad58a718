/* Taking up what the last daemon left: clock, pools, live jobs, open attempts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/log.h"
#include "proto/mem.h"

/* Runs one statement with up to one parameter. */
static bool scan(struct engine *e, enum statement s, const int64_t *param,
                 bool (*on_row)(void *arg, size_t set, const struct rows *row, struct err *err),
                 void *arg, struct err *err)
{
    struct batch q = {0};
    batch_add(&q, s);
    if (param)
        batch_int(&q, *param);
    bool ok = store_scan(e->store, &q, on_row, arg, err);
    batch_release(&q);
    return ok;
}

/*
 * The runtime's time is the boot clock plus an offset that is fixed for a boot when the first
 * daemon of it starts, so that a clock that is set moves no deadline; in a new boot the wall clock
 * decides anew. If that was set back meanwhile (a flat battery), time goes on from where it was
 * seen last, so that nothing waits for the difference.
 */
struct clock_meta {
    char boot_id[40];
    int64_t offset_us, seen_us;
};

static bool on_meta(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct clock_meta *m = arg;
    (void)set, (void)err;
    const char *name = cell_str(row, 0, 0);
    if (name && strcmp(name, "clock_boot_id") == 0 && cell_str(row, 0, 1))
        snprintf(m->boot_id, sizeof m->boot_id, "%s", cell_str(row, 0, 1));
    else if (name && strcmp(name, "clock_offset_us") == 0)
        m->offset_us = cell_int(row, 0, 1);
    else if (name && strcmp(name, "clock_seen_us") == 0)
        m->seen_us = cell_int(row, 0, 1);
    return true;
}

static bool set_clock(struct engine *e, struct err *err)
{
    struct clock_meta m = {0};
    if (!scan(e, ST_META_ALL, NULL, on_meta, &m, err))
        return false;
    if (strcmp(m.boot_id, e->boot_id) == 0) {
        e->clock_offset_us = m.offset_us;
        return true;
    }
    int64_t now_us = clock_real_us();
    e->clock_offset_us = (now_us > m.seen_us ? now_us : m.seen_us) - clock_boot_us();
    batch_add(&e->open, ST_META_PUT);
    batch_str(&e->open, "clock_boot_id");
    batch_str(&e->open, e->boot_id);
    batch_add(&e->open, ST_META_PUT);
    batch_str(&e->open, "clock_offset_us");
    batch_int(&e->open, e->clock_offset_us);
    return true;
}

static bool on_pool(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct engine *e = arg;
    (void)set;
    const char *name = cell_str(row, 0, 0);
    if (!name)
        name = "";
    /* No slots: it was paused, but never given a number of them. */
    if (cell_int(row, 0, 1) && !pools_set(e->pools, name, (uint32_t)cell_int(row, 0, 1), err))
        return false;
    return !cell_int(row, 0, 2) || pools_pause(e->pools, name, true, err);
}

static bool on_highest(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct engine *e = arg;
    (void)set, (void)err;
    e->next_job = (uint64_t)cell_int(row, 0, 0) + 1;
    e->next_attempt = (uint64_t)cell_int(row, 0, 1) + 1;
    return true;
}

/* Live jobs. */

static char *cell_dup(const struct rows *row, size_t column)
{
    const char *s = cell_str(row, 0, column);
    return s ? xstrdup(s) : NULL;
}

static struct shared *load_program(struct engine *e, const struct rows *row, struct err *err)
{
    const struct cell *sha = cell_at(row, 0, 13), *text = cell_at(row, 0, 14);
    if (sha->type != CELL_BLOB || sha->s.len != SHA_BYTES ||
        (text->type != CELL_BLOB && text->type != CELL_TEXT)) {
        err_set(err, EINVAL, "its document is damaged");
        return NULL;
    }
    struct shared *s = shared_find(&e->programs, (const unsigned char *)sha->s.p);
    if (s)
        return s;
    struct mistakes errors = {0}, warnings = {0};
    struct program *p = program_parse(text->s.p, text->s.len, CONFIG_MAX_DEPTH, runtime_kinds(),
                                      &errors, &warnings);
    if (p) {
        s = shared_add(&e->programs, (const unsigned char *)sha->s.p);
        s->program = p;
        s->warnings = warnings;
        s->stored = true;
    } else {
        err_set(err, EINVAL, "its document is not understood: %s: %s",
                errors.n ? errors.all[0].pointer : "",
                errors.n ? errors.all[0].message : "no reason given");
        mistakes_release(&warnings);
    }
    mistakes_release(&errors);
    return s;
}

static bool load_environment(struct engine *e, const struct rows *row, struct shared **ret,
                             struct err *err)
{
    const struct cell *sha = cell_at(row, 0, 15), *data = cell_at(row, 0, 16);
    *ret = NULL;
    if (sha->type != CELL_BLOB || data->type != CELL_BLOB || sha->s.len != SHA_BYTES)
        return true;
    *ret = shared_find(&e->environments, (const unsigned char *)sha->s.p);
    if (*ret)
        return true;
    struct reader r = READER(data->s.p, data->s.len);
    struct value *env = value_load(&r, NULL, NULL);
    if (!env)
        return err_set(err, EINVAL, "its environment is damaged");
    *ret = shared_add(&e->environments, (const unsigned char *)sha->s.p);
    (*ret)->environment = env;
    (*ret)->stored = true;
    return true;
}

struct loaded_gate {
    struct live *job;
    struct gate_setting setting;
};

struct loading {
    struct engine *e;
    struct loaded_gate *gates; /* of the jobs that have not started */
    size_t n_gates, cap_gates;
    uint64_t *ids; /* of the jobs that have their structs */
    size_t n, cap;
    struct job_loader *loader;
    bool refused; /* a row was damaged */
    uint64_t job;
};

/* A job that cannot be taken up is not dropped: it ends as lost and says why. */
static void give_up(struct engine *e, const struct live *job, const char *why)
{
    uint64_t id = job->id;
    cleanup_value struct value *error = error_make("LostError", why, NULL, NULL);
    struct buf json = {0};
    value_write(&json, error, JSON_STYLE_COMPACT);
    log_error("job %llu cannot be taken up: %s", (unsigned long long)id, why);
    batch_add(&e->open, ST_JOB_END);
    batch_int(&e->open, (int64_t)id);
    batch_int(&e->open, JOB_STATE_LOST);
    batch_null(&e->open);
    batch_int(&e->open, clock_real_us());
    batch_text(&e->open, json.data, json.len);
    batch_null(&e->open);
    batch_int(&e->open, exit_of_job(JOB_STATE_LOST, NULL));
    rows_remove_objects(e, id);
    engine_emit(e, EVENT_JOB_STATE, job, 0, JOB_STATE_LOST, 0, NULL, 0);
    buf_release(&json);
}

static struct value *load_labels(const struct rows *row)
{
    const struct cell *text = cell_at(row, 0, 20);
    return text->type == CELL_TEXT ? value_parse(text->s.p, text->s.len, VALUE_MAX_DEPTH, NULL)
                                   : NULL;
}

/* Its gate is made when it is known which jobs could be taken up. */
static void keep_gate(struct loading *l, struct live *job, const struct rows *row)
{
    const struct cell *after = cell_at(row, 0, 24);
    struct gate_setting s = {.held = cell_int(row, 0, 21),
                             .delay_until_us = cell_int(row, 0, 22),
                             .at_us = cell_int(row, 0, 23)};
    struct err why;
    if (after->type == CELL_TEXT && !after_read(after->s.p, after->s.len, &s.after, &why)) {
        give_up(l->e, job, why.text);
        map_remove(&l->e->jobs, job->id);
        live_free(job);
        return;
    }
    l->gates = xgrow(l->gates, &l->cap_gates, l->n_gates + 1, sizeof *l->gates);
    l->gates[l->n_gates++] = (struct loaded_gate){job, s};
}

static bool on_how_ended(void *arg, size_t set, const struct rows *row, struct err *err)
{
    (void)set, (void)err;
    *(enum job_state *)arg = (enum job_state)cell_int(row, 0, 1);
    return true;
}

/* The last daemon may have been ended before it told who waits how the others ended. */
static bool make_gate(struct engine *e, struct live *job, struct gate_setting s, struct err *err)
{
    enum job_state was = job->state;
    cleanup_free enum job_state *ended = xcalloc(s.after.n + 1, sizeof *ended);
    for (size_t i = 0; i < s.after.n; i++) {
        int64_t id = (int64_t)s.after.all[i].job;
        ended[i] = JOB_STATE_LOST;
        if (!engine_job(e, (uint64_t)id) &&
            !scan(e, ST_JOB_HOW_ENDED, &id, on_how_ended, &ended[i], err))
            return false;
    }
    s.ended = ended;
    gate_new(e, job, &s);
    if (job->state != was)
        job_set_state(e, job, job->state);
    else if (job->gate_changed) /* the other may be removed */
        job_mark_dirty(e, job);
    gate_check(e, job);
    return true;
}

static bool make_gates(struct loading *l, bool ok, struct err *err)
{
    for (size_t i = 0; i < l->n_gates; i++) {
        ok = ok && make_gate(l->e, l->gates[i].job, l->gates[i].setting, err);
        after_release(&l->gates[i].setting.after);
    }
    free(l->gates);
    return ok;
}

static bool on_live_job(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct loading *l = arg;
    struct engine *e = l->e;
    struct err why;
    struct shared *environment = NULL;
    uint64_t id = (uint64_t)cell_int(row, 0, 0);
    (void)set, (void)err;
    struct shared *program = load_program(e, row, &why);
    if (!program || !load_environment(e, row, &environment, &why)) {
        shared_unref(program);
        give_up(e, &(struct live){.id = id, .uid = (uint32_t)cell_int(row, 0, 1)}, why.text);
        return true;
    }
    struct live *job = xcalloc(1, sizeof *job);
    *job = (struct live){
        .id = id,
        .uid = (uint32_t)cell_int(row, 0, 1),
        .gid = (uint32_t)cell_int(row, 0, 2),
        .state = (enum job_state)cell_int(row, 0, 9),
        .program = program,
        .environment = environment,
        .name = cell_dup(row, 3),
        .pool = cell_dup(row, 4),
        .priority = (int)cell_int(row, 0, 5),
        .labels = load_labels(row),
        .key = cell_dup(row, 6),
        .cwd = cell_dup(row, 7),
        .umask = (int)cell_int(row, 0, 8),
        .created_us = cell_int(row, 0, 10),
        .started_us = cell_int(row, 0, 11),
        .output_seq = (uint64_t)cell_int(row, 0, 17),
        .output_bytes = cell_int(row, 0, 18),
        .pause = (enum pause)cell_int(row, 0, 19),
    };
    TAILQ_INIT(&job->dependents);
    const struct cell *state = cell_at(row, 0, 12), *uuid = cell_at(row, 0, 25);
    if (uuid->type == CELL_BLOB && uuid->s.len == sizeof job->uuid)
        memcpy(job->uuid, uuid->s.p, sizeof job->uuid);
    map_put(&e->jobs, id, job);
    if (cell_at(row, 0, 21)->type != CELL_NULL) { /* it has not started */
        keep_gate(l, job, row);
        return true;
    }
    if (state->type == CELL_BLOB)
        buf_add(&job->runtime, state->s.p, state->s.len);
    if (job->pause)
        pools_pause_job(e->pools, id);
    l->ids = xgrow(l->ids, &l->cap, l->n + 1, sizeof *l->ids);
    l->ids[l->n++] = id;
    return true;
}

static bool on_task_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct loading *l = arg;
    (void)set;
    const struct cell *frame = cell_at(row, 0, 4);
    struct task_row t = {
        .job = l->job,
        .id = (uint32_t)cell_int(row, 0, 0),
        .parent = (uint32_t)cell_int(row, 0, 1),
        .name = cell_str(row, 0, 2),
        .created_us = cell_int(row, 0, 3),
    };
    if (frame->type == CELL_BLOB) {
        t.frame = frame->s.p;
        t.frame_len = frame->s.len;
    }
    l->refused = !runtime_load_task(l->loader, &t, err);
    return !l->refused;
}

static bool on_end_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct loading *l = arg;
    (void)set;
    const struct cell *result = cell_at(row, 0, 4);
    struct task_end_row t = {
        .job = l->job,
        .seq = (uint64_t)cell_int(row, 0, 0),
        .task = (uint32_t)cell_int(row, 0, 1),
        .state = (enum task_state)cell_int(row, 0, 2),
        .finished_us = cell_int(row, 0, 3),
    };
    if (result->type == CELL_BLOB) {
        t.result = result->s.p;
        t.result_len = result->s.len;
    }
    l->refused = !runtime_load_end(l->loader, &t, err);
    return !l->refused;
}

static bool on_object_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct loading *l = arg;
    (void)set;
    const struct cell *state = cell_at(row, 0, 1);
    struct object_row o = {.job = l->job, .id = (uint32_t)cell_int(row, 0, 0)};
    if (state->type == CELL_BLOB) {
        o.state = state->s.p;
        o.state_len = state->s.len;
    }
    l->refused = !runtime_load_object(l->loader, &o, err);
    return !l->refused;
}

static bool on_item_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct loading *l = arg;
    (void)set;
    const struct cell *value = cell_at(row, 0, 2);
    struct item_row i = {.job = l->job,
                         .object = (uint32_t)cell_int(row, 0, 0),
                         .seq = (uint64_t)cell_int(row, 0, 1)};
    if (value->type == CELL_BLOB) {
        i.value = value->s.p;
        i.value_len = value->s.len;
    }
    l->refused = !runtime_load_item(l->loader, &i, err);
    return !l->refused;
}

/* Objects with names are the runtime's own: their rows have no job. A damaged one is left where it
 * is, for somebody to look at. */
static bool on_named_row(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct engine *e = arg;
    const struct cell *state = cell_at(row, 0, 1);
    struct object_row o = {.id = (uint32_t)cell_int(row, 0, 0)};
    struct err why;
    (void)set, (void)err;
    if (state->type == CELL_BLOB) {
        o.state = state->s.p;
        o.state_len = state->s.len;
    }
    if (!runtime_load_named(e->runtime, &o, &why))
        log_error("%s: it is not taken up", why.text);
    return true;
}

struct named_load {
    struct engine *engine;
    size_t bad_items;
};

static bool on_named_item(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct named_load *l = arg;
    const struct cell *value = cell_at(row, 0, 2);
    struct item_row i = {.object = (uint32_t)cell_int(row, 0, 0),
                         .seq = (uint64_t)cell_int(row, 0, 1)};
    struct err why;
    (void)set, (void)err;
    if (value->type == CELL_BLOB) {
        i.value = value->s.p;
        i.value_len = value->s.len;
    }
    if (!runtime_load_named_item(l->engine->runtime, &i, &why) && l->bad_items++ == 0)
        log_error("%s: it is not taken up", why.text);
    return true;
}

static bool load_named(struct engine *e, struct err *err)
{
    int64_t no_job = 0;
    struct named_load l = {.engine = e};
    bool ok = scan(e, ST_JOB_OBJECTS, &no_job, on_named_row, e, err) &&
              scan(e, ST_JOB_ITEMS, &no_job, on_named_item, &l, err);
    if (l.bad_items > 1)
        log_error("%zu items of named queues are not taken up", l.bad_items);
    return ok;
}

/* False: the store cannot be read. A job whose rows are damaged is given up. */
static bool load_job(struct loading *l, struct live *job, struct err *err)
{
    struct engine *e = l->e;
    int64_t id = (int64_t)job->id;
    struct err why, late;
    l->job = job->id;
    l->refused = false;
    l->loader = runtime_load_begin(e->runtime, job->id, job->uid, job->program->program,
                                   job->runtime.data, job->runtime.len);
    bool ok = scan(e, ST_JOB_TASKS, &id, on_task_row, l, &why) &&
              scan(e, ST_JOB_ENDS, &id, on_end_row, l, &why) &&
              scan(e, ST_JOB_OBJECTS, &id, on_object_row, l, &why) &&
              scan(e, ST_JOB_ITEMS, &id, on_item_row, l, &why);
    bool finished = runtime_load_finish(l->loader, ok ? &why : &late);
    runtime_set_priority(e->runtime, job->id, job->priority);
    buf_clear(&job->runtime);
    if (ok && finished)
        return true;
    if (!ok && !l->refused) {
        *err = why;
        return false;
    }
    give_up(e, job, why.text);
    pools_resume_job(e->pools, job->id);
    map_remove(&e->jobs, job->id);
    live_free(job);
    return true;
}

static bool load_jobs(struct engine *e, struct err *err)
{
    struct loading l = {.e = e};
    bool ok = load_named(e, err) && scan(e, ST_LIVE_JOBS, NULL, on_live_job, &l, err);
    for (size_t i = 0; ok && i < l.n; i++)
        ok = load_job(&l, engine_job(e, l.ids[i]), err);
    runtime_load_named_done(e->runtime);
    ok = make_gates(&l, ok, err);
    if (ok && e->jobs.n)
        log_info("took up %zu job%s", e->jobs.n, e->jobs.n == 1 ? "" : "s");
    free(l.ids);
    return ok;
}

static bool on_open_attempt(void *arg, size_t set, const struct rows *row, struct err *err)
{
    struct engine *e = arg;
    (void)set, (void)err;
    uint64_t number = (uint64_t)cell_int(row, 0, 0);
    struct attempt *a =
        attempt_add(e, number, (uint64_t)cell_int(row, 0, 1), (uint32_t)cell_int(row, 0, 2));
    const char *boot = cell_str(row, 0, 3);
    a->state = ATTEMPT_SENT; /* perhaps: the executor will say */
    a->same_boot = boot && strcmp(boot, e->boot_id) == 0;
    a->launched_us = cell_int(row, 0, 4);
    a->leaf = runtime_leaf_find(e->runtime, number);
    a->stop = !a->leaf || a->leaf->cancelled;
    a->http = a->leaf && a->leaf->spec.request;
    /* A job that is cancelled ends when its commands have. */
    a->kill = !a->leaf && cell_int(row, 0, 5) == JOB_STATE_CANCELLED;
    e->n_running++;
    struct live *job = engine_job(e, a->job);
    if (job)
        job->launched = true;
    if (a->leaf)
        pools_enter_running(e->pools, a->leaf, leaf_pool(job, a->leaf));
    return true;
}

bool engine_recover(struct engine *e, struct err *err)
{
    if (!set_clock(e, err) || !scan(e, ST_HIGHEST, NULL, on_highest, e, err) ||
        !scan(e, ST_POOL_ALL, NULL, on_pool, e, err) || !load_jobs(e, err) ||
        !scan(e, ST_OPEN_ATTEMPTS, NULL, on_open_attempt, e, err))
        return false;
    http_attempts_recover(e);
    return true;
}
