#include <errno.h>

#include "client/command.h"
#include "client/steer.h"
#include "client/submit.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct err err = {0};
    json_t *more = json_object();
    if (!job_options_set(&o->job, more, &err)) {
        json_decref(more);
        return cli_usage(c, "%s", err.text);
    }
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.set", more, NULL);
}

static const struct option set_options[] = {
    OPTION_TEXT("name", 0, job.name, "NAME", "call it so; \"\": by no name"),
    OPTION_TEXT("pool", 'p', job.pool, "POOL", "run its commands there"),
    OPTION_TEXT("priority", 0, job.priority, "N", "higher ones start first"),
    OPTION_LIST("label", 'l', job.labels, job.n_labels, "KEY[=VALUE]",
                "put this label on it, and take away those that it has"),
    OPTION_TEXT("delay", 0, job.delay, "DURATION", "start so long from now; 0: at once"),
    OPTION_TEXT("at", 0, job.at, "TIME", "start at 22:30 (the next), \"2026-12-24 22:30\""),
    OPTION_DRY_RUN,
    OPTIONS_END,
};
const struct command command_set = {
    .name = "set",
    .args = "[OPTION…] ID…",
    .summary = "change jobs that have not started",
    .options = set_options,
    .help = "--delay and --at take the place of the time that was set before.\n",
    .examples = "coro set --priority 10 --pool gpu 7\n"
                "coro set --at 22:30 nightly\n",
    .run = run,
};
