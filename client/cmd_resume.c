#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.resume", NULL, NULL);
}

static const struct option resume_options[] = {OPTION_DRY_RUN, OPTIONS_END};
const struct command command_resume = {
    .name = "resume",
    .args = "[-n] ID…",
    .summary = "let paused jobs go on",
    .options = resume_options,
    .help = "`all` is every job that has not ended.",
    .examples = "coro resume nightly\n",
    .run = run,
};
