#include <string.h>

#include "client/command.h"
#include "client/follow.h"
#include "client/get.h"
#include "client/outcome.h"
#include "client/place.h"
#include "client/screen.h"
#include "client/submit.h"
#include "client/view.h"
#include "proto/mem.h"

/* A command line without a command says how it is used. */
static bool has_command(struct cli *c, const char *name, int argc)
{
    if (argc == 0)
        cli_usage(c, "%s needs a command: coro %s -- COMMAND [ARGUMENT…]", name, name);
    return argc > 0;
}

/* Hands the command in: job.submit's result; NULL when that failed, *status is then the exit
 * status. */
static json_t *start(struct conn *conn, struct cli *c, const struct options *o, int argc,
                     char **argv, int *status)
{
    struct err err = {0};
    json_t *doc = job_options_command(&o->job, (size_t)argc, argv, o->use_stdin, &err);
    if (doc == NULL) {
        *status = cli_usage(c, "%s", err.text);
        return NULL;
    }
    if (!conn_open(conn, c, &err)) {
        json_decref(doc);
        *status = cli_fail(c, &err);
        return NULL;
    }
    if (!job_options_after(&o->job, conn, doc, &err)) {
        json_decref(doc);
        *status = cli_fail(c, &err);
        return NULL;
    }
    json_t *result = submit_document(conn, doc, o->job.key, &err);
    if (result == NULL)
        *status = submit_refused(conn, "job", NULL, 0, &err);
    else if (json_is_true(json_object_get(result, "existing")))
        cli_note(c, "the key \"%s\" is job %lld's, it is not started again", o->job.key,
                 (long long)get_int(result, "id"));
    return result;
}

/* What the command's own output does not tell. */
static void say_end(struct cli *c, const json_t *job)
{
    const json_t *error = json_object_get(job, "error");
    const char *type = get_text(error, "type");
    int status = outcome_status(job);
    struct buf line = {0};

    if (strcmp(type, "CommandError") == 0 && status < 126)
        return; /* it ended with a status: as silent as in a shell */
    if (json_is_object(error))
        outcome_put_error(&c->err, &line, error, 0);
    else
        buf_addstr(&line, get_text(job, "state"));
    cli_problem(c, "job %lld: %s", (long long)get_int(job, "id"), buf_cstr(&line));
    buf_release(&line);
}

static int run_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int status = EXIT_USAGE;

    if (!has_command(c, "run", argc))
        return status;
    json_t *accepted = start(&conn, c, o, argc, argv, &status);
    if (accepted != NULL) {
        struct follow f = {.conn = &conn,
                           .job = get_int(accepted, "id"),
                           .streams = "both",
                           .wait = true,
                           .live = true,
                           .detach = true};
        status = follow_run(&f, &err);
        if (status == EXIT_COROD)
            cli_fail(c, &err);
        if (status == EXIT_OK)
            status = outcome_status(f.ended);
        if (c->json && f.ended != NULL)
            view_json(c, f.ended);
        else if (status != EXIT_OK && f.ended != NULL)
            say_end(c, f.ended);
        json_decref(f.ended);
        json_decref(accepted);
    }
    conn_close(&conn);
    return status;
}

static int add_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    int status = EXIT_USAGE;

    if (!has_command(c, "add", argc))
        return status;
    json_t *accepted = start(&conn, c, o, argc, argv, &status);
    if (accepted != NULL) {
        status = EXIT_OK;
        if (c->json)
            view_json(c, accepted);
        else
            fprintf(c->out.file, "%lld\n", (long long)get_int(accepted, "id"));
        json_decref(accepted);
    }
    conn_close(&conn);
    return status;
}

static const struct option run_options[] = {
    OPTIONS_JOB,
    OPTION_TEXT("on-end", 0, job.on_end, "SCRIPT", "run this then, whatever came of it"),
    OPTION_FLAG("stdin", 0, use_stdin, "send coro's stdin along; else the command's is /dev/null"),
    OPTIONS_END,
};
const struct command command_run = {
    .name = "run",
    .args = "[OPTION…] [--] COMMAND [ARGUMENT…]",
    .summary = "run a command, show its output, end with its exit status",
    .takes_command = true,
    .options = run_options,
    .help =
        "The command gets this directory, environment and umask. Ctrl-C once leaves it running\n"
        "(`coro log -f ID` shows it again), twice cancels it. If the daemon goes away, the\n"
        "command goes on and its output is shown once the daemon is back.",
    .examples = "coro run make -j8\n"
                "coro run --timeout 10m --retry 3 -- rsync -a src/ host:dst/\n",
    .run = run_command,
};

static const struct option add_options[] = {
    OPTIONS_JOB,
    OPTION_TEXT("on-end", 0, job.on_end, "SCRIPT", "run this then, whatever came of it"),
    OPTION_FLAG("stdin", 0, use_stdin, "send coro's stdin along; else the command's is /dev/null"),
    OPTIONS_END,
};
const struct command command_add = {
    .name = "add",
    .args = "[OPTION…] [--] COMMAND [ARGUMENT…]",
    .summary = "hand in a command and print the job's id",
    .takes_command = true,
    .options = add_options,
    .help = NULL,
    .examples = "coro add -n nightly -- ./backup.sh\n"
                "coro add --at 22:30 --after last -- ./report.sh\n"
                "coro wait \"$(coro add make)\"\n",
    .run = add_command,
};
