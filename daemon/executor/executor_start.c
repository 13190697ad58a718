#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/executor_priv.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { TRY_AGAIN_US = 100 * 1000, DEFERRED_MAX_BYTES = 64 * 1024 * 1024, MONITORS_TO_TRY = 3 };

static void defer(struct executor *e, uint64_t number, bool is_end, const void *payload, size_t len)
{
    struct deferred *d = xcalloc(1, sizeof *d);
    *d = (struct deferred){
        .number = number, .is_end = is_end, .payload = xmemdup(payload, len), .len = len};
    *e->deferred_end = d;
    e->deferred_end = &d->next;
    e->deferred_bytes += len;
    if (!e->deferred_at_us)
        e->deferred_at_us = boot_us() + TRY_AGAIN_US;
    server_hold(&e->server, e->deferred_bytes > DEFERRED_MAX_BYTES);
}

static void free_first_deferred(struct executor *e)
{
    struct deferred *d = e->deferred;
    e->deferred = d->next;
    if (!e->deferred)
        e->deferred_end = &e->deferred;
    e->deferred_bytes -= d->len;
    free(d->payload);
    free(d);
}

void executor_drop_deferred(struct executor *e)
{
    while (e->deferred)
        free_first_deferred(e);
    e->deferred_at_us = 0;
    e->told_deferred = false;
}

/* why NULL: it is over. */
static void tell_deferred(struct executor *e, const char *why)
{
    struct buf *out = server_out(&e->server);
    cleanup_free char *text = why ? xasprintf("commands cannot be started now: %s", why) : NULL;
    if (why)
        log_warning("%s: trying again", text);
    else
        log_notice("commands are started again");
    e->told_deferred = why;
    if (out)
        exec_put_notice(out, 0, text ? text : "");
}

bool executor_take_deferred(struct executor *e, uint64_t number)
{
    for (struct deferred **at = &e->deferred; *at; at = &(*at)->next) {
        struct deferred *d = *at;
        if (d->number != number || d->is_end)
            continue;
        *at = d->next;
        if (!d->next)
            e->deferred_end = at;
        e->deferred_bytes -= d->len;
        free(d->payload);
        free(d);
        return true;
    }
    return false;
}

void executor_pause_deferred(struct executor *e, uint64_t number, bool paused)
{
    for (struct deferred *d = e->deferred; d; d = d->next) {
        if (d->number == number && !d->is_end)
            d->paused = paused;
    }
}

/* False: it cannot be written now. */
static bool try_end_unstarted(struct executor *e, const struct exec_end *end)
{
    struct attempt *a = ledger_find(&e->ledger, end->number);
    if (!a && !ledger_tombstone(&e->ledger, end))
        return false;
    struct buf *out = server_out(&e->server);
    if (a)
        executor_tell(e, a);
    else if (out)
        exec_put_end(out, end);
    return true;
}

void executor_end_unstarted(struct executor *e, const struct exec_end *end)
{
    if (try_end_unstarted(e, end))
        return;
    struct buf b = {0};
    exec_put_end_body(&b, end);
    defer(e, end->number, true, b.data, b.len);
    buf_release(&b);
}

static void refuse(struct executor *e, uint64_t number, int code, const char *text)
{
    int64_t now_us = real_us();
    struct exec_end end = {.number = number,
                           .outcome = EXEC_NOT_STARTED,
                           .status = 126,
                           .never_ran = true,
                           .error = code,
                           .text = text,
                           .started_us = now_us,
                           .ended_us = now_us};
    executor_end_unstarted(e, &end);
}

/* Hands a begun attempt to a monitor; a dead one is not believed, others are tried. */
static bool hand_over(struct executor *e, struct worker *w, struct attempt *a, int lock_fd,
                      const struct user *user, const void *payload, size_t len)
{
    for (int i = 0; i < MONITORS_TO_TRY && w; i++) {
        if (worker_start(w, a, lock_fd, &e->ledger.pen, user, payload, len))
            return true;
        pool_give_up(w);
        w = pool_take(&e->pool);
    }
    if (w)
        pool_give_back(&e->pool, w, boot_us());
    return false;
}

static void end_begun(struct executor *e, struct attempt *a, int error)
{
    int64_t now_us = real_us();
    struct exec_end end = {.number = a->number,
                           .outcome = EXEC_NOT_STARTED,
                           .status = 126,
                           .never_ran = true,
                           .error = error,
                           .text = "no monitor could take it",
                           .started_us = now_us,
                           .ended_us = now_us};
    struct buf *out = server_out(&e->server);
    if (!ledger_write_end(&e->ledger, a, &end))
        a->state = ATTEMPT_LOST;
    if (out && a->state == ATTEMPT_ENDED)
        exec_put_end(out, &end);
    else if (out)
        executor_tell_lost(e, a->number, a);
}

/* False: it cannot be begun now, and nothing has happened. */
static bool try_start(struct executor *e, uint64_t number, uid_t uid, const void *payload,
                      size_t len)
{
    struct err err;
    const struct user *user = NULL;
    struct attempt *a;

    if (e->system_mode && !(user = user_lookup(e->users, uid, boot_us(), &err))) {
        refuse(e, number, err.code, err.text);
        return true;
    }
    /* First somebody to hold it: once S is written it counts as begun. */
    struct worker *w = pool_take(&e->pool);
    if (!w)
        return false;
    cleanup_close int lock_fd = ledger_begin(&e->ledger, number, &a);
    if (lock_fd < 0) {
        int error = errno;
        pool_give_back(&e->pool, w, boot_us());
        errno = error;
        return false;
    }
    if (!hand_over(e, w, a, lock_fd, user, payload, len))
        end_begun(e, a, errno);
    errinj(ERRINJ_EXEC_AFTER_HANDOVER);
    return true;
}

static bool seen(const struct executor *e, uint64_t number)
{
    return number <= e->ledger.highest || ledger_find(&e->ledger, number);
}

bool executor_on_start(struct executor *e, const char *payload, size_t len, struct err *err)
{
    struct exec_start s;
    struct err why;
    if (!exec_get_start(payload, len, &s, err))
        return false;
    uint64_t number = s.number;
    uid_t uid = s.uid;
    for (size_t i = 0; i < s.n_limits; i++) {
        if (s.limits[i].resource >= RLIM_NLIMITS) {
            exec_start_release(&s);
            return err_set(err, EPROTO, "a start with an unknown resource limit");
        }
    }
    exec_start_release(&s);
    if (seen(e, number)) {
        executor_resolve(e, number, true);
        return true;
    }
    if (!policy_check(&e->policy, uid, &why)) {
        log_warning("attempt %llu: %s", (unsigned long long)number, why.text);
        refuse(e, number, why.code, why.text);
        return true;
    }
    if (e->deferred || !try_start(e, number, uid, payload, len)) {
        if (!e->told_deferred)
            tell_deferred(e, strerror(errno));
        defer(e, number, false, payload, len);
    }
    return true;
}

static bool try_first_deferred(struct executor *e)
{
    struct deferred *d = e->deferred;
    struct exec_end end;
    if (d->is_end)
        return !exec_get_end(d->payload, d->len, &end, NULL) || try_end_unstarted(e, &end);
    if (seen(e, d->number)) {
        executor_resolve(e, d->number, true);
        return true;
    }
    if (!try_start(e, d->number, exec_peek_uid(d->payload, d->len), d->payload, d->len))
        return false;
    struct attempt *a = ledger_find(&e->ledger, d->number);
    if (a && d->paused)
        verdict_pause(&e->verdict, a, true);
    return true;
}

void executor_try_deferred(struct executor *e, int64_t now_us)
{
    if (!e->deferred_at_us || e->deferred_at_us > now_us)
        return;
    while (e->deferred && try_first_deferred(e))
        free_first_deferred(e);
    e->deferred_at_us = e->deferred ? now_us + TRY_AGAIN_US : 0;
    if (!e->deferred && e->told_deferred) {
        tell_deferred(e, NULL);
    }
    server_hold(&e->server, e->deferred_bytes > DEFERRED_MAX_BYTES);
}
