#include "client/command.h"
#include "client/steer.h"

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    json_t *more = o->freeze ? json_pack("{s:b}", "freeze", 1) : NULL;
    return steer_jobs(c, o, argc, argv, IDS_ALL_LIVE, "job.pause", more, NULL);
}

static const struct option pause_options[] = {
    OPTION_FLAG("freeze", 0, freeze, "stop the commands that run, too"),
    OPTION_DRY_RUN,
    OPTIONS_END,
};
const struct command command_pause = {
    .name = "pause",
    .args = "[--freeze] [-n] ID…",
    .summary = "start nothing more of jobs; what runs goes on",
    .options = pause_options,
    .help = "What waits keeps its place; others in the pool pass it. `coro resume` lets it go on.\n"
            "`all` is every job that has not ended.",
    .examples = "coro pause nightly\n"
                "coro pause --freeze last\n",
    .run = run,
};
