/*
 * Attempts: from a leaf that has its slot to an end that is on disk (attempts.md).
 *
 * recorded → committed → sent → ended. Numbers are given and sent in the order of recording.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/state.h"
#include "daemon/run/outlog.h"
#include "proto/errinj.h"
#include "proto/json_out.h"
#include "proto/log.h"
#include "proto/mem.h"
#include "proto/outlog.h"

enum { COMMAND_TEXT_BYTES = 200 }; /* of what it runs, in lists */

const char *leaf_pool(const struct live *job, const struct leaf *leaf)
{
    if (leaf->spec.pool)
        return value_get_string(leaf->spec.pool, NULL);
    if (leaf->spec.request)
        return POOL_OF_REQUESTS;
    return job && job->pool ? job->pool : "default";
}

/* Leaves. */

void attempt_leaf_wanted(struct engine *e, struct leaf *leaf)
{
    struct live *job = engine_job(e, leaf->job);
    struct err err;
    bool recovering = !e->exec;
    if (pools_enter(e->pools, leaf, leaf_pool(job, leaf), recovering, job ? &job->waiting : NULL,
                    &err))
        return;
    e->failed = xgrow(e->failed, &e->cap_failed, e->n_failed + 1, sizeof *e->failed);
    e->failed[e->n_failed++] = (struct failed_leaf){leaf, xstrdup(err.text)};
}

static void drop_failed(struct engine *e, const struct leaf *leaf)
{
    for (size_t i = 0; i < e->n_failed; i++) {
        if (e->failed[i].leaf == leaf) {
            free(e->failed[i].text);
            e->failed[i] = e->failed[--e->n_failed];
            return;
        }
    }
}

void attempt_leaf_dropped(struct engine *e, struct leaf *leaf)
{
    if (leaf->state == LEAF_WANTED) {
        struct live *job = engine_job(e, leaf->job);
        pools_leave(leaf);
        drop_failed(e, leaf);
        if (job)
            job_refresh_state(e, job);
        return;
    }
    struct attempt *a = map_get(&e->attempts, leaf->attempt);
    if (a && !a->stop) {
        a->stop = true;
        effects_number(&e->effects, EFFECT_STOP, a->number);
    }
}

void attempt_leaf_gone(struct engine *e, struct leaf *leaf)
{
    struct attempt *a = map_get(&e->attempts, leaf->attempt);
    if (leaf->state == LEAF_WANTED || !a) {
        attempt_leaf_dropped(e, leaf);
        return;
    }
    a->slots = pools_keep(leaf);
    a->leaf = NULL;
    a->stop = a->kill = true;
    effects_number(&e->effects, EFFECT_STOP, a->number);
    spool_ended(e, a->number);
}

struct attempt *attempt_add(struct engine *e, uint64_t number, uint64_t job, uint32_t task)
{
    struct attempt *a = xcalloc(1, sizeof *a);
    a->number = number;
    a->job = job;
    a->task = task;
    a->prev = e->last_attempt;
    *(a->prev ? &a->prev->next : &e->first_attempt) = a;
    e->last_attempt = a;
    map_put(&e->attempts, number, a);
    return a;
}

static void forget(struct engine *e, struct attempt *a)
{
    *(a->prev ? &a->prev->next : &e->first_attempt) = a->next;
    *(a->next ? &a->next->prev : &e->last_attempt) = a->prev;
    map_remove(&e->attempts, a->number);
    free(a);
}

void attempts_free(struct engine *e)
{
    struct attempt *a;
    while ((a = e->first_attempt)) {
        if (a->leaf)
            pools_leave(a->leaf);
        pools_give_back(a->slots);
        forget(e, a);
    }
    map_release(&e->attempts);
    for (size_t i = 0; i < e->n_failed; i++)
        free(e->failed[i].text);
    free(e->failed);
}

static void launch(struct engine *e, struct leaf *leaf)
{
    struct live *job = engine_job(e, leaf->job);
    struct attempt *a = attempt_add(e, e->next_attempt++, leaf->job, leaf->task);
    a->leaf = leaf;
    a->same_boot = true;
    a->launched_us = clock_real_us();
    a->http = leaf->spec.request != NULL;
    e->n_running++;
    if (job) {
        job->launched = true;
        job_refresh_state(e, job);
    }
    struct buf command = {0};
    leaf_spec_text(&leaf->spec, COMMAND_TEXT_BYTES, &command);
    batch_add(&e->open, ST_ATTEMPT_ADD);
    batch_int(&e->open, (int64_t)a->number);
    batch_int(&e->open, (int64_t)a->job);
    batch_int(&e->open, a->task);
    batch_str(&e->open, e->boot_id);
    batch_int(&e->open, a->launched_us);
    batch_text(&e->open, command.data, command.len);
    buf_release(&command);
    effects_number(&e->effects, EFFECT_START, a->number);
    runtime_leaf_launched(e->runtime, leaf, a->number, engine_now_us(e));
}

bool attempts_launch(struct engine *e)
{
    bool told = e->n_failed > 0;
    while (e->n_failed) {
        struct failed_leaf f = e->failed[--e->n_failed];
        struct leaf_outcome outcome = {.how = LEAF_NOT_STARTED, .status = 126, .text = f.text};
        runtime_leaf_ended(e->runtime, f.leaf, &outcome);
        free(f.text);
    }
    /* Without the executor's highest number none may be given. */
    struct leaf *leaf;
    while (e->exec_seen && !e->stopping && (leaf = pools_next(e->pools))) {
        launch(e, leaf);
        told = true;
    }
    return told;
}

/* Ends. */

static void end_leaf(struct engine *e, struct attempt *a, const struct leaf_outcome *outcome)
{
    pools_leave(a->leaf);
    runtime_leaf_ended(e->runtime, a->leaf, outcome);
    spool_ended(e, a->number);
    a->leaf = NULL;
}

static void end_command(struct engine *e, struct attempt *a, const struct exec_end *end)
{
    static const enum leaf_how how[] = {
        [EXEC_EXITED] = LEAF_EXITED,
        [EXEC_SIGNALED] = LEAF_SIGNALED,
        [EXEC_NOT_STARTED] = LEAF_NOT_STARTED,
        [EXEC_LOST] = LEAF_LOST,
    };
    struct streams s = {0};
    if (!a->leaf->spec.lines)
        output_read(e, end, &s);
    else if (!end->log_in_file)
        outlog_extract(end->output, end->output_len, OUTLOG_MASK(OUTLOG_STDOUT), &s.out, NULL);
    struct leaf_outcome outcome = {
        .status = end->status,
        .text = end->text,
        .out = s.out.data,
        .out_len = s.out.len,
        .err = s.err.data,
        .err_len = s.err.len,
        .truncated = s.truncated,
        .duration_s = (double)end->duration_us / 1e6,
    };
    outcome.how = how[end->outcome];
    outcome.spooled = end->log_in_file || end->outcome == EXEC_LOST;
    outcome.spool_bytes = end->log_bytes;
    if (a->leaf->spec.lines && end->log_lost) {
        outcome.how = LEAF_LOST;
        outcome.text = "a part of its output could not be stored";
    }
    end_leaf(e, a, &outcome);
    buf_release(&s.out);
    buf_release(&s.err);
}

/* For the row of the attempt. */
static int how_it_ended(const struct exec_end *end, const struct leaf_outcome *answer)
{
    if (!answer || end->outcome == EXEC_LOST)
        return (int)end->outcome;
    return answer->how == LEAF_ANSWERED ? HOW_ANSWERED : HOW_UNANSWERED;
}

static void record_end(struct engine *e, const struct exec_end *end, int how)
{
    struct batch *b = &e->open;
    batch_add(b, ST_ATTEMPT_END);
    batch_int(b, (int64_t)end->number);
    if (end->pid) {
        batch_int(b, end->started_us);
        batch_int(b, end->pid);
    } else {
        batch_null(b);
        batch_null(b);
    }
    batch_int(b, end->ended_us ? end->ended_us : clock_real_us());
    batch_int(b, how);
    batch_int(b, end->status);
    batch_str(b, end->text && *end->text ? end->text : NULL);
    batch_int(b, end->cpu_user_us + end->cpu_sys_us);
    batch_int(b, (int64_t)(end->maxrss_kib * 1024));
    batch_int(b, end->duration_us);
    batch_int(b, (int64_t)end->log_bytes);
    batch_int(b, end->log_in_file);
    batch_blob(b, end->output_len ? end->output : NULL, end->output_len);
    retain_attempt_ended(e->retain);
}

static void send_committed(struct engine *e);

static void resolved(struct engine *e, struct attempt *a)
{
    if (!a->resolving)
        return;
    a->resolving = false;
    if (--e->n_resolving == 0) {
        errinj(ERRINJ_CORE_RESOLVED);
        e->exec_ready = true;
        send_committed(e);
    }
}

/* What does not work; "": it does again. */
static void on_notice(void *arg, uint64_t number, const char *text)
{
    struct engine *e = arg;
    e->exec_trouble = (struct err){0};
    e->exec_trouble_of = number;
    if (*text)
        err_set(&e->exec_trouble, EAGAIN, "executor: %s", text);
}

void attempt_finish(struct engine *e, struct attempt *a, const struct exec_end *end,
                    const struct leaf_outcome *answer)
{
    struct live *job = engine_job(e, a->job);
    if (a->state == ATTEMPT_ENDED)
        return;
    a->state = ATTEMPT_ENDED;
    record_end(e, end, how_it_ended(end, answer));
    errinj(ERRINJ_CORE_END_TAKEN);
    if (a->number == e->exec_trouble_of)
        on_notice(e, 0, "");
    e->n_running--;
    if (job)
        engine_emit(e, EVENT_ATTEMPT_ENDED, job, a->task, 0, a->number, NULL, 0);
    if (a->leaf && answer)
        end_leaf(e, a, answer);
    else if (a->leaf)
        end_command(e, a, end);
    pools_give_back(steal(&a->slots));
    effects_number(&e->effects, EFFECT_SETTLE, a->number);
    resolved(e, a);
}

/* It was never sent to the executor and will not be. */
static void finish_unsent(struct engine *e, struct attempt *a, int error, const char *text)
{
    struct exec_end end = {
        .number = a->number,
        .outcome = EXEC_NOT_STARTED,
        .status = 126,
        .never_ran = true,
        .error = error,
        .text = text,
    };
    attempt_finish(e, a, &end, NULL);
}

/* Sending. */

/* Level, not edge: whoever was told too much before a crash is told right after it. */
static void tell_pause(struct engine *e, const struct attempt *a)
{
    const struct live *job = engine_job(e, a->job);
    exec_pause(e->exec, a->number, job && job->pause == PAUSE_FROZEN);
}

static void send(struct engine *e, struct attempt *a)
{
    struct err err;
    if (a->stop || !a->leaf) {
        finish_unsent(e, a, ECANCELED, "cancelled before it was started");
        return;
    }
    if (!attempt_send(e, a, &err)) {
        finish_unsent(e, a, err.code, err.text);
        return;
    }
    a->state = ATTEMPT_SENT;
    struct live *job = engine_job(e, a->job);
    if (job && job->pause == PAUSE_FROZEN)
        tell_pause(e, a);
    if (job)
        engine_emit(e, EVENT_ATTEMPT_STARTED, job, a->task, 0, a->number, NULL, 0);
}

static void send_committed(struct engine *e)
{
    struct attempt *next;
    for (struct attempt *a = e->first_attempt; a; a = next) {
        next = a->next;
        if (a->state == ATTEMPT_COMMITTED)
            send(e, a);
    }
}

void attempt_release_start(struct engine *e, uint64_t number)
{
    struct attempt *a = map_get(&e->attempts, number);
    if (!a || a->state != ATTEMPT_RECORDED)
        return;
    a->state = ATTEMPT_COMMITTED;
    if (a->http)
        http_attempt_send(e, a);
    else if (e->exec_ready)
        send(e, a);
}

static void stop(struct engine *e, const struct attempt *a)
{
    exec_stop(e->exec, a->number, a->kill ? 0 : (uint32_t)e->config->kill_grace_ms);
}

void attempt_release_stop(struct engine *e, uint64_t number)
{
    struct attempt *a = map_get(&e->attempts, number);
    if (a && a->http)
        http_attempt_stop(e, a);
    else if (a && a->state == ATTEMPT_SENT)
        stop(e, a);
    else if (a && a->state == ATTEMPT_COMMITTED && !a->resolving)
        finish_unsent(e, a, ECANCELED, "cancelled before it was started");
}

void attempt_release_pause(struct engine *e, uint64_t number)
{
    const struct attempt *a = map_get(&e->attempts, number);
    if (a && a->state == ATTEMPT_SENT && !a->http) /* a request that was sent goes on */
        tell_pause(e, a);
}

void attempt_release_settle(struct engine *e, uint64_t number)
{
    struct attempt *a = map_get(&e->attempts, number);
    errinj(ERRINJ_CORE_BEFORE_SETTLE);
    if (!a || !a->http)
        exec_settle(e->exec, number);
    if (a)
        forget(e, a);
}

/* What the executor says. */

static void on_up(void *arg, uint64_t highest)
{
    struct engine *e = arg;
    if (highest >= e->next_attempt) {
        log_warning("the executor knows commands up to %llu, this database up to %llu: it is one "
                    "of an earlier time",
                    (unsigned long long)highest, (unsigned long long)e->next_attempt - 1);
        retain_unknown_logs(e->retain, e->next_attempt, highest);
        e->next_attempt = highest + 1;
    }
    e->exec_seen = true;
    e->exec_trouble = (struct err){0};
    e->n_resolving = 0;
    for (struct attempt *a = e->first_attempt; a; a = a->next) {
        a->resolving = !a->http && (a->state == ATTEMPT_COMMITTED || a->state == ATTEMPT_SENT);
        if (a->resolving) {
            e->n_resolving++;
            exec_resolve(e->exec, a->number, a->same_boot);
        }
    }
    e->exec_ready = e->n_resolving == 0;
    retain_executor_up(e->retain);
}

static void on_down(void *arg, const struct err *why)
{
    struct engine *e = arg;
    if (!e->exec_trouble.code)
        log_warning("the executor is away: %s; running commands go on, new ones wait", why->text);
    err_set(&e->exec_trouble, why->code ? why->code : ENOTCONN, "executor: %s", why->text);
    e->exec_ready = false;
    e->n_resolving = 0;
    for (struct attempt *a = e->first_attempt; a; a = a->next)
        a->resolving = false;
}

static void list_open(void *arg, struct buf *b)
{
    struct engine *e = arg;
    for (struct attempt *a = e->first_attempt; a; a = a->next)
        put_u64(b, a->number);
}

static void on_started(void *arg, uint64_t number, int64_t pid, int64_t started_us)
{
    struct engine *e = arg;
    struct attempt *a = map_get(&e->attempts, number);
    if (a)
        a->pid = pid;
    log_debug("attempt %llu started as process %lld at %lld", (unsigned long long)number,
              (long long)pid, (long long)started_us);
}

static void on_end(void *arg, const struct exec_end *end)
{
    struct engine *e = arg;
    struct attempt *a = map_get(&e->attempts, end->number);
    if (!a)
        exec_settle(e->exec, end->number); /* its end has long been on disk */
    else if (a->state != ATTEMPT_RECORDED)
        attempt_finish(e, a, end, NULL);
}

static void on_resolved(void *arg, uint64_t number, enum exec_state state)
{
    struct engine *e = arg;
    struct attempt *a = map_get(&e->attempts, number);
    if (!a && state == EXEC_RUNNING) {
        log_warning("attempt %llu runs, but belongs to no job of this database: it is ended",
                    (unsigned long long)number);
        exec_stop(e->exec, number, (uint32_t)e->config->kill_grace_ms);
    }
    if (!a || !a->resolving)
        return;
    if (state == EXEC_UNKNOWN) {
        a->state = ATTEMPT_COMMITTED;
    } else {
        a->state = ATTEMPT_SENT;
        if (a->stop || !a->leaf) {
            stop(e, a);
        } else {
            tell_pause(e, a);
            spool_resolved(e, number);
        }
    }
    resolved(e, a);
}

static void on_log_removed(void *arg, uint64_t number)
{
    struct engine *e = arg;
    retain_log_removed(e->retain, number);
}

const struct exec_events engine_exec_events = {
    .on_up = on_up,
    .on_down = on_down,
    .list_open = list_open,
    .on_started = on_started,
    .on_end = on_end,
    .on_resolved = on_resolved,
    .on_notice = on_notice,
    .on_log_removed = on_log_removed,
};
