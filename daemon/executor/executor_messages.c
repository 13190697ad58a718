#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/executor/clock.h"
#include "daemon/executor/executor_priv.h"
#include "daemon/executor/output.h"
#include "proto/log.h"
#include "proto/mem.h"

void executor_tell_lost(struct executor *e, uint64_t number, const struct attempt *a)
{
    struct buf *out = server_out(&e->server);
    /* P comes before the exec, so without one there was none. */
    bool never_ran = a && a->segment && !a->has_pid;
    struct exec_end end = {.number = number,
                           .outcome = EXEC_LOST,
                           .never_ran = never_ran,
                           .pid = a && a->has_pid ? a->pid.sid : 0,
                           .started_us = a && a->has_pid ? a->pid.started_us : 0,
                           .ended_us = real_us(),
                           .text = a && !a->same_boot ? "the machine was restarted while it ran"
                                   : never_ran ? "its monitor died before the command was started"
                                               : "its monitor died"};
    if (out)
        exec_put_end(out, &end);
}

static void tell_running(struct executor *e, struct attempt *a)
{
    struct buf *out = server_out(&e->server);
    if (!out)
        return;
    if (!a->has_pid)
        ledger_refresh(&e->ledger, a);
    exec_put_state(out, a->number, EXEC_RUNNING);
    if (a->has_pid)
        exec_put_started(out, a->number, a->pid.sid, a->pid.started_us);
}

static void tell_end(struct executor *e, struct attempt *a)
{
    struct buf *out = server_out(&e->server), b = {0};
    const char *payload;
    size_t len;
    if (!out)
        return;
    if (ledger_read_end(&e->ledger, a, &b, &payload, &len))
        exec_put_frame(out, EXEC_MSG_END, payload, len);
    else
        log_error("attempt %llu has ended, but its record cannot be read now",
                  (unsigned long long)a->number);
    buf_release(&b);
}

void executor_tell(struct executor *e, struct attempt *a)
{
    if (a->state == ATTEMPT_ENDED)
        tell_end(e, a);
    else if (a->state == ATTEMPT_LOST)
        executor_tell_lost(e, a->number, a);
    else
        tell_running(e, a);
}

void executor_resolve(struct executor *e, uint64_t number, bool same_boot)
{
    struct attempt *a = ledger_find(&e->ledger, number);
    struct buf *out = server_out(&e->server);

    if (a) {
        bool open = a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_LOSING;
        if (open)
            verdict_check(&e->verdict, a); /* tells by itself when it is decided */
        if (!open || a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_LOSING)
            executor_tell(e, a);
        return;
    }
    if (ledger_is_locked(&e->ledger, number) != 0) {
        a = ledger_add_unknown(&e->ledger, number);
        verdict_check(&e->verdict, a);
        if (a->state == ATTEMPT_RUNNING)
            tell_running(e, a);
        return;
    }
    if (number > e->ledger.highest && same_boot) {
        if (out)
            exec_put_state(out, number, EXEC_UNKNOWN);
    } else {
        executor_tell_lost(e, number, NULL);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

struct hello_scan {
    struct executor *e;
    uint64_t highest, *open;
    size_t n_open;
};

static void settle(struct executor *e, struct attempt *a)
{
    if (a->state == ATTEMPT_RUNNING || a->state == ATTEMPT_LOSING) {
        log_warning("attempt %llu is over for the daemon, but it runs: it is left alone",
                    (unsigned long long)a->number);
        a->settled = true;
    } else {
        ledger_settle(&e->ledger, a);
    }
}

static void settle_unless_open(void *arg, struct attempt *a)
{
    struct hello_scan *s = arg;
    if (a->number > s->highest)
        return;
    if (s->n_open && bsearch(&a->number, s->open, s->n_open, sizeof *s->open, by_value))
        return;
    settle(s->e, a);
}

/* What the daemon cannot know of: its database may be one of an earlier time. */
static void tell_later(void *arg, struct attempt *a)
{
    struct hello_scan *s = arg;
    if (a->number > s->highest && !a->settled)
        executor_tell(s->e, a);
}

static bool on_hello(struct executor *e, const struct exec_frame *f, struct err *err)
{
    struct exec_hello h;
    if (!exec_get_hello(f->payload, f->len, &h, err)) {
        /* Of another version, most likely: ours tells it so. */
        exec_put_hello_back(server_out(&e->server), e->ledger.highest, e->ledger.boot_id_text);
        server_flush(&e->server);
        return false;
    }
    cleanup_free uint64_t *open = xcalloc(h.n_open + 1, sizeof *open);
    struct reader r = READER(h.open, h.n_open * 8);
    for (size_t i = 0; i < h.n_open; i++)
        open[i] = get_u64(&r);
    qsort(open, h.n_open, sizeof *open, by_value);
    struct hello_scan scan = {e, h.highest, open, h.n_open};
    ledger_each(&e->ledger, settle_unless_open, &scan);
    /* A part of the journal could not be read: what the daemon launched may have been begun. */
    if (e->ledger.incomplete && h.highest > e->ledger.highest)
        e->ledger.highest = h.highest;
    e->ledger.incomplete = false;
    exec_put_hello_back(server_out(&e->server), e->ledger.highest, e->ledger.boot_id_text);
    ledger_each(&e->ledger, tell_later, &scan);
    return true;
}

static void on_stop(struct executor *e, uint64_t number, uint32_t grace_ms)
{
    struct attempt *a = ledger_find(&e->ledger, number);
    bool put_off = executor_take_deferred(e, number);
    if (a) {
        verdict_stop(&e->verdict, a, grace_ms);
        return;
    }
    if (!put_off && number <= e->ledger.highest) {
        executor_resolve(e, number, true);
        return;
    }
    int64_t now_us = real_us();
    struct exec_end end = {.number = number,
                           .outcome = EXEC_NOT_STARTED,
                           .status = 126,
                           .never_ran = true,
                           .stopped = true,
                           .error = ECANCELED,
                           .text = "stopped before it was started",
                           .started_us = now_us,
                           .ended_us = now_us};
    executor_end_unstarted(e, &end);
}

static void on_pause(struct executor *e, uint64_t number, bool paused)
{
    struct attempt *a = ledger_find(&e->ledger, number);
    if (a)
        verdict_pause(&e->verdict, a, paused);
    else
        executor_pause_deferred(e, number, paused);
}

static void on_steer(struct executor *e, uint64_t number, enum monitor_op op, uint64_t value)
{
    struct attempt *a = ledger_find(&e->ledger, number);
    if (a && a->state == ATTEMPT_RUNNING && op == MONITOR_CREDIT)
        verdict_credit(&e->verdict, a, value);
    else if (a && a->state == ATTEMPT_RUNNING)
        verdict_steer(a, monitor_signal_pack(op, number, value));
}

static void on_remove_log(struct executor *e, uint64_t number)
{
    struct attempt *a = ledger_find(&e->ledger, number);
    struct buf *out = server_out(&e->server);
    /* Not answered otherwise: the daemon asks again another time. */
    if ((!a || a->state == ATTEMPT_ENDED || a->state == ATTEMPT_LOST) &&
        output_remove(e->dir.log_dirfd, number) && out)
        exec_put_number(out, EXEC_MSG_LOG_REMOVED, number);
}

static bool malformed(const struct exec_frame *f, struct err *err)
{
    return err_set(err, EPROTO, "a malformed message of type %u", (unsigned)f->type);
}

bool executor_on_message(struct executor *e, const struct exec_frame *f, struct err *err)
{
    struct reader r = READER(f->payload, f->len);
    uint64_t value = 0;

    if (f->type == EXEC_MSG_HELLO)
        return on_hello(e, f, err);
    if (f->type == EXEC_MSG_START)
        return executor_on_start(e, f->payload, f->len, err);

    uint64_t number = get_u64(&r);
    if (f->type == EXEC_MSG_STOP)
        value = get_u32(&r);
    else if (f->type == EXEC_MSG_CREDIT)
        value = get_u64(&r);
    else if (f->type == EXEC_MSG_RESOLVE || f->type == EXEC_MSG_PAUSE)
        value = get_u8(&r);
    if (!reader_done(&r) || number == 0 || number > INT64_MAX)
        return malformed(f, err);

    struct attempt *a;
    switch (f->type) {
    case EXEC_MSG_STOP:
        on_stop(e, number, (uint32_t)value);
        return true;
    case EXEC_MSG_RESOLVE:
        executor_resolve(e, number, value != 0);
        return true;
    case EXEC_MSG_SETTLE:
        a = ledger_find(&e->ledger, number);
        if (a)
            settle(e, a);
        return true;
    case EXEC_MSG_FLUSH:
        on_steer(e, number, MONITOR_FLUSH, 0);
        return true;
    case EXEC_MSG_CREDIT:
        on_steer(e, number, MONITOR_CREDIT, value);
        return true;
    case EXEC_MSG_PAUSE:
        on_pause(e, number, value != 0);
        return true;
    case EXEC_MSG_REMOVE_LOG:
        on_remove_log(e, number);
        return true;
    default:
        return malformed(f, err);
    }
}
