#include "client/command.h"
#include "client/ended.h"
#include "client/get.h"
#include "client/steer.h"
#include "client/view.h"

/* The highest of their statuses. */
static int show(struct cli *c, const struct options *o, const json_t *jobs)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int highest = EXIT_OK;
    size_t i;
    const json_t *job;

    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_array_foreach (jobs, i, job) {
        int status = ended_show(&conn, o, get_int(job, "id"));
        highest = status > highest ? status : highest;
    }
    conn_close(&conn);
    return highest;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    json_t *more = o->failed ? json_pack("{s:b}", "failed", 1) : NULL, *jobs = NULL;
    int status = steer_jobs(c, o, argc, argv, IDS_ALL_ENDED, "job.retry", more, &jobs);
    size_t i;
    const json_t *job;

    if (status == EXIT_OK && (o->wait || o->follow))
        status = show(c, o, jobs);
    else if (c->json && json_array_size(jobs) > 0)
        view_json(c, jobs);
    else
        json_array_foreach (jobs, i, job)
            fprintf(c->out.file, "%lld\n", (long long)get_int(job, "id"));
    json_decref(jobs);
    return status;
}

static const struct option retry_options[] = {
    OPTION_FLAG("failed", 0, failed, "keep the results of the items that went well"),
    OPTION_FLAG("wait", 'w', wait, "wait for the end, print the job's value, end with its status"),
    OPTION_FLAG("follow", 'f', follow, "show what it prints and its commands write, as it comes"),
    OPTION_DRY_RUN,
    OPTIONS_END,
};
const struct command command_retry = {
    .name = "retry",
    .args = "[--failed] [-w] [-f] [-n] ID…",
    .summary = "make jobs that have ended again, print the new ids",
    .options = retry_options,
    .help = "A new job runs the same document with the same environment, directory and settings.\n"
            "With --failed, for `coro map` and jobs that gather over items: what went well before\n"
            "is not run again, its results are kept.",
    .examples = "coro retry last\n"
                "coro retry --failed -w 17\n",
    .run = run,
};
