#include <string.h>

#include "client/command.h"
#include "client/get.h"
#include "client/outcome.h"
#include "client/place.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

/* A line of the job's: as it is, but harmless on a terminal. */
static void print_text(struct cli *c, const char *before, const json_t *text)
{
    struct buf line = {0};
    buf_addstr(&line, before);
    if (c->out.tty)
        text_put_safe(&line, json_string_value(text), json_string_length(text), 0, c->out.utf8);
    else
        buf_add(&line, json_string_value(text), json_string_length(text));
    buf_addch(&line, '\n');
    fwrite(line.data, 1, line.len, c->out.file);
    buf_release(&line);
}

static void print_tick(struct cli *c, const json_t *tick)
{
    struct buf line = {0}, head = {0}, time = {0};
    const json_t *handle, *ready = json_object_get(tick, "ready");
    size_t i;

    buf_printf(&time, "%.6g", get_real(tick, "time"));
    buf_printf(&head, "%8ss  tick %-4lld ", buf_cstr(&time), (long long)get_int(tick, "tick"));
    screen_put(&c->out, &line, STYLE_DIM, buf_cstr(&head));
    json_array_foreach (ready, i, handle) {
        const char *name = get_text(handle, "name");
        if (c->out.columns > 0 && text_columns(line.data, line.len) + 45 > c->out.columns) {
            buf_addstr(&line, c->out.utf8 ? ", …" : ", ...");
            break;
        }
        buf_addstr(&line, i > 0 ? ", " : "[");
        screen_put(&c->out, &line, STYLE_CYAN, get_text(handle, "kind"));
        if (*name != '\0') {
            buf_printf(&line, "(.%lld ", (long long)get_int(handle, "task"));
            screen_put_safe(&c->out, &line, name, 24);
            buf_addch(&line, ')');
        }
    }
    if (get_int(tick, "more") > 0)
        buf_printf(&line, ", and %lld more", (long long)get_int(tick, "more"));
    fprintf(c->out.file, "%s]\n", buf_cstr(&line));
    buf_release(&time);
    buf_release(&head);
    buf_release(&line);
}

static void print_trace(struct cli *c, const json_t *result)
{
    const json_t *tick;
    size_t i;
    json_array_foreach (json_object_get(result, "trace"), i, tick)
        print_tick(c, tick);
    if (json_is_true(json_object_get(result, "trace_truncated")))
        cli_note(c, "there were more ticks");
}

static void print_messages(struct cli *c, const json_t *result)
{
    const json_t *line;
    size_t i;
    json_array_foreach (json_object_get(result, "diagnostics"), i, line) {
        struct buf safe = {0};
        screen_put_safe(&c->err, &safe, json_string_value(line), 0);
        cli_note(c, "%s", buf_cstr(&safe));
        buf_release(&safe);
    }
    if (json_is_true(json_object_get(result, "output_truncated")))
        cli_note(c, "it printed more than this");
}

static int print_result(struct cli *c, const struct options *o, const json_t *result)
{
    const json_t *line, *end = json_object_get(result, "end");
    size_t i;

    if (c->json) {
        view_json(c, result);
    } else {
        json_array_foreach (json_object_get(result, "output"), i, line)
            print_text(c, "", line);
        if (json_is_string(end))
            print_text(c, "=> ", end);
        print_messages(c, result);
        if (o->trace)
            print_trace(c, result);
        if (!o->only_output)
            view_gantt(c, json_object_get(result, "timeline"), get_real(result, "duration"));
        if (!o->only_output && get_int(result, "more") > 0)
            fprintf(c->out.file, "and %lld tasks more\n", (long long)get_int(result, "more"));
    }
    if (json_is_string(end))
        return outcome_status(result);
    cli_problem(c, "the simulation was stopped: %s", get_text(result, "stopped"));
    return EXIT_COROD;
}

static int simulate_file(struct conn *conn, const struct options *o, const char *path)
{
    struct cli *c = conn->cli;
    struct err err = {0};
    struct buf text = {0};
    int status;

    if (!place_read(path, SUBMIT_MAX_BYTES, &text, &err) ||
        !place_check(path, text.data != NULL ? text.data : "", text.len, &err)) {
        buf_release(&text);
        return cli_fail(c, &err);
    }
    json_t *result = submit_ask(conn, "job.simulate", text.data, text.len,
                                o->trace ? ",\"trace\":true" : "", &err);
    if (result == NULL)
        status = submit_refused(conn, path, text.data, text.len, &err);
    else
        status = print_result(c, o, result);
    json_decref(result);
    buf_release(&text);
    return status;
}

static int simulate_command(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};

    if (argc != 1)
        return cli_usage(c, "which file? one (\"-\" is stdin)");
    if (!conn_open(&conn, c, &err))
        return cli_fail(c, &err);
    int status = simulate_file(&conn, o, argv[0]);
    conn_close(&conn);
    return status;
}

static const struct option simulate_options[] = {
    OPTION_FLAG("output", 0, only_output, "only what it prints, and how it ends"),
    OPTION_FLAG("trace", 0, trace, "show what is ready to run before each tick"),
    OPTIONS_END,
};
const struct command command_simulate = {
    .name = "simulate",
    .args = "[--output] [--trace] FILE|-",
    .summary = "run a job on virtual time: nothing is started",
    .options = simulate_options,
    .help = "Prints what the job would print, how it would end, and when its tasks would run.\n"
            "What a command does is what its key \"simulate\" says, corod-job(5); without it, it\n"
            "ends well at once, but `sleep N`, `echo TEXT`, `exit N` in it do what they say.\n"
            "The exit status is the job's.",
    .examples = "coro simulate build.json\n"
                "coro simulate --output build.json\n",
    .run = simulate_command,
};
