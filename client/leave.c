#include "client/leave.h"

#include "client/interrupt.h"

#define SECOND_CTRL_C_MS 2000

bool leave_interrupted(struct leave *l, struct conn *c, json_int_t job)
{
    long long id = (long long)job;

    while (l->seen < interrupt_count()) {
        l->seen++;
        if (l->seen == 1) {
            l->leaving = true;
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

int leave_timeout_ms(const struct leave *l)
{
    return l->leaving ? SECOND_CTRL_C_MS : -1;
}
