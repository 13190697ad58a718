#include <string.h>
#include <time.h>

#include "client/get.h"
#include "client/job_text.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"

double view_now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void view_json(struct cli *c, const json_t *value)
{
    json_dumpf(value, c->out.file, JSON_ENCODE_ANY);
    fputc('\n', c->out.file);
}

void view_pools(struct cli *c, const json_t *pools, bool heading)
{
    static const char *const heads[] = {"POOL", "LOAD", ">SLOTS", ">WAITING", "STATE"};
    struct table t;
    size_t i;
    const json_t *pool;

    table_init(&t, &c->out, ARRAY_LEN(heads), heads, 0);
    json_array_foreach (pools, i, pool) {
        json_int_t slots = get_int(pool, "slots"), taken = get_int(pool, "taken");
        json_int_t waiting = get_int(pool, "waiting");
        struct buf load = {0};
        for (json_int_t k = 0; k < 10; k++) {
            bool full = k * slots < taken * 10;
            buf_addstr(&load, c->out.utf8 ? (full ? "▮" : "▯") : full ? "#" : ".");
        }
        cleanup_free char *of = xasprintf("%lld/%lld", (long long)taken, (long long)slots);
        cleanup_free char *more = xasprintf("%lld", (long long)waiting);
        table_add(&t, STYLE_BOLD, get_text(pool, "name"));
        table_add(&t, taken < slots ? STYLE_GREEN : STYLE_YELLOW, buf_cstr(&load));
        table_add(&t, STYLE_PLAIN, of);
        table_add(&t, waiting > 0 ? STYLE_YELLOW : STYLE_DIM, more);
        table_add(&t, STYLE_YELLOW,
                  json_is_true(json_object_get(pool, "paused")) ? "paused" : NULL);
        buf_release(&load);
    }
    table_print(&t, heading);
}

/* One "name  value" line; nothing for an empty value. */
static void line(struct cli *c, const char *name, enum style style, const char *value)
{
    struct buf out = {0}, safe = {0};

    if (value == NULL || *value == '\0')
        return;
    size_t room = c->out.columns > 12 ? c->out.columns - 11 : 0;
    screen_put_safe(&c->out, &safe, value, room);
    cleanup_free char *padded = xasprintf("%-11s", name);
    screen_put(&c->out, &out, STYLE_DIM, padded);
    screen_put(&c->out, &out, style, buf_cstr(&safe));
    buf_addch(&out, '\n');
    fwrite(out.data, 1, out.len, c->out.file);
    buf_release(&out);
    buf_release(&safe);
}

/* The text of a value: a string as it is, else JSON. */
static char *value_text(const json_t *v)
{
    if (v == NULL || json_is_null(v))
        return NULL;
    if (json_is_string(v))
        return xstrdup(json_string_value(v));
    return json_dumps(v, JSON_ENCODE_ANY);
}

/* The job's printed lines or its diagnostics, each with a margin. */
static void block(struct cli *c, const char *name, const json_t *lines)
{
    if (json_array_size(lines) == 0)
        return;
    struct buf out = {0};
    size_t i;
    const json_t *v;
    screen_put(&c->out, &out, STYLE_DIM, name);
    buf_addch(&out, '\n');
    json_array_foreach (lines, i, v) {
        const char *text = json_is_string(v) ? json_string_value(v) : get_text(v, "text");
        buf_addstr(&out, "  ");
        screen_put_safe(&c->out, &out, text, c->out.columns > 2 ? c->out.columns - 2 : 0);
        buf_addch(&out, '\n');
    }
    fwrite(out.data, 1, out.len, c->out.file);
    buf_release(&out);
}

/* "3 running, 5 succeeded" */
static char *counts_text(const json_t *job)
{
    struct buf out = {0};
    const char *key;
    json_t *v;
    json_object_foreach ((json_t *)(uintptr_t)json_object_get(job, "task_counts"), key, v) {
        if (json_integer_value(v) > 0)
            buf_printf(&out, "%s%lld %s", out.len > 0 ? ", " : "", (long long)json_integer_value(v),
                       key);
    }
    return buf_steal(&out);
}

void view_job(struct cli *c, const json_t *job)
{
    const char *state = get_text(job, "state");
    struct look look = screen_state(&c->out, state);
    cleanup_free char *id =
        xasprintf("%lld  %s", (long long)get_int(job, "id"), get_text(job, "uuid"));
    cleanup_free char *shown = xasprintf("%s %s", look.symbol, state);
    struct buf labels = {0}, took = {0}, error = {0}, why = {0};
    cleanup_free char *value = value_text(json_object_get(job, "value"));
    cleanup_free char *tasks = counts_text(job);
    json_int_t priority = get_int(job, "priority");
    cleanup_free char *prio = priority != 0 ? xasprintf("%lld", (long long)priority) : NULL;

    job_put_labels(&labels, job);
    job_put_time(&took, job);
    job_put_error(&c->out, &error, job, 0);
    line(c, "id", STYLE_BOLD, id);
    line(c, "name", STYLE_PLAIN, get_text(job, "name"));
    if (strcmp(get_text(job, "summary"), get_text(job, "name")) != 0)
        line(c, "runs", STYLE_PLAIN, get_text(job, "summary"));
    job_put_why(&why, job);
    line(c, "state", look.style, shown);
    line(c, "waits", STYLE_YELLOW, buf_cstr(&why));
    line(c, "error", STYLE_RED, buf_cstr(&error));
    line(c, "value", STYLE_PLAIN, value);
    line(c, "owner", STYLE_PLAIN, get_text(job, "owner"));
    line(c, "pool", STYLE_PLAIN, get_text(job, "pool"));
    line(c, "priority", STYLE_PLAIN, prio);
    line(c, "labels", STYLE_PLAIN, buf_cstr(&labels));
    line(c, "key", STYLE_PLAIN, get_text(job, "key"));
    line(c, "directory", STYLE_PLAIN, get_text(job, "cwd"));
    static const char *const times[] = {"created", "started", "finished"};
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct buf at = {0};
        job_put_moment(&at, job, times[i]);
        line(c, times[i], STYLE_PLAIN, buf_cstr(&at));
        buf_release(&at);
    }
    line(c, "time", STYLE_PLAIN, buf_cstr(&took));
    line(c, "tasks", STYLE_PLAIN, tasks);
    block(c, "output", json_object_get(job, "output"));
    block(c, "diagnostics", json_object_get(job, "diagnostics"));
    buf_release(&labels);
    buf_release(&took);
    buf_release(&error);
    buf_release(&why);
}
