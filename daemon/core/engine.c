#include "daemon/core/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "proto/errinj.h"
#include "proto/errors.h"
#include "proto/log.h"
#include "proto/mem.h"

enum {
    CLOCK_SEEN_US = 60 * 1000 * 1000,
    TURN_BUDGET = 20000,               /* steps of the runtime between looking at the world */
    OPEN_MAX_BYTES = 64 * 1024 * 1024, /* uncommitted: beyond it the runtime pauses, as it does
                                          when what waits for a commit takes as much */
};

static const char *const event_names[] = {
#define EVENT(name, text, help) text,
#include "proto/event.def"
#undef EVENT
};

const char *event_type_name(enum event_type t)
{
    return (unsigned)t < EVENT_COUNT ? event_names[t] : "unknown";
}

int64_t engine_now_us(const struct engine *e)
{
    return clock_boot_us() + e->clock_offset_us;
}

struct live *engine_job(struct engine *e, uint64_t id)
{
    return map_get(&e->jobs, id);
}

void engine_emit(struct engine *e, enum event_type type, const struct live *job, uint32_t task,
                 int state, uint64_t n, const char *text, size_t len)
{
    struct event event = {
        .seq = e->next_event++,
        .at_us = clock_real_us(),
        .type = type,
        .job = job->id,
        .uid = job->uid,
        .task = task,
        .state = state,
        .n = n,
        .text = text,
        .len = len,
    };
    effects_event(&e->effects, &event);
}

/* What the runtime wants done. */

static void on_leaf_wanted(void *arg, struct leaf *leaf)
{
    attempt_leaf_wanted(arg, leaf);
}

static void on_leaf_dropped(void *arg, struct leaf *leaf)
{
    attempt_leaf_dropped(arg, leaf);
}

/* As much of what a job prints is kept as of what a command writes; but here it is the beginning.
 */
static bool is_kept(struct engine *e, struct live *job, size_t len)
{
    enum { ROW_BYTES = 64 };
    int64_t cap = e->config->log_cap_bytes;
    bool had_room = job->output_bytes <= cap;
    job->output_bytes += (int64_t)len + ROW_BYTES;
    if (had_room && job->output_bytes > cap)
        engine_diagnose(e, job, "what the job prints from here on is not kept: log_cap is reached");
    return job->output_bytes <= cap;
}

static void on_leaf_gone(void *arg, struct leaf *leaf)
{
    attempt_leaf_gone(arg, leaf);
}

static void on_lines_wanted(void *arg, struct leaf *leaf)
{
    spool_wanted(arg, leaf);
}

static void add_output(struct engine *e, struct live *job, int kind, const char *text, size_t len)
{
    batch_add(&e->open, ST_OUTPUT_ADD);
    batch_int(&e->open, (int64_t)job->id);
    batch_int(&e->open, (int64_t)++job->output_seq);
    batch_int(&e->open, kind);
    batch_int(&e->open, clock_real_us());
    batch_text(&e->open, text, len);
    engine_emit(e, kind ? EVENT_DIAGNOSTIC : EVENT_OUTPUT, job, 0, 0, job->output_seq, text, len);
}

static void on_printed(void *arg, uint64_t id, uint64_t seq, const char *text, size_t len)
{
    struct engine *e = arg;
    struct live *job = engine_job(e, id);
    (void)seq; /* lines and diagnostics share one numbering */
    if (job && is_kept(e, job, len))
        add_output(e, job, 0, text, len);
}

void engine_diagnose(struct engine *e, struct live *job, const char *text)
{
    add_output(e, job, 1, text, strlen(text));
}

static void on_diagnostic(void *arg, uint64_t id, const char *text)
{
    struct engine *e = arg;
    struct live *job = engine_job(e, id);
    if (job && is_kept(e, job, strlen(text)))
        engine_diagnose(e, job, text);
}

static void on_task_changed(void *arg, uint64_t id, uint32_t task, enum task_state state)
{
    struct engine *e = arg;
    struct live *job = engine_job(e, id);
    if (job)
        engine_emit(e, EVENT_TASK_STATE, job, task, (int)state, 0, NULL, 0);
}

void job_end(struct engine *e, struct live *job, enum job_state state, struct value *value,
             struct value *error)
{
    gate_free(e, job);
    job->finished_us = clock_real_us();
    job->ended = true;
    if (value)
        value_write(&job->value, value, JSON_STYLE_COMPACT);
    if (error)
        value_write(&job->error, error, JSON_STYLE_COMPACT);
    job->exit = exit_of_job(state, error);
    if (job->pause)
        pools_resume_job(e->pools, job->id);
    job_set_state(e, job, state);
    gates_on_end(e, job);
}

static void on_job_ended(void *arg, uint64_t id, enum job_end how, struct value *value,
                         struct value *error)
{
    static const enum job_state states[] = {
        [JOB_SUCCEEDED] = JOB_STATE_SUCCEEDED,
        [JOB_FAILED] = JOB_STATE_FAILED,
        [JOB_CANCELLED] = JOB_STATE_CANCELLED,
        [JOB_LOST] = JOB_STATE_LOST,
    };
    struct engine *e = arg;
    struct live *job = engine_job(e, id);
    if (!job)
        return;
    if (!job->started_us)
        job->started_us = clock_real_us();
    job_end(e, job, states[how], value, error);
}

static const struct runtime_effects effects_of_runtime = {
    .leaf_wanted = on_leaf_wanted,
    .leaf_dropped = on_leaf_dropped,
    .leaf_gone = on_leaf_gone,
    .lines_wanted = on_lines_wanted,
    .printed = on_printed,
    .task_changed = on_task_changed,
    .job_ended = on_job_ended,
    .diagnostic = on_diagnostic,
};

/* Committing. */

static void release(struct engine *e, struct effects *f)
{
    for (size_t i = 0; i < f->n; i++) {
        struct effect *x = &f->all[i];
        if (i > 0)
            errinj(ERRINJ_CORE_RELEASING);
        switch (x->kind) {
        case EFFECT_CALL:
            x->call.fn(x->call.arg);
            break;
        case EFFECT_EVENT:
            if (x->event.event.text)
                x->event.event.text = f->text.data + x->event.text;
            e->on_event(e->arg, &x->event.event);
            break;
        case EFFECT_START:
            attempt_release_start(e, x->number);
            break;
        case EFFECT_STOP:
            attempt_release_stop(e, x->number);
            break;
        case EFFECT_PAUSE:
            attempt_release_pause(e, x->number);
            break;
        case EFFECT_SETTLE:
            attempt_release_settle(e, x->number);
            break;
        case EFFECT_CREDIT:
            spool_release_credit(e, x->credit.number, x->credit.position);
            break;
        }
    }
    effects_clear(f);
}

static void on_committed(void *arg)
{
    struct engine *e = arg;
    e->is_committing = false;
    batch_clear(&e->committing);
    effects_swap(&e->releasing, &e->released);
}

static void on_storage_trouble(void *arg, const struct err *why)
{
    struct engine *e = arg;
    if (why) {
        e->storage_trouble = *why;
        log_error("storage: %s; nothing is acknowledged until it works again", why->text);
    } else {
        e->storage_trouble = (struct err){0};
        log_notice("storage works again");
    }
}

static const struct store_events events_of_store = {on_committed, on_storage_trouble};

/* Kept now and then, with what is committed anyway: see set_clock() in recover.c. */
static void note_time(struct engine *e)
{
    int64_t now_us = engine_now_us(e);
    if (now_us - e->clock_seen_us < CLOCK_SEEN_US)
        return;
    e->clock_seen_us = now_us;
    batch_add(&e->open, ST_META_PUT);
    batch_str(&e->open, "clock_seen_us");
    batch_int(&e->open, now_us);
}

/* Hands what is open to the writer, if there is something. */
static void hand_over(struct engine *e)
{
    gates_settle(e);
    rows_collect(e);
    effects_swap(&e->effects, &e->releasing);
    if (!e->open.statements)
        return;
    note_time(e);
    struct batch b = e->committing;
    e->committing = e->open;
    e->open = b;
    e->is_committing = true;
    store_commit(e->store, &e->committing);
}

/* What the writer has done is released while it works on the next batch already; then what needs no
 * commit. */
static void commit(struct engine *e)
{
    if (!e->is_committing)
        hand_over(e);
    release(e, &e->released);
    if (!e->is_committing)
        release(e, &e->releasing);
}

/* The runtime pauses until the commit that is under way is done. */
static bool is_full(const struct engine *e)
{
    return e->open.bytes.len >= OPEN_MAX_BYTES || effects_bytes(&e->effects) >= OPEN_MAX_BYTES;
}

static void arm_timer(struct engine *e)
{
    int64_t next = runtime_next_us(e->runtime), gate = gates_next_us(e);
    if (gate < next)
        next = gate;
    if (is_full(e))
        next = INT64_MAX;
    if (next == INT64_MAX)
        alarm_stop(e->timer);
    else
        alarm_start(e->timer, next - engine_now_us(e));
    clock_show_next(e->is_committing ? -1 : next == INT64_MAX ? 0 : next - e->clock_offset_us);
}

bool engine_turn(void *arg)
{
    struct engine *e = arg;
    bool more = false;
    runtime_limit_tasks(e->runtime, e->config->max_live_tasks);
    if (!is_full(e)) {
        gates_serve(e);
        more = runtime_tick(e->runtime, engine_now_us(e), TURN_BUDGET);
        more |= spools_serve(e);
    }
    more |= attempts_launch(e);
    http_attempts_look(e);
    bool simulated = simulations_turn(e);
    commit(e);
    exec_flush(e->exec);
    arm_timer(e);
    /* Effects may have asked for more: a client's next request, a start that was cancelled
     * meanwhile. */
    more |= gates_may_start(e);
    return simulated ||
           (!is_full(e) && (more || (!e->is_committing && (e->effects.n || e->open.statements))));
}

void engine_after_commit(struct engine *e, void (*fn)(void *arg), void *arg)
{
    effects_call(&e->effects, fn, arg);
}

static void on_deadline(void *arg)
{
    (void)arg; /* waking the loop is enough: the turn follows */
}

/* Jobs may have grown old at once; gates look in the turn that follows. */
static void on_clock_set(void *arg)
{
    struct engine *e = arg;
    retain_sweep_soon(e->retain);
}

struct engine *engine_new(struct loop *l, const struct config *config,
                          void (*on_event)(void *arg, const struct event *e), void *arg,
                          struct err *err)
{
    struct engine *e = xcalloc(1, sizeof *e);
    TAILQ_INIT(&e->simulations);
    TAILQ_INIT(&e->starts);
    TAILQ_INIT(&e->settling);
    e->loop = l;
    e->config = config;
    e->on_event = on_event;
    e->arg = arg;
    e->started_us = clock_real_us();
    /* Ascends over restarts too: nobody makes a million events a second for long. */
    e->next_event = (uint64_t)e->started_us;
    if (boot_id_read(e->boot_id) < 0)
        snprintf(e->boot_id, sizeof e->boot_id, "unknown");

    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    e->pools = pools_new(cpus > 0 ? (uint32_t)cpus : 1);
    http_attempts_init(e);
    e->runtime = runtime_new(&effects_of_runtime, e);
    runtime_expect_others(e->runtime);
    e->timer = alarm_new(l, on_deadline, e);
    e->retain = retain_new(e);
    e->worker = worker_new(l, err);
    cleanup_free char *path = xasprintf("%s/corod.db", config->state_dir);
    if (e->worker && loop_on_clock_set(l, on_clock_set, e, err))
        e->store =
            store_open(path, config->durability == DURABILITY_FULL, l, &events_of_store, e, err);
    if (!e->store || !engine_recover(e, err)) {
        engine_free(e);
        return NULL;
    }
    errinj(ERRINJ_CORE_RECOVERED);
    e->exec = exec_client_new(l, config->exec_socket, config->exec_state, config->exec_program,
                              &engine_exec_events, e);
    exec_client_set_highest(e->exec, e->next_attempt - 1);
    return e;
}

static void finish_commits(struct engine *e)
{
    while (e->is_committing || e->open.statements || e->effects.n || e->released.n ||
           e->dirty_jobs) {
        commit(e);
        if (e->is_committing && !store_drain(e->store))
            return;
    }
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    /* From here on committed starts are not sent: the next daemon resolves them. */
    e->exec_ready = false;
    e->stopping = true;
    if (e->store && e->exec)
        finish_commits(e);
    worker_free(e->worker, submission_drop);
    simulations_free(e);
    exec_client_free(e->exec);
    http_attempts_free(e);
    spools_free(e);
    attempts_free(e);
    store_close(e->store);
    retain_free(e->retain);
    pools_free(e->pools); /* they know leaves, which are the runtime's */
    runtime_free(e->runtime);
    alarm_free(e->timer);
    size_t at = 0;
    for (struct map_slot *s; (s = map_next(&e->jobs, &at));)
        gate_free(e, s->value);
    at = 0;
    for (struct map_slot *s; (s = map_next(&e->jobs, &at));)
        live_free(s->value);
    heap_release(&e->delays);
    heap_release(&e->ats);
    map_release(&e->jobs);
    map_release(&e->keys);
    map_release(&e->programs);
    map_release(&e->environments);
    batch_release(&e->open);
    batch_release(&e->committing);
    effects_release(&e->effects);
    effects_release(&e->releasing);
    effects_release(&e->released);
    free(e);
}

/* What others ask. */

struct store *engine_store(struct engine *e)
{
    return e->store;
}

uint64_t engine_next_job(const struct engine *e)
{
    return e->next_job;
}

bool engine_live_job(struct engine *e, uint64_t id, struct live_job *ret)
{
    const struct live *job = engine_job(e, id);
    if (!job || job->ended)
        return false;
    *ret = (struct live_job){
        .id = job->id,
        .uid = job->uid,
        .state = job->state,
        .frozen = job->pause == PAUSE_FROZEN,
        .name = job->name,
        .pool = job->pool,
        .created_us = job->created_us,
        .started_us = job->started_us,
        .tasks = runtime_job_tasks(e->runtime, id),
    };
    return true;
}

bool engine_view(struct engine *e, uint64_t id, bool (*each)(void *arg, const struct task_view *v),
                 void *arg)
{
    runtime_pass_time(e->runtime, id, engine_now_us(e));
    return runtime_view(e->runtime, id, each, arg);
}

void engine_flush_output(struct engine *e, uint64_t attempt)
{
    exec_flush_output(e->exec, attempt);
}

const char *engine_log_dir(const struct engine *e)
{
    return e->config->exec_log_dir;
}

void engine_drain(struct engine *e)
{
    e->draining = true;
}

void engine_get_stats(struct engine *e, struct engine_stats *ret)
{
    *ret = (struct engine_stats){
        .live_jobs = e->jobs.n,
        .live_tasks = runtime_live_tasks(e->runtime),
        .running_commands = e->n_running,
        .executor_up = exec_client_up(e->exec),
        .storage_ok = !e->storage_trouble.code,
        .draining = e->draining,
        .started_us = e->started_us,
    };
    snprintf(ret->trouble, sizeof ret->trouble, "%s%s%s", e->storage_trouble.text,
             e->storage_trouble.code && e->exec_trouble.code ? "; " : "", e->exec_trouble.text);
    retain_get_stats(e->retain, &ret->retain);
    store_get_stats(e->store, &ret->store);
}
