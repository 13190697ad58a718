#include "client/command.h"
#include "client/get.h"
#include "client/ids.h"
#include "client/screen.h"
#include "client/view.h"
#include "proto/mem.h"

/* One line a reason, its own causes below it, further in. */
static void print_reasons(struct cli *c, const json_t *reasons, size_t depth)
{
    size_t i;
    const json_t *r;

    json_array_foreach (reasons, i, r) {
        const char *task = get_text(r, "task"), *name = get_text(r, "name");
        struct buf out = {0}, text = {0};
        buf_printf(&out, "%*s", (int)(2 + 2 * depth), "");
        if (*task != '\0') {
            buf_printf(&text, "%s %s: ", task, name);
            struct buf safe = {0};
            screen_put_safe(&c->out, &safe, buf_cstr(&text), 0);
            screen_put(&c->out, &out, STYLE_DIM, buf_cstr(&safe));
            buf_release(&safe);
        }
        screen_put_safe(&c->out, &out, get_text(r, "text"), 0);
        fprintf(c->out.file, "%s\n", buf_cstr(&out));
        buf_release(&out);
        buf_release(&text);
        print_reasons(c, json_object_get(r, "reasons"), depth + 1);
    }
}

static void print(struct cli *c, const json_t *result)
{
    const char *name = get_text(result, "name"), *state = get_text(result, "state");
    struct look look = screen_state(&c->out, state);
    struct buf out = {0};

    buf_printf(&out, "job %lld", (long long)get_int(result, "id"));
    if (*name != '\0') {
        buf_addstr(&out, " (");
        screen_put_safe(&c->out, &out, name, 60);
        buf_addch(&out, ')');
    }
    buf_addstr(&out, " is ");
    screen_put(&c->out, &out, look.style, state);
    fprintf(c->out.file, "%s\n", buf_cstr(&out));
    buf_release(&out);
    print_reasons(c, json_object_get(result, "reasons"), 0);
    if (get_int(result, "more") > 0)
        fprintf(c->out.file, "  … and %lld more\n", (long long)get_int(result, "more"));
}

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    struct conn conn = {.fd = -1};
    struct err err = {0};
    json_t *result = NULL;
    json_int_t id;
    (void)o;

    if (argc > 1)
        return cli_usage(c, "one job at a time");
    if (conn_open(&conn, c, &err) &&
        (id = ids_resolve_one(&conn, argc > 0 ? argv[0] : "last", &err)) != 0)
        result = conn_ask(&conn, "job.explain", json_pack("{s:I}", "id", id), &err);
    int status = result != NULL ? EXIT_OK : cli_fail(c, &err);
    if (result != NULL && c->json)
        view_json(c, result);
    else if (result != NULL)
        print(c, result);
    json_decref(result);
    conn_close(&conn);
    return status;
}

static const struct option explain_options[] = {OPTIONS_END};
const struct command command_explain = {
    .name = "explain",
    .args = "[ID]",
    .summary = "why a job does not start, or does not end",
    .options = explain_options,
    .help = "Each line is what something waits for; below it, what that waits for.\n",
    .examples = "coro explain nightly\n",
    .run = run,
};
