#include <string.h>

#include "client/command.h"
#include "client/ended.h"
#include "client/get.h"
#include "client/place.h"
#include "client/screen.h"
#include "client/view.h"
#include "proto/mem.h"

static int submit_file(struct conn *conn, const struct options *o, const char *path)
{
    struct cli *c = conn->cli;
    struct err err = {0};
    struct buf text = {0};

    if (!place_read(path, SUBMIT_MAX_BYTES, &text, &err) ||
        !place_check(path, text.data != NULL ? text.data : "", text.len, &err)) {
        buf_release(&text);
        return cli_fail(c, &err);
    }
    int status = EXIT_OK;
    json_t *accepted = submit_text(conn, text.data, text.len, o->job.key, &err);
    if (accepted == NULL) {
        status = submit_refused(conn, path, text.data, text.len, &err);
    } else {
        json_int_t id = get_int(accepted, "id");
        if (!c->quiet)
            place_complain(c, path, text.data, text.len,
                           "warning: ", json_object_get(accepted, "warnings"));
        if (c->json && !o->wait && !o->follow)
            view_json(c, accepted);
        else if (!o->wait && !o->follow)
            fprintf(c->out.file, "%lld\n", (long long)id);
        else
            status = ended_show(conn, o, id);
        json_decref(accepted);
    }
    buf_release(&text);
    return status;
}

static int each_file(struct cli *c, const struct options *o, int argc, char **argv,
                     int (*one)(struct conn *conn, const struct options *o, const char *path))
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    int highest = EXIT_OK;

    if (argc == 0)
        return cli_usage(c, "which file? (\"-\" is stdin)");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    for (int i = 0; i < argc; i++) {
        int status = one(&conn, o, argv[i]);
        highest = status > highest ? status : highest;
    }
    conn_close(&conn);
    return highest;
}

static int submit_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    return each_file(c, o, argc, argv, submit_file);
}

static int check_file(struct conn *conn, const struct options *o, const char *path)
{
    struct cli *c = conn->cli;
    struct err err = {0};
    struct buf text = {0};
    int status = EXIT_OK;

    (void)o;
    if (!place_read(path, SUBMIT_MAX_BYTES, &text, &err) ||
        !place_check(path, text.data != NULL ? text.data : "", text.len, &err)) {
        buf_release(&text);
        return cli_fail(c, &err);
    }
    json_t *result = submit_ask(conn, "job.check", text.data, text.len, "", &err);
    if (result == NULL) {
        status = submit_refused(conn, path, text.data, text.len, &err);
        if (c->json && json_is_array(conn->mistakes))
            view_json(c, conn->mistakes);
    } else if (c->json) {
        view_json(c, result);
    } else {
        place_complain(c, path, text.data, text.len,
                       "warning: ", json_object_get(result, "warnings"));
        if (!c->quiet)
            fprintf(c->out.file, "%s: ok\n", path);
    }
    json_decref(result);
    buf_release(&text);
    return status;
}

static int check_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    return each_file(c, o, argc, argv, check_file);
}

static const struct option submit_options[] = {
    OPTION_FLAG("wait", 'w', wait, "wait for the end, print the job's value, end with its status"),
    OPTION_FLAG("follow", 'f', follow, "show what it prints and its commands write, as it comes"),
    OPTION_TEXT("key", 0, job.key, "KEY", "the same key and document give the same job"),
    OPTIONS_END,
};
const struct command command_submit = {
    .name = "submit",
    .args = "[-w] [-f] FILE…|-",
    .summary = "hand in job documents and print their ids",
    .options = submit_options,
    .help =
        "A document is a program in JSON, corod-job(5). Mistakes are shown with their place.\n"
        "With -w or -f the exit status is the job's: a failed command's own, 124 after a timeout,\n"
        "130 cancelled, 1 for another error.",
    .examples = "coro submit -w build.json\n"
                "echo '{\"run\": [\"uptime\"]}' | coro submit -f -\n",
    .run = submit_command,
};

static const struct option check_options[] = {OPTIONS_END};
const struct command command_check = {
    .name = "check",
    .args = "FILE…|-",
    .summary = "find all mistakes in job documents",
    .options = check_options,
    .examples = "coro check build.json\n",
    .run = check_command,
};
