#include "daemon/core/retain.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/core/removals.h"
#include "daemon/core/state.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum {
    SLICE_JOBS = 100,       /* removed with one batch */
    PUT_OFF_US = 10 * 1000, /* while commits run, so many times at most */
    PUT_OFF_MAX = 5,
    FREE_PAGES_LEAST = 256, /* kept for new rows, or an eighth of all if that is more */
    RETRY_US = 5 * 1000 * 1000,
    /* Between sweeps: at least; when jobs have ended; when one grows too old, or something waits.
     * Without any of these there is none. */
    SWEEP_LEAST_US = 1000 * 1000,
    SWEEP_NEWS_US = 10 * 1000 * 1000,
    SWEEP_AGAIN_US = 60 * 1000 * 1000,
    /* What has just ended is not removed for its number: somebody may be about to look at it. */
    JUST_ENDED_US = 5 * 1000 * 1000,
};

/* What the alarm is for. */
enum phase {
    PHASE_REST,    /* the next sweep */
    PHASE_BACKLOG, /* removals and logs that are left */
    PHASE_SWEEP,   /* … and more jobs of the pools */
    PHASE_LOGS,    /* log files that are too many */
    PHASE_SHRINK,  /* free pages */
};

/* Jobs of this pool that ended so long ago go. */
struct cutoff {
    char *pool;
    int64_t keep_jobs;   /* 0: all */
    int64_t keep_age_us; /* 0: for ever */
    int64_t finished_us;
};

struct retain {
    struct engine *engine;
    struct alarm *alarm;
    enum phase phase;
    bool busy;  /* a read or a commit is under way */
    bool again; /* there is more to remove than what was looked at */
    bool news;  /* jobs or commands have ended since the last sweep */
    unsigned put_off;
    int64_t next_sweep_us; /* boot clock; INT64_MAX: nothing is to be done */
    struct removals removals;
    int64_t logs_excess,
        logs_after;       /* bytes of log files too many; attempts up to this were looked at */
    struct cutoff *pools; /* of the sweep */
    size_t n_pools, cap_pools, at_pool;
    struct retain_stats stats;
};

static void step(struct retain *r);

static void schedule(struct retain *r, enum phase phase, int64_t delay_us)
{
    r->phase = phase;
    alarm_start(r->alarm, delay_us);
}

static void on_alarm(void *arg)
{
    step(arg);
}

struct retain *retain_new(struct engine *e)
{
    struct retain *r = xcalloc(1, sizeof *r);
    r->engine = r->removals.engine = e;
    r->alarm = alarm_new(e->loop, on_alarm, r);
    r->stats = (struct retain_stats){.kept_jobs = -1, .log_bytes = -1, .free_bytes = -1};
    r->next_sweep_us = clock_boot_us() + SWEEP_LEAST_US;
    schedule(r, PHASE_REST, SWEEP_LEAST_US);
    return r;
}

static void forget_pools(struct retain *r)
{
    for (size_t i = 0; i < r->n_pools; i++)
        free(r->pools[i].pool);
    r->n_pools = r->at_pool = 0;
}

static void rest(struct retain *r)
{
    int64_t again_us = clock_boot_us() + SWEEP_AGAIN_US;
    forget_pools(r);
    r->phase = PHASE_REST;
    if (r->removals.after && r->next_sweep_us > again_us) /* something is still in use */
        r->next_sweep_us = again_us;
    if (r->next_sweep_us == INT64_MAX)
        alarm_stop(r->alarm);
    else
        alarm_start(r->alarm, r->next_sweep_us - clock_boot_us());
}

void retain_free(struct retain *r)
{
    if (!r)
        return;
    forget_pools(r);
    free(r->pools);
    alarm_free(r->alarm);
    free(r);
}

static void remove_job(struct retain *r, uint64_t id, uint32_t uid)
{
    removals_add(&r->removals, id, uid);
    r->stats.removed_jobs++;
    r->stats.kept_jobs -= r->stats.kept_jobs > 0;
}

void retain_remove(struct retain *r, uint64_t id, uint32_t uid)
{
    remove_job(r, id, uid);
    r->removals.after = 0;
    r->again = true;
    if (r->phase == PHASE_REST && !r->busy)
        schedule(r, PHASE_BACKLOG, 0);
}

static void sweep_within(struct retain *r, int64_t us)
{
    int64_t at_us = clock_boot_us() + us;
    if (r->next_sweep_us <= at_us)
        return;
    r->next_sweep_us = at_us;
    if (r->phase == PHASE_REST && !r->busy)
        rest(r);
}

void retain_sweep_soon(struct retain *r)
{
    sweep_within(r, SWEEP_LEAST_US);
}

void retain_attempt_ended(struct retain *r)
{
    if (!r->news)
        sweep_within(r, SWEEP_NEWS_US);
    r->news = true;
}

void retain_job_ended(struct retain *r)
{
    r->stats.kept_jobs += r->stats.kept_jobs >= 0;
    retain_attempt_ended(r);
}

void retain_executor_up(struct retain *r)
{
    r->removals.logs_after = 0;
    r->again = true;
    if (r->phase == PHASE_REST && !r->busy)
        schedule(r, PHASE_BACKLOG, 0);
}

void retain_unknown_logs(struct retain *r, uint64_t first, uint64_t last)
{
    removals_add_logs(&r->removals, first, last);
}

void retain_log_removed(struct retain *r, uint64_t number)
{
    struct batch *b = &r->engine->open;
    batch_add(b, ST_LOG_REMOVED);
    batch_int(b, (int64_t)number);
}

void retain_get_stats(const struct retain *r, struct retain_stats *ret)
{
    *ret = r->stats;
}

/* The next step comes when this one is on disk. */
static void on_step_committed(void *arg)
{
    struct retain *r = arg;
    r->busy = false;
    errinj(ERRINJ_RETAIN_AFTER_SLICE);
    alarm_start(r->alarm, 0);
}

static void end_step(struct retain *r)
{
    r->busy = true;
    engine_after_commit(r->engine, on_step_committed, r);
}

/* Jobs that are to be removed for their age or number. */
static bool remove_old(struct retain *r, const struct rows *rows)
{
    for (size_t i = 0; i < rows->n; i++)
        remove_job(r, (uint64_t)cell_int(rows, i, 0), (uint32_t)cell_int(rows, i, 1));
    return rows->n > 0;
}

static bool read_store(struct retain *r, struct batch *q,
                       void (*on_rows)(void *arg, const struct rows *sets, size_t n,
                                       const struct err *err))
{
    struct err err;
    r->busy = store_read(r->engine->store, q, on_rows, r, &err);
    batch_release(q);
    if (!r->busy) /* too many queries wait */
        alarm_start(r->alarm, RETRY_US);
    return r->busy;
}

/* True: not to go on; it is tried again later. */
static bool has_failed(struct retain *r, const struct err *err)
{
    r->busy = false;
    if (err) {
        log_warning("removing old jobs: %s", err->text);
        alarm_start(r->alarm, RETRY_US);
    }
    return err != NULL;
}

/* The rest of a sweep. */

/* When the oldest that is left will be too old. Those that are so by then go together. */
static void await_oldest(struct retain *r, const struct cutoff *c, const struct rows *oldest)
{
    int64_t finished_us = cell_int(oldest, 0, 0), least_us = SWEEP_AGAIN_US;
    if (!c->keep_age_us || !finished_us)
        return;
    if (least_us > c->keep_age_us)
        least_us = c->keep_age_us > SWEEP_LEAST_US ? c->keep_age_us : SWEEP_LEAST_US;
    int64_t left_us = finished_us + c->keep_age_us - clock_real_us();
    sweep_within(r, left_us > least_us ? left_us : least_us);
}

static void end_sweep(struct retain *r, const struct rows *kept, const struct rows *oldest)
{
    r->stats.kept_jobs = cell_int(kept, 0, 0);
    r->stats.log_bytes = cell_int(kept, 0, 1);
    r->stats.last_sweep_us = clock_real_us();
    for (size_t i = 0; i < r->n_pools; i++)
        await_oldest(r, &r->pools[i], &oldest[i]);
    int64_t most = r->engine->config->keep_log_bytes;
    r->logs_excess = most ? r->stats.log_bytes - most : 0;
    forget_pools(r);
}

static void on_free_pages(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct retain *r = arg;
    struct engine *e = r->engine;
    if (has_failed(r, err))
        return;
    int64_t unused = cell_int(&sets[0], 0, 0), all = cell_int(&sets[0], 0, 1);
    struct store_stats s;
    store_get_stats(e->store, &s);
    r->stats.free_bytes = unused * s.page_bytes;
    r->logs_excess = 0;
    if (n > 1)
        end_sweep(r, &sets[1], &sets[2]);
    int64_t keep = all / 8 > FREE_PAGES_LEAST ? all / 8 : FREE_PAGES_LEAST;
    if (r->logs_excess > 0) {
        r->logs_after = 0;
        schedule(r, PHASE_LOGS, 0);
    } else if (r->again) {
        schedule(r, PHASE_BACKLOG, 0);
    } else if (unused > keep) {
        batch_add(&e->open, ST_SHRINK);
        end_step(r);
    } else {
        rest(r);
    }
}

/* The oldest log files go, but none of a job that lives. */
static void on_logs(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct retain *r = arg;
    struct engine *e = r->engine;
    const struct rows *logs = sets;
    (void)n;
    if (has_failed(r, err))
        return;
    for (size_t i = 0; i < logs->n && r->logs_excess > 0; i++) {
        r->logs_after = cell_int(logs, i, 0);
        if (engine_job(e, (uint64_t)cell_int(logs, i, 1)))
            continue;
        batch_add(&e->open, ST_ATTEMPT_LOG_GONE);
        batch_int(&e->open, r->logs_after);
        batch_add(&e->open, ST_GONE_LOG_ADD);
        batch_int(&e->open, r->logs_after);
        r->logs_excess -= cell_int(logs, i, 2);
        r->stats.log_bytes -= cell_int(logs, i, 2);
    }
    if (r->logs_excess <= 0 || !logs->n) {
        r->removals.logs_after = 0;
        r->phase = PHASE_BACKLOG;
    }
    end_step(r);
}

static void look_at_logs(struct retain *r)
{
    struct batch q = {0};
    batch_add(&q, ST_OLD_LOGS);
    batch_int(&q, r->logs_after);
    batch_int(&q, SLICE_JOBS);
    batch_int(&q, r->engine->config->log_cap_bytes);
    read_store(r, &q, on_logs);
}

static void look_at_free_pages(struct retain *r)
{
    struct batch q = {0};
    batch_add(&q, ST_FREE_PAGES);
    if (r->n_pools) { /* at a sweep's end */
        batch_add(&q, ST_KEPT);
        batch_int(&q, r->engine->config->log_cap_bytes);
    }
    for (size_t i = 0; i < r->n_pools; i++) {
        batch_add(&q, ST_ENDED_OLDEST);
        batch_str(&q, r->pools[i].pool);
    }
    read_store(r, &q, on_free_pages);
}

/* A sweep. */

static void on_excess(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct retain *r = arg;
    int64_t now = clock_real_us();
    if (has_failed(r, err))
        return;
    r->phase = PHASE_SWEEP; /* no rest: another sweep that is wanted soon does not end this one */
    for (size_t i = 0; i < n; i++) {
        struct cutoff *c = &r->pools[i];
        int64_t excess = sets[i].n ? cell_int(&sets[i], 0, 0) : INT64_MIN;
        if (excess > now - JUST_ENDED_US) {
            excess = now - JUST_ENDED_US;
            sweep_within(r, JUST_ENDED_US);
        }
        if (excess > c->finished_us)
            c->finished_us = excess;
    }
    r->removals.after = r->removals.logs_after = 0;
    r->at_pool = 0;
    schedule(r, PHASE_SWEEP, 0);
}

static void add_pool(void *arg, const struct pool_stats *p)
{
    struct retain *r = arg;
    struct config_keep keep;
    config_keep_of(r->engine->config, p->name, &keep);
    r->pools = xgrow(r->pools, &r->cap_pools, r->n_pools + 1, sizeof *r->pools);
    r->pools[r->n_pools++] = (struct cutoff){
        .pool = xstrdup(p->name),
        .keep_jobs = keep.jobs,
        .keep_age_us = keep.age_ms * 1000,
        .finished_us = keep.age_ms ? clock_real_us() - keep.age_ms * 1000 : INT64_MIN,
    };
}

static void begin_sweep(struct retain *r)
{
    struct engine *e = r->engine;
    struct batch q = {0};
    r->news = false;
    r->next_sweep_us = INT64_MAX;
    forget_pools(r);
    pools_each(e->pools, add_pool, r);
    for (size_t i = 0; i < r->n_pools; i++) {
        const struct cutoff *c = &r->pools[i];
        batch_add(&q, ST_ENDED_EXCESS);
        batch_str(&q, c->keep_jobs ? c->pool : NULL); /* NULL: none */
        batch_int(&q, c->keep_jobs);
    }
    read_store(r, &q, on_excess);
}

/* What is left of earlier removals comes before new ones. */
static void on_backlog(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct retain *r = arg;
    if (has_failed(r, err))
        return;
    bool told = removals_logs(&r->removals, &sets[1]);
    if (removals_slice(&r->removals, &sets[0]) ||
        (n > REMOVALS_SETS && remove_old(r, &sets[REMOVALS_SETS]))) {
        end_step(r);
    } else if (told || r->again) {
        alarm_start(r->alarm, 0);
    } else if (n > REMOVALS_SETS && ++r->at_pool < r->n_pools) {
        alarm_start(r->alarm, 0);
    } else {
        schedule(r, PHASE_SHRINK, 0);
    }
}

static void read_backlog(struct retain *r)
{
    struct batch q = {0};
    r->again = false;
    removals_query(&r->removals, &q);
    if (r->phase == PHASE_SWEEP && r->at_pool < r->n_pools) {
        const struct cutoff *c = &r->pools[r->at_pool];
        batch_add(&q, ST_ENDED_BEFORE);
        batch_str(&q, c->pool);
        batch_int(&q, c->finished_us);
        batch_int(&q, SLICE_JOBS);
    }
    read_store(r, &q, on_backlog);
}

static void step(struct retain *r)
{
    struct engine *e = r->engine;
    if (r->busy)
        return; /* its end goes on */
    if (e->storage_trouble.code) {
        alarm_start(r->alarm, RETRY_US);
        return;
    }
    /* Giving pages back can wait for a quiet moment, but no sweep waits for that. */
    bool shrinks = r->phase == PHASE_SHRINK && !r->n_pools;
    if (shrinks && clock_boot_us() >= r->next_sweep_us) {
        rest(r);
        return;
    }
    if (e->is_committing && r->put_off < PUT_OFF_MAX) {
        r->put_off += !shrinks;
        alarm_start(r->alarm, PUT_OFF_US);
        return;
    }
    r->put_off = 0;
    switch (r->phase) {
    case PHASE_REST:
        begin_sweep(r);
        break;
    case PHASE_BACKLOG:
    case PHASE_SWEEP:
        read_backlog(r);
        break;
    case PHASE_LOGS:
        look_at_logs(r);
        break;
    case PHASE_SHRINK:
        look_at_free_pages(r);
        break;
    }
}

void engine_remove(struct engine *e, uint64_t id, uint32_t uid)
{
    retain_remove(e->retain, id, uid);
}

void engine_reloaded(struct engine *e)
{
    retain_sweep_soon(e->retain);
}
