#include <errno.h>
#include <string.h>
#include <time.h>

#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/job_text.h"
#include "client/text.h"
#include "client/timeline.h"
#include "client/view.h"
#include "proto/mem.h"

#define SHOWN     100 /* tasks on a terminal, unless -a */
#define SHOWN_SVG 500 /* and in a picture */

/* Cuts the list to max rows; how many were cut, with those that the daemon left out. */
static long long cut(json_t *timeline, const json_t *tree, const struct options *o, size_t max)
{
    size_t n = json_array_size(timeline);
    long long more = (long long)get_int(tree, "more");

    while (!o->all && json_array_size(timeline) > max)
        json_array_remove(timeline, json_array_size(timeline) - 1);
    return more + (long long)(n - json_array_size(timeline));
}

static bool write_svg(const char *path, const json_t *tree, const json_t *timeline, double duration,
                      long long more, struct err *err)
{
    struct buf title = {0}, about = {0};
    double started;
    bool to_stdout = strcmp(path, "-") == 0;
    FILE *out = to_stdout ? stdout : fopen(path, "we");

    if (out == NULL)
        return err_errno(err, "%s", path);
    const char *name = job_title(tree);
    buf_printf(&title, "Job %lld%s%s", (long long)get_int(tree, "id"), *name != '\0' ? ": " : "",
               name);
    buf_printf(&about, "%s, ", get_text(tree, "state"));
    text_put_duration(&about, duration);
    if (get_time(tree, "started", &started)) {
        time_t at = (time_t)started;
        char text[64] = "";
        struct tm tm;
        if (localtime_r(&at, &tm) != NULL && strftime(text, sizeof(text), "%F %T %Z", &tm) > 0)
            buf_printf(&about, ", started %s", text);
    }
    struct timeline_svg picture = {buf_cstr(&title), buf_cstr(&about), duration, more};
    timeline_svg(out, timeline, &picture);
    buf_release(&title);
    buf_release(&about);
    bool bad = fflush(out) != 0 || ferror(out);
    if (!to_stdout)
        bad |= fclose(out) != 0;
    return bad ? err_errno(err, "%s", path) : true;
}

static int show(struct cli *c, const struct options *o, const json_t *tree)
{
    struct err err = {0};
    double duration;
    json_t *timeline = timeline_of_tree(tree, view_now_s(), &duration);
    int status = EXIT_OK;

    if (o->svg != NULL) {
        long long more = cut(timeline, tree, o, SHOWN_SVG);
        if (!write_svg(o->svg, tree, timeline, duration, more, &err))
            status = cli_fail(c, &err);
    } else if (c->json) {
        json_t *all =
            json_pack("{s:O, s:f, s:O, s:O}", "id", json_object_get(tree, "id"), "duration",
                      duration, "timeline", timeline, "more", json_object_get(tree, "more"));
        view_json(c, all);
        json_decref(all);
    } else {
        long long more = cut(timeline, tree, o, SHOWN);
        view_gantt(c, timeline, duration);
        long long left_out = (long long)get_int(tree, "more");
        if (more > left_out && left_out > 0)
            fprintf(c->out.file, "and %lld tasks more (-a: %lld of them)\n", more, more - left_out);
        else if (more > 0)
            fprintf(c->out.file, "and %lld tasks more%s\n", more, more > left_out ? " (-a)" : "");
    }
    json_decref(timeline);
    return status;
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};

    if (argc > 1)
        return cli_usage(c, "one job at a time");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    json_int_t id = ids_resolve_one(&conn, argc > 0 ? argv[0] : "last", &err);
    json_t *tree = id != 0 ? conn_ask(&conn, "job.tree", json_pack("{s:I}", "id", id), &err) : NULL;
    int status = tree != NULL ? show(c, o, tree) : cli_fail(c, &err);
    json_decref(tree);
    conn_close(&conn);
    return status;
}

static const struct option timeline_options[] = {
    OPTION_FLAG("all", 'a', all, "all tasks, also of a job that has very many"),
    OPTION_TEXT("svg", 0, svg, "FILE", "draw a picture into this file (\"-\": to stdout)"),
    OPTIONS_END,
};
const struct command command_timeline = {
    .name = "timeline",
    .args = "[OPTION…] [ID]",
    .summary = "a job's tasks over time: when each ran, when it waited",
    .options = timeline_options,
    .help = "A bar is thick while a command of the task runs and thin while the task waits: for a\n"
            "slot, a time, other tasks. Of a job that has not ended, up to now.",
    .examples = "coro timeline last\n"
                "coro timeline --svg nightly.svg nightly\n",
    .run = run,
};
