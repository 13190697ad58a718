#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/executor/monitor_priv.h"
#include "proto/errinj.h"
#include "proto/log.h"
#include "proto/mem.h"

enum { RETRY_US = 200 * 1000 };

static void report(struct monitor *m, const struct buf *b)
{
    ssize_t n;
    if (m->alone)
        return;
    do {
        n = send(m->setup.sock, b->data, b->len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        m->alone = true; /* whoever comes next reads the journal */
}

void monitor_tell_started(struct monitor *m)
{
    struct buf b = {0};
    m->c.tell_at_us = 0;
    put_u8(&b, MONITOR_STARTED);
    put_u64(&b, m->c.start.number);
    put_u64(&b, (uint64_t)m->c.pid);
    put_u64(&b, (uint64_t)m->c.started_us);
    report(m, &b);
    buf_release(&b);
}

void monitor_notice(struct monitor *m, const char *text)
{
    struct buf b = {0};
    log_warning("attempt %llu: %s", (unsigned long long)m->c.start.number, text);
    put_u8(&b, MONITOR_NOTICE);
    put_u64(&b, m->c.start.number);
    buf_addstr(&b, text);
    report(m, &b);
    buf_release(&b);
}

static int64_t timeval_us(struct timeval tv)
{
    return (int64_t)tv.tv_sec * 1000000 + tv.tv_usec;
}

static void describe_failure(const struct command *c, struct exec_end *e)
{
    e->outcome = EXEC_NOT_STARTED;
    e->never_ran = true;
    e->error = c->failure.error;
    e->status =
        c->failure.stage == LAUNCH_EXEC && (e->error == ENOENT || e->error == ENOTDIR) ? 127 : 126;
    e->text = c->failure_text;
    e->started_us = e->ended_us;
    e->pid = 0;
    e->duration_us = 0;
}

static void describe(const struct monitor *m, struct exec_end *e)
{
    const struct command *c = &m->c;
    *e = (struct exec_end){.number = c->start.number,
                           .stopped = c->stopped,
                           .text = "",
                           .pid = c->pid,
                           .started_us = c->started_us,
                           .ended_us = c->ended_us,
                           .duration_us = c->ended_boot_us - c->started_boot_us,
                           .log_bytes = m->out.position,
                           .log_lost = m->out.lost_bytes};
    if (c->failure.stage != LAUNCH_DONE) {
        describe_failure(c, e);
        return;
    }
    if (WIFSIGNALED(c->wait_status)) {
        e->outcome = EXEC_SIGNALED;
        e->status = WTERMSIG(c->wait_status);
        e->core_dumped = WCOREDUMP(c->wait_status);
    } else {
        e->outcome = EXEC_EXITED;
        e->status = WEXITSTATUS(c->wait_status);
    }
    e->cpu_user_us = timeval_us(c->rusage.ru_utime);
    e->cpu_sys_us = timeval_us(c->rusage.ru_stime);
    e->maxrss_kib = (uint64_t)c->rusage.ru_maxrss;
}

void monitor_record(struct monitor *m, int64_t now_us)
{
    struct buf b = {0};
    struct exec_end e;
    bool in_memory = true;

    m->c.retry_at_us = 0;
    if (m->phase != PHASE_RECORDING)
        output_finish(&m->out, &in_memory);
    else
        in_memory = m->out.pending.len > 0; /* as the first try left it */
    describe(m, &e);
    if (in_memory) {
        e.output = m->out.pending.data;
        e.output_len = m->out.pending.len;
    }
    e.log_in_file = m->out.position > e.output_len;
    put_u8(&b, MONITOR_ENDED);
    put_u8(&b, m->retire);
    exec_put_end_body(&b, &e);
    errinj(ERRINJ_EXEC_BEFORE_E);
    if (!journal_append(&m->pen, JOURNAL_END, e.number, b.data + 2, b.len - 2)) {
        /* The lock stays held: nobody takes the attempt for lost. */
        if (m->phase != PHASE_RECORDING)
            log_warning("attempt %llu: cannot record its end: %s: trying again",
                        (unsigned long long)e.number, strerror(errno));
        m->phase = PHASE_RECORDING;
        m->c.retry_at_us = now_us + RETRY_US;
        buf_release(&b);
        return;
    }
    errinj(ERRINJ_EXEC_AFTER_E);
    m->lock_fd = close_fd(m->lock_fd);
    errinj(ERRINJ_EXEC_BEFORE_REPORT);
    report(m, &b);
    errinj(ERRINJ_EXEC_AFTER_REPORT);
    buf_release(&b);
    exec_start_release(&m->c.start);
    m->phase = PHASE_IDLE;
}
