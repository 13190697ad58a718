/*
 * Runs a job document on virtual time, with commands that are only pretended, and prints what it
 * printed, then `=> {"state": …, "value" or "error": …}`.
 *
 *   run_case [--reload] [--keep] [--budget N] [--diagnostics] [--stats] FILE
 *   run_case [--reload] [--keep] [--budget N] --many
 *       a document on each line of the input; a line "." ends what it printed
 *
 * --reload: at each tick (with --budget 1: at each step) all is collected, the runtime is thrown
 * away and loaded again from its rows. --keep: each variable has a row of its own. Commands do what
 * daemon/task/pretend.h says; besides, `kill` ends by a signal, `lost` is lost, `nope` can't be
 * started.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/base/map.h"
#include "daemon/task/pretend.h"
#include "daemon/task/runtime.h"
#include "proto/mem.h"
#include "tests/lang/kept_objects.h"

enum { JOB = 7, MAX_ATTEMPTS = 1000 };

struct row {
    uint32_t id, parent;
    int64_t created_us, finished_us;
    char *frame, *result;
    size_t frame_len, result_len;
    uint64_t end_seq;
};
struct sim {
    struct runtime *rt;
    struct program *program;
    struct row *rows;
    size_t n_rows, rows_cap;
    struct kept_objects objects;
    struct buf state;
    struct pretend pretend;
    uint64_t row_bytes, writes;
    bool over, diagnostics, keep;
    struct buf result;
};

static void on_wanted(void *arg, struct leaf *leaf)
{
    pretend_leaf_wanted(&((struct sim *)arg)->pretend, leaf);
}

static void on_dropped(void *arg, struct leaf *leaf)
{
    pretend_leaf_dropped(&((struct sim *)arg)->pretend, leaf);
}

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)arg;
    (void)job;
    (void)seq;
    fwrite(text, 1, len, stdout);
    putchar('\n');
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    static const char *const names[] = {"succeeded", "failed", "cancelled", "lost"};
    struct sim *s = arg;
    (void)job;
    buf_printf(&s->result, "=> {\"state\": \"%s\", \"%s\": ", names[how],
               error ? "error" : "value");
    value_write(&s->result, error ? error : value, JSON_STYLE_SPACED);
    buf_addch(&s->result, '}');
    s->over = true;
}

static void on_diagnostic(void *arg, uint64_t job, const char *text)
{
    (void)job;
    if (((struct sim *)arg)->diagnostics)
        printf("! %s\n", text);
}

static const struct runtime_effects effects = {
    .leaf_wanted = on_wanted,
    .leaf_dropped = on_dropped,
    .printed = on_printed,
    .job_ended = on_ended,
    .diagnostic = on_diagnostic,
};

/* ---- rows ---- */

static struct row *find(struct sim *s, uint32_t id)
{
    size_t low = 0, high = s->n_rows;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (s->rows[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    if (low < s->n_rows && s->rows[low].id == id)
        return &s->rows[low];
    s->rows = xgrow(s->rows, &s->rows_cap, s->n_rows + 1, sizeof *s->rows);
    memmove(&s->rows[low + 1], &s->rows[low], (s->n_rows - low) * sizeof *s->rows);
    s->n_rows++;
    s->rows[low] = (struct row){.id = id};
    return &s->rows[low];
}

static void replace(char **to, size_t *to_len, const char *from, size_t len)
{
    free(*to);
    *to = xmemdup(len ? from : "", len ? len : 1);
    *to_len = len;
}

static void sink_task(void *arg, const struct task_row *row)
{
    struct sim *s = arg;
    struct row *r = find(s, row->id);
    r->parent = row->parent;
    r->created_us = row->created_us;
    replace(&r->frame, &r->frame_len, row->frame, row->frame_len);
    s->row_bytes += row->frame_len;
    s->writes++;
}

static void sink_end(void *arg, const struct task_end_row *row)
{
    struct sim *s = arg;
    struct row *r = find(s, row->task);
    if (r->end_seq)
        fprintf(stderr, "run_case: task %u ended twice\n", row->task);
    r->end_seq = row->seq;
    r->finished_us = row->finished_us;
    replace(&r->result, &r->result_len, row->result, row->result_len);
    s->row_bytes += row->result_len;
    s->writes++;
}

static void sink_job(void *arg, uint64_t job, const char *state, size_t len)
{
    struct sim *s = arg;
    (void)job;
    buf_clear(&s->state);
    buf_add(&s->state, state, len);
    s->row_bytes += len;
    s->writes++;
}

static void sink_object(void *arg, const struct object_row *row)
{
    struct sim *s = arg;
    kept_object(&s->objects, row);
    s->row_bytes += row->state_len;
    s->writes++;
}

static void sink_items_gone(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last)
{
    struct sim *s = arg;
    kept_items_gone(&s->objects, job, object, first, last);
    s->writes++;
}

static void sink_object_gone(void *arg, uint64_t job, uint32_t object)
{
    struct sim *s = arg;
    kept_object_gone(&s->objects, job, object);
    s->writes++;
}

static void sink_item(void *arg, const struct item_row *row)
{
    struct sim *s = arg;
    kept_item(&s->objects, row);
    s->row_bytes += row->value_len;
    s->writes++;
}

static void sink_objects_gone(void *arg, uint64_t job)
{
    kept_objects_gone(&((struct sim *)arg)->objects, job);
}

static const struct runtime_sink sink = {
    .task = sink_task,
    .task_end = sink_end,
    .job = sink_job,
    .object = sink_object,
    .object_gone = sink_object_gone,
    .item = sink_item,
    .items_gone = sink_items_gone,
    .objects_gone = sink_objects_gone,
};

static int by_end(const void *a, const void *b)
{
    const struct row *x = *(struct row *const *)a, *y = *(struct row *const *)b;
    return x->end_seq < y->end_seq ? -1 : x->end_seq > y->end_seq;
}

static bool load_rows(struct sim *s, struct job_loader *l, struct err *err)
{
    struct row **ends = xmalloc((s->n_rows + 1) * sizeof *ends);
    size_t n = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < s->n_rows; i++) {
        struct row *r = &s->rows[i];
        struct task_row row = {.job = JOB,
                               .id = r->id,
                               .parent = r->parent,
                               .created_us = r->created_us,
                               .frame = r->frame,
                               .frame_len = r->frame_len};
        if (r->end_seq)
            ends[n++] = r;
        ok = runtime_load_task(l, &row, err);
    }
    qsort(ends, n, sizeof *ends, by_end);
    for (size_t i = 0; ok && i < n; i++) {
        struct task_end_row row = {.job = JOB,
                                   .seq = ends[i]->end_seq,
                                   .task = ends[i]->id,
                                   .finished_us = ends[i]->finished_us,
                                   .result = ends[i]->result,
                                   .result_len = ends[i]->result_len};
        ok = runtime_load_end(l, &row, err);
    }
    free(ends);
    return ok && kept_objects_load(&s->objects, l, JOB, err);
}

static void new_runtime(struct sim *s)
{
    s->rt = s->pretend.rt = runtime_new(&effects, s);
    if (s->keep)
        runtime_keep_from(s->rt, 1);
}

static void reload(struct sim *s)
{
    struct err err = {0};
    runtime_free(s->rt);
    new_runtime(s);
    pretend_forget_wanted(&s->pretend);
    bool ok = kept_named_load(&s->objects, s->rt, &err);
    struct job_loader *l =
        runtime_load_begin(s->rt, JOB, 0, s->program, s->state.data, s->state.len);
    ok = load_rows(s, l, &err) && ok;
    if (!ok || !runtime_load_finish(l, &err)) {
        fprintf(stderr, "run_case: %s\n", err.text);
        exit(2);
    }
    runtime_load_named_done(s->rt);
    pretend_loaded(&s->pretend);
}

/* ---- commands ---- */

/* Words of the cases that no simulation knows. */
static bool special(const char *t, struct pretended *c)
{
    struct leaf_outcome *o = &c->outcome;
    if (strncmp(t, "kill", 4) == 0)
        *o = (struct leaf_outcome){.how = LEAF_SIGNALED, .status = 9};
    else if (strncmp(t, "lost", 4) == 0)
        *o = (struct leaf_outcome){.how = LEAF_LOST, .text = "the machine was restarted"};
    else if (strncmp(t, "nope", 4) == 0)
        *o = (struct leaf_outcome){.how = LEAF_NOT_STARTED,
                                   .status = 127,
                                   .text = "cannot run \"nope\": No such file or directory"};
    else if (strncmp(t, "flaky", 5) == 0)
        o->status = c->attempt < 3;
    else if (strncmp(t, "sha256sum ", 10) == 0)
        o->status = strstr(t, "no such") != NULL;
    else
        return false;
    return true;
}

static int64_t next_us(const struct sim *s)
{
    int64_t timer = runtime_next_us(s->rt), command = pretend_next_us(&s->pretend);
    return timer < command ? timer : command;
}

static void run(struct sim *s, bool again, unsigned budget)
{
    for (;;) {
        bool work = runtime_tick(s->rt, s->pretend.now_us, budget);
        runtime_collect(s->rt, &sink, s);
        if (s->over)
            return;
        if (again)
            reload(s);
        if (!work && runtime_next_us(s->rt) <= s->pretend.now_us)
            continue; /* commands start when nothing else is left to do */
        if (work || pretend_step(&s->pretend)) {
            if (again && !work) {
                runtime_collect(s->rt, &sink, s);
                reload(s);
            }
            continue;
        }
        int64_t next = next_us(s);
        if (next == INT64_MAX) {
            fprintf(stderr, "run_case: nothing happens any more\n");
            exit(2);
        }
        if (next > s->pretend.now_us)
            s->pretend.now_us = next;
        /* Completions come before timers that are due at the same time. */
        if (pretend_end(&s->pretend) && again) {
            runtime_collect(s->rt, &sink, s);
            reload(s);
        }
    }
}

static struct program *parse(const char *text, size_t len)
{
    struct mistakes errors = {0}, warnings = {0};
    struct program *p = program_parse(text, len, 200, runtime_kinds(), &errors, &warnings);
    for (size_t i = 0; i < errors.n; i++)
        printf("%s: %s%s%s\n", errors.all[i].pointer, errors.all[i].message,
               errors.all[i].hint ? "; " : "", errors.all[i].hint ? errors.all[i].hint : "");
    mistakes_release(&errors);
    mistakes_release(&warnings);
    return p;
}

static struct program *parse_file(const char *path)
{
    struct buf text = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "run_case: %s: %s\n", path, strerror(errno));
        exit(2);
    }
    for (size_t n; (n = fread(buf_reserve(&text, 65536), 1, 65536, f)) > 0;)
        text.len += n;
    fclose(f);
    struct program *p = parse(text.data, text.len);
    buf_release(&text);
    return p;
}

static void release(struct sim *s)
{
    for (size_t i = 0; i < s->n_rows; i++) {
        free(s->rows[i].frame);
        free(s->rows[i].result);
    }
    kept_objects_release(&s->objects);
    free(s->rows);
    pretend_release(&s->pretend);
    buf_release(&s->state);
    buf_release(&s->result);
    program_unref(s->program);
}

struct options {
    bool again, stats, many;
    unsigned budget;
    const char *path;
};

/* Takes over s->program. */
static void run_program(struct sim *s, const struct options *o)
{
    new_runtime(s);
    runtime_start(s->rt, JOB, 0, s->program, s->pretend.now_us);
    if (o->again) {
        runtime_collect(s->rt, &sink, s);
        reload(s);
    }
    run(s, o->again, o->budget);
    printf("%s\n", buf_cstr(&s->result));
    if (o->stats)
        fprintf(stderr,
                "%.3f s of CPU, %zu rows, %llu written, %llu bytes, %.6f s of virtual time\n",
                (double)clock() / CLOCKS_PER_SEC, s->n_rows, (unsigned long long)s->writes,
                (unsigned long long)s->row_bytes, (double)(s->pretend.now_us - 1000000) / 1e6);
    runtime_free(s->rt);
    release(s);
}

static void run_lines(const struct sim *start, const struct options *o)
{
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
        struct sim s = *start;
        if ((s.program = parse(line, (size_t)n)) != NULL)
            run_program(&s, o);
        puts(".");
        fflush(stdout);
    }
    free(line);
}

int main(int argc, char **argv)
{
    struct sim s = {.pretend = {.slots = 1000, .special = special, .now_us = 1000000}};
    struct options o = {.budget = 100000};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--reload") == 0)
            o.again = true;
        else if (strcmp(argv[i], "--keep") == 0)
            s.keep = true;
        else if (strcmp(argv[i], "--diagnostics") == 0)
            s.diagnostics = true;
        else if (strcmp(argv[i], "--stats") == 0)
            o.stats = true;
        else if (strcmp(argv[i], "--many") == 0)
            o.many = true;
        else if (strcmp(argv[i], "--slots") == 0 && i + 1 < argc)
            s.pretend.slots = (size_t)atoi(argv[++i]);
        else if (strcmp(argv[i], "--budget") == 0 && i + 1 < argc)
            o.budget = (unsigned)atoi(argv[++i]);
        else
            o.path = argv[i];
    }
    if (o.many) {
        run_lines(&s, &o);
        return 0;
    }
    if (!o.path || !(s.program = parse_file(o.path)))
        return 1;
    run_program(&s, &o);
    return 0;
}
