/* Jobs as rows: which columns there are, and by what one can sort. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/get.h"
#include "client/job_text.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"
#include "proto/nearest.h"

#define ERROR_COLUMNS 44 /* on a terminal */

struct job_column {
    const char *name, *head;
    bool standard; /* shown unless others are asked for */
    /* Appends the cell's text. */
    enum style (*put)(const struct screen *s, const json_t *job, struct buf *out);
    /* What to sort by; NULL: the text. */
    double (*key)(const json_t *job);
};

static enum style put_id(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    buf_printf(out, "%lld", (long long)get_int(job, "id"));
    return STYLE_BOLD;
}

static double key_id(const json_t *job)
{
    return (double)get_int(job, "id");
}

static enum style put_uuid(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    buf_addstr(out, get_text(job, "uuid"));
    return STYLE_DIM;
}

static enum style put_state(const struct screen *s, const json_t *job, struct buf *out)
{
    const char *state = get_text(job, "state");
    struct look look = screen_state(s, state);
    buf_printf(out, "%s %s", look.symbol, state);
    return look.style;
}

static enum style put_owner(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    if ((json_int_t)getuid() != get_int(job, "uid"))
        buf_addstr(out, get_text(job, "owner"));
    return STYLE_PLAIN;
}

static enum style put_pool(const struct screen *s, const json_t *job, struct buf *out)
{
    const char *pool = get_text(job, "pool");
    (void)s;
    if (strcmp(pool, "default") != 0)
        buf_addstr(out, pool);
    return STYLE_PLAIN;
}

static enum style put_priority(const struct screen *s, const json_t *job, struct buf *out)
{
    json_int_t priority = get_int(job, "priority");
    (void)s;
    if (priority != 0)
        buf_printf(out, "%lld", (long long)priority);
    return STYLE_PLAIN;
}

static double key_priority(const json_t *job)
{
    return (double)get_int(job, "priority");
}

static double moment(const json_t *job, const char *key)
{
    double at;
    return get_time(job, key, &at) ? at : -1;
}

static enum style put_created(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_moment(out, job, "created");
    return STYLE_DIM;
}

static double key_created(const json_t *job)
{
    return moment(job, "created");
}

static enum style put_started(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_moment(out, job, "started");
    return STYLE_DIM;
}

static double key_started(const json_t *job)
{
    return moment(job, "started");
}

static enum style put_finished(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_moment(out, job, "finished");
    return STYLE_DIM;
}

static double key_finished(const json_t *job)
{
    return moment(job, "finished");
}

static enum style put_time(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_time(out, job);
    return STYLE_PLAIN;
}

static enum style put_name(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    buf_addstr(out, job_title(job));
    return *get_text(job, "name") != '\0' ? STYLE_PLAIN : STYLE_DIM;
}

static enum style put_command(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    buf_addstr(out, get_text(job, "summary"));
    return STYLE_PLAIN;
}

static enum style put_labels(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_labels(out, job);
    return STYLE_DIM;
}

static enum style put_exit(const struct screen *s, const json_t *job, struct buf *out)
{
    const json_t *exit = json_object_get(job, "exit");
    (void)s;
    if (json_is_integer(exit))
        buf_printf(out, "%lld", (long long)json_integer_value(exit));
    return json_integer_value(exit) == 0 ? STYLE_PLAIN : STYLE_RED;
}

static double key_exit(const json_t *job)
{
    const json_t *exit = json_object_get(job, "exit");
    return json_is_integer(exit) ? (double)json_integer_value(exit) : -1;
}

static enum style put_error(const struct screen *s, const json_t *job, struct buf *out)
{
    job_put_error(s, out, job, s->columns > 0 ? ERROR_COLUMNS : 0);
    return STYLE_RED;
}

static enum style put_why(const struct screen *s, const json_t *job, struct buf *out)
{
    (void)s;
    job_put_why(out, job);
    return STYLE_YELLOW;
}

static const struct job_column columns[] = {
    {"id", ">ID", true, put_id, key_id},
    {"state", "STATE", true, put_state, NULL},
    {"owner", "OWNER", true, put_owner, NULL},
    {"pool", "POOL", true, put_pool, NULL},
    {"priority", ">PRIORITY", true, put_priority, key_priority},
    {"created", "CREATED", true, put_created, key_created},
    {"started", "STARTED", false, put_started, key_started},
    {"finished", "FINISHED", false, put_finished, key_finished},
    {"time", ">TIME", true, put_time, job_seconds},
    {"name", "NAME", true, put_name, NULL},
    {"command", "COMMAND", false, put_command, NULL},
    {"labels", "LABELS", true, put_labels, NULL},
    {"exit", ">EXIT", false, put_exit, key_exit},
    {"error", "ERROR", true, put_error, NULL},
    {"why", "WAITS", true, put_why, NULL},
    {"uuid", "UUID", false, put_uuid, NULL},
    {NULL, NULL, false, NULL, NULL},
};
#define COLUMNS (ARRAY_LEN(columns) - 1)

static const struct job_column *find(const char *name, size_t len, struct err *err)
{
    for (const struct job_column *c = columns; c->name != NULL; c++) {
        if (strlen(c->name) == len && strncmp(c->name, name, len) == 0)
            return c;
    }
    cleanup_free char *word = xstrndup(name, len);
    const char *near = nearest_name(word, columns, sizeof(columns[0]));
    struct buf all = {0};
    for (const struct job_column *c = columns; near == NULL && c->name != NULL; c++)
        buf_printf(&all, "%s%s", c > columns ? ", " : "", c->name);
    if (near != NULL)
        err_set(err, EINVAL, "there is no column \"%s\" (did you mean \"%s\"?)", word, near);
    else
        err_set(err, EINVAL, "there is no column \"%s\"; there are %s", word, buf_cstr(&all));
    buf_release(&all);
    return NULL;
}

bool view_jobs_choose(struct view_columns *v, const char *list, struct err *err)
{
    struct view_columns chosen = {0};

    if (list == NULL) {
        for (size_t i = 0; i < COLUMNS; i++) {
            if (columns[i].standard)
                chosen.all[chosen.n++] = &columns[i];
        }
        *v = chosen;
        return true;
    }
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ",");
        const struct job_column *c = find(p, n, err);
        if (c == NULL)
            return false;
        if (chosen.n == ARRAY_LEN(chosen.all))
            return err_set(err, EINVAL, "too many columns");
        chosen.all[chosen.n++] = c;
        p += n;
        if (*p == '\0')
            break;
    }
    *v = chosen;
    return true;
}

const char *view_jobs_column(size_t i)
{
    return i < COLUMNS ? columns[i].name : NULL;
}

void view_jobs_columns(struct cli *c, const json_t *jobs, bool heading,
                       const struct view_columns *v)
{
    const char *heads[ARRAY_LEN(v->all)];
    struct table t;
    size_t i, elastic = v->n - 1;
    const json_t *job;

    for (size_t k = 0; k < v->n; k++) {
        heads[k] = v->all[k]->head;
        if (v->all[k]->put == put_name || v->all[k]->put == put_command)
            elastic = k;
    }
    table_init(&t, &c->out, v->n, heads, elastic);
    json_array_foreach (jobs, i, job) {
        for (size_t k = 0; k < v->n; k++) {
            struct buf cell = {0};
            enum style style = v->all[k]->put(&c->out, job, &cell);
            table_add(&t, style, buf_cstr(&cell));
            buf_release(&cell);
        }
    }
    table_print(&t, heading);
}

void view_jobs(struct cli *c, const json_t *jobs, bool heading)
{
    struct view_columns v;
    if (view_jobs_choose(&v, NULL, NULL))
        view_jobs_columns(c, jobs, heading, &v);
}

struct keyed {
    json_t *job;
    size_t at;
    double key;
    char *text;
};

static int compare(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int by = x->text != NULL ? strcmp(x->text, y->text) : (x->key > y->key) - (x->key < y->key);
    return by != 0 ? by : (x->at > y->at) - (x->at < y->at);
}

bool view_jobs_sort(json_t *jobs, const char *by, bool reverse, struct err *err)
{
    const struct job_column *c = find(by, strlen(by), err);
    size_t n = json_array_size(jobs);

    if (c == NULL)
        return false;
    struct keyed *rows = xcalloc(n + 1, sizeof(*rows));
    struct screen plain = {0};
    for (size_t i = 0; i < n; i++) {
        rows[i] = (struct keyed){.job = json_incref(json_array_get(jobs, i)), .at = i};
        if (c->key != NULL) {
            rows[i].key = c->key(rows[i].job);
        } else {
            struct buf text = {0};
            c->put(&plain, rows[i].job, &text);
            rows[i].text = buf_steal(&text);
            if (rows[i].text == NULL)
                rows[i].text = xstrdup("");
        }
    }
    if (n > 0)
        qsort(rows, n, sizeof(*rows), compare);
    json_array_clear(jobs);
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(jobs, rows[reverse ? n - 1 - i : i].job);
        free(rows[reverse ? n - 1 - i : i].text);
    }
    free(rows);
    return true;
}
