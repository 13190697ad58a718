#include "client/ended.h"

#include "client/follow.h"
#include "client/get.h"
#include "client/outcome.h"
#include "client/screen.h"
#include "client/view.h"
#include "proto/mem.h"

static void say_failure(struct cli *c, const json_t *job)
{
    const json_t *error = json_object_get(job, "error");
    struct buf line = {0};

    if (json_is_object(error))
        outcome_put_error(&c->err, &line, error, 0);
    else
        buf_addstr(&line, get_text(job, "state"));
    cli_problem(c, "job %lld: %s", (long long)get_int(job, "id"), buf_cstr(&line));
    buf_release(&line);
}

/* The job's value, as JSON in one line, or its error. */
static int print_end(struct conn *conn, json_int_t id)
{
    struct cli *c = conn->cli;
    struct err err = {0};
    json_t *job = conn_call(conn, "job.get", json_pack("{s:I}", "id", id), &err);

    if (job == NULL)
        return cli_fail(c, &err);
    int status = outcome_status(job);
    json_t *value = json_object_get(job, "value");
    if (c->json) {
        view_json(c, job);
    } else if (status == EXIT_OK) {
        json_dumpf(value, c->out.file, JSON_ENCODE_ANY);
        fputc('\n', c->out.file);
    }
    if (status != EXIT_OK)
        say_failure(c, job);
    json_decref(job);
    return status;
}

int ended_show(struct conn *conn, const struct options *o, json_int_t id)
{
    struct err err = {0};
    struct follow f = {.conn = conn,
                       .job = id,
                       .streams = o->follow ? "both" : NULL,
                       .prints = o->follow,
                       .wait = true,
                       .live = o->follow,
                       .detach = true};

    int status = follow_run(&f, &err);
    if (status == EXIT_COROD) {
        cli_fail(conn->cli, &err);
    } else if (status == EXIT_OK && o->wait) {
        status = print_end(conn, id);
    } else if (status == EXIT_OK) {
        status = outcome_status(f.ended);
        if (status != EXIT_OK)
            say_failure(conn->cli, f.ended);
    }
    json_decref(f.ended);
    return status;
}
