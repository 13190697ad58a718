#include "client/leave.h"

#include "client/interrupt.h"
#include "client/view.h"

#define SECOND_CTRL_C_S 2

bool leave_interrupted(struct leave *l, struct conn *c, json_int_t job)
{
    long long id = (long long)job;

    while (l->seen < interrupt_count()) {
        l->seen++;
        if (l->seen == 1) {
            l->leaving = true;
            l->until_s = view_now_s() + SECOND_CTRL_C_S;
            cli_problem(
                c->cli,
                "job %lld goes on: `coro log -f %lld` shows it, `coro cancel %lld` ends it; "
                "Ctrl-C once more now cancels it",
                id, id, id);
        } else if (l->seen == 2) {
            l->leaving = false;
            cli_problem(c->cli, "cancelling job %lld", id);
            l->cancel_id = conn_send(c, "job.cancel", json_pack("{s:[I]}", "ids", job));
        } else {
            return true;
        }
    }
    return false;
}

int leave_timeout_ms(const struct leave *l, int other_ms)
{
    double left_s = l->until_s - view_now_s();
    int left_ms = left_s > 0 ? (int)(left_s * 1e3) + 1 : 0;

    if (!l->leaving)
        return other_ms;
    return other_ms >= 0 && other_ms < left_ms ? other_ms : left_ms;
}

bool leave_is_due(const struct leave *l)
{
    return l->leaving && view_now_s() >= l->until_s;
}
