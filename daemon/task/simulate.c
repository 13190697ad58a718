#include "daemon/task/simulate.h"

#include <string.h>

#include "daemon/task/job.h"
#include "daemon/task/pretend.h"
#include "proto/mem.h"

enum {
    JOB = 1,
    START_US = 1000000, /* times are counted from here: 0 would be "not yet" */
    SLOTS = 1000,
    TICK_MAX_HANDLES = 100, /* of a tick that are shown */
    MAX_DIAGNOSTICS = 100,
};

struct shown_task {
    struct task *task; /* NULL once it has ended */
    size_t bytes;      /* that its row takes */
    /* Only of those that are shown: */
    uint32_t parent;
    enum task_state state;
    int64_t start_us, end_us;
    char *name;
};

/* The items of a JSON list, as far as there is room. */
struct listing {
    struct buf json;
    struct json_out out;
    size_t n;
    bool cut;
};

struct simulation {
    struct runtime *rt;
    struct pretend pretend;
    struct shown_task *tasks; /* by id - 1 */
    size_t n_tasks, tasks_cap, bytes;
    struct listing output, diagnostics, trace;
    bool traced, over;
    enum job_end how;
    struct buf value, end; /* value or error as JSON; the line that tells of the end */
    bool failed;
    uint64_t rounds, ticks;
    char stopped[120]; /* why it went no further; "" */
};

static bool has_room(struct listing *l, size_t max)
{
    l->out.out = &l->json;
    if (l->n >= max || l->json.len >= SIMULATION_MAX_SHOWN_BYTES)
        l->cut = true;
    if (!l->cut)
        l->n++;
    return !l->cut;
}

static void on_wanted(void *arg, struct leaf *leaf)
{
    pretend_leaf_wanted(&((struct simulation *)arg)->pretend, leaf);
}

static void on_dropped(void *arg, struct leaf *leaf)
{
    pretend_leaf_dropped(&((struct simulation *)arg)->pretend, leaf);
}

static void add_line(struct listing *l, const char *text, size_t len, size_t max)
{
    if (has_room(l, max))
        jout_string(&l->out, text, len);
}

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)job;
    (void)seq;
    add_line(&((struct simulation *)arg)->output, text, len, SIMULATION_MAX_LINES);
}

static void on_diagnostic(void *arg, uint64_t job, const char *text)
{
    (void)job;
    add_line(&((struct simulation *)arg)->diagnostics, text, strlen(text), MAX_DIAGNOSTICS);
}

static void on_task_changed(void *arg, uint64_t id, uint32_t task, enum task_state state)
{
    struct simulation *s = arg;
    struct job *job = map_get(&s->rt->jobs, id);
    if (state == TASK_PENDING) {
        /* Ids ascend by one; a new task is the job's last. */
        s->tasks = xgrow(s->tasks, &s->tasks_cap, task, sizeof *s->tasks);
        s->tasks[s->n_tasks++] = (struct shown_task){.task = job->last,
                                                     .parent = job->last->parent,
                                                     .start_us = job->now_us,
                                                     .state = state};
        return;
    }
    struct shown_task *shown = &s->tasks[task - 1];
    shown->state = state;
    if (!shown->task || !task_is_done(shown->task))
        return;
    if (task <= SIMULATION_MAX_TIMELINE) {
        struct buf name = {0};
        task_put_title(shown->task, &name);
        shown->name = buf_steal(&name);
        shown->end_us = job->now_us;
    }
    shown->task = NULL;
}

/* As the contract of `coro simulate` shows errors: type, message, exceptions. */
static void put_error(struct buf *out, const struct value *error)
{
    const struct value *list = error_is_group(error) ? value_find(error, "exceptions") : NULL;
    cleanup_value struct value *type = value_text(error_type(error));
    cleanup_value struct value *message = value_text(error_message(error));
    buf_addstr(out, "{\"type\": ");
    value_write(out, type, JSON_STYLE_SPACED);
    buf_addstr(out, ", \"message\": ");
    value_write(out, message, JSON_STYLE_SPACED);
    for (size_t i = 0; list && i < value_count(list); i++) {
        buf_addstr(out, i ? ", " : ", \"exceptions\": [");
        put_error(out, value_item(list, i)); /* as deep as values are: VALUE_MAX_DEPTH */
    }
    buf_addstr(out, list && value_count(list) ? "]}" : "}");
}

static enum job_state state_of(enum job_end how)
{
    static const enum job_state states[] = {
        [JOB_SUCCEEDED] = JOB_STATE_SUCCEEDED,
        [JOB_FAILED] = JOB_STATE_FAILED,
        [JOB_CANCELLED] = JOB_STATE_CANCELLED,
        [JOB_LOST] = JOB_STATE_LOST,
    };
    return states[how];
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    struct simulation *s = arg;
    (void)job;
    s->over = true;
    s->how = how;
    s->failed = error != NULL;
    value_write(&s->value, error ? error : value, JSON_STYLE_COMPACT);
    buf_printf(&s->end, "{\"state\": \"%s\", \"%s\": ", job_state_name(state_of(how)),
               error ? "error" : "value");
    if (error)
        put_error(&s->end, error);
    else
        value_write(&s->end, value, JSON_STYLE_SPACED);
    buf_addch(&s->end, '}');
}

/* The trace. */

static const char *kind_of(const struct handle *h, const struct task **ret)
{
    *ret = h->p;
    switch ((enum handle_type)h->type) {
    case HANDLE_STEP:
    case HANDLE_SELF:
        return "step";
    case HANDLE_WAKE:
        return "wakeup";
    case HANDLE_LEAF:
        return "command";
    case HANDLE_TIMER:
        *ret = timer_task(h->p, h->q);
        return h->p ? "timer" : "cancelled timer";
    case HANDLE_CHILD:
    case HANDLE_WATCH:
        *ret = h->q;
        return "done";
    case HANDLE_NOTHING:
        break;
    case HANDLE_STOP:
        *ret = NULL;
        return "stop";
    }
    *ret = NULL;
    return "nothing";
}

static void put_handle(struct json_out *o, const struct handle *h)
{
    const struct task *t;
    const char *kind = kind_of(h, &t);
    jout_begin_object(o);
    jout_key(o, "kind");
    jout_text(o, kind);
    if (t) {
        struct buf name = {0};
        task_put_title(t, &name);
        jout_key(o, "task");
        jout_uint(o, t->id);
        jout_key(o, "name");
        jout_string(o, name.data, name.len);
        buf_release(&name);
    }
    jout_end_object(o);
}

static void on_tick(void *arg, uint64_t id)
{
    struct simulation *s = arg;
    struct job *job = map_get(&s->rt->jobs, id);
    const struct ready *r = &job->ready;
    s->ticks++;
    if (!s->traced || !has_room(&s->trace, SIZE_MAX))
        return;
    struct json_out *o = &s->trace.out;
    jout_begin_object(o);
    jout_key(o, "tick");
    jout_uint(o, s->ticks);
    jout_key(o, "time");
    jout_seconds(o, job->now_us - START_US);
    jout_key(o, "ready");
    jout_begin_array(o);
    for (size_t i = 0; i < r->n && i < TICK_MAX_HANDLES; i++)
        put_handle(o, &r->ring[(r->head + i) & (r->cap - 1)]);
    jout_end_array(o);
    if (r->n > TICK_MAX_HANDLES) {
        jout_key(o, "more");
        jout_uint(o, r->n - TICK_MAX_HANDLES);
    }
    jout_end_object(o);
}

static const struct runtime_effects effects = {
    .leaf_wanted = on_wanted,
    .leaf_dropped = on_dropped,
    .printed = on_printed,
    .task_changed = on_task_changed,
    .job_ended = on_ended,
    .tick = on_tick,
    .diagnostic = on_diagnostic,
};

/* Rows are only weighed. */

static void weigh(struct simulation *s, uint32_t task, size_t bytes)
{
    struct shown_task *t = &s->tasks[task - 1];
    s->bytes += bytes - t->bytes;
    t->bytes = bytes;
}

static void sink_task(void *arg, const struct task_row *row)
{
    weigh(arg, row->id, row->frame_len);
}

static void sink_end(void *arg, const struct task_end_row *row)
{
    weigh(arg, row->task, row->result_len);
}

static const struct runtime_sink sink = {.task = sink_task, .task_end = sink_end};

struct simulation *simulation_new(struct program *program, bool trace)
{
    struct simulation *s = xcalloc(1, sizeof *s);
    s->rt = runtime_new(&effects, s);
    runtime_keep_from(s->rt, SIZE_MAX); /* a task's row is as large as its variables */
    s->pretend = (struct pretend){.rt = s->rt, .slots = SLOTS, .now_us = START_US};
    s->traced = trace;
    runtime_start(s->rt, JOB, 0, program, START_US);
    return s;
}

void simulation_free(struct simulation *s)
{
    if (!s)
        return;
    runtime_free(s->rt);
    pretend_release(&s->pretend);
    for (size_t i = 0; i < s->n_tasks; i++)
        free(s->tasks[i].name);
    free(s->tasks);
    buf_release(&s->output.json);
    buf_release(&s->diagnostics.json);
    buf_release(&s->trace.json);
    buf_release(&s->value);
    buf_release(&s->end);
    free(s);
}

static void put_names(struct simulation *s)
{
    for (size_t i = 0; i < s->n_tasks && i < SIMULATION_MAX_TIMELINE; i++) {
        struct buf name = {0};
        if (!s->tasks[i].task)
            continue;
        task_put_title(s->tasks[i].task, &name);
        s->tasks[i].name = buf_steal(&name);
        s->tasks[i].state = task_state_of(s->tasks[i].task);
    }
}

/* True: a bound was reached. */
static bool stop_at_bounds(struct simulation *s)
{
    const struct job *job = map_get(&s->rt->jobs, JOB);
    size_t bytes = s->bytes + named_bytes(s->rt) + (job ? job->use.item_bytes : 0);
    if (runtime_steps(s->rt) + s->rounds >= SIMULATION_MAX_STEPS)
        snprintf(s->stopped, sizeof s->stopped, "it made %d steps", SIMULATION_MAX_STEPS);
    else if (s->n_tasks > SIMULATION_MAX_TASKS)
        snprintf(s->stopped, sizeof s->stopped, "it made more than %d tasks", SIMULATION_MAX_TASKS);
    else if (bytes > SIMULATION_MAX_BYTES)
        snprintf(s->stopped, sizeof s->stopped, "its variables and queues take more than %d MiB",
                 SIMULATION_MAX_BYTES / 1024 / 1024);
    else
        return false;
    put_names(s);
    return true;
}

/* Nothing is left to do now. */
static void go_on_in_time(struct simulation *s)
{
    int64_t next = runtime_next_us(s->rt), command = pretend_next_us(&s->pretend);
    if (command < next)
        next = command;
    if (next == INT64_MAX) { /* the runtime has a word for this: DeadlockError */
        snprintf(s->stopped, sizeof s->stopped, "nothing happens any more");
        put_names(s);
        return;
    }
    if (next > s->pretend.now_us)
        s->pretend.now_us = next;
    /* Completions come before timers that are due at the same time. */
    pretend_end(&s->pretend);
}

bool simulation_run(struct simulation *s, unsigned budget)
{
    while (!s->over && !s->stopped[0]) {
        uint64_t before = runtime_steps(s->rt);
        bool work = runtime_tick(s->rt, s->pretend.now_us, budget);
        uint64_t steps = runtime_steps(s->rt) - before + 1;
        s->rounds++;
        runtime_collect(s->rt, &sink, s);
        if (s->over || stop_at_bounds(s))
            break;
        /* Commands start when nothing else is left to do. */
        if (!work && runtime_next_us(s->rt) > s->pretend.now_us && !pretend_step(&s->pretend))
            go_on_in_time(s);
        if (steps >= budget)
            return true;
        budget -= (unsigned)steps;
    }
    return false;
}

static void write_list(const struct listing *l, const char *key, const char *cut,
                       struct json_out *o)
{
    jout_key(o, key);
    jout_begin_array(o);
    if (l->json.len)
        jout_raw(o, l->json.data, l->json.len);
    jout_end_array(o);
    if (cut && l->cut) {
        jout_key(o, cut);
        jout_bool(o, true);
    }
}

static void write_timeline(const struct simulation *s, struct json_out *o)
{
    jout_key(o, "timeline");
    jout_begin_array(o);
    for (size_t i = 0; i < s->n_tasks && i < SIMULATION_MAX_TIMELINE; i++) {
        const struct shown_task *t = &s->tasks[i];
        jout_begin_object(o);
        jout_key(o, "task");
        jout_uint(o, i + 1);
        jout_key(o, "parent");
        if (t->parent)
            jout_uint(o, t->parent);
        else
            jout_null(o);
        jout_key(o, "name");
        jout_text(o, t->name);
        jout_key(o, "state");
        jout_text(o, task_state_name(t->state));
        jout_key(o, "start");
        jout_seconds(o, t->start_us - START_US);
        jout_key(o, "end");
        if (t->end_us)
            jout_seconds(o, t->end_us - START_US);
        else
            jout_null(o);
        jout_end_object(o);
    }
    jout_end_array(o);
    if (s->n_tasks > SIMULATION_MAX_TIMELINE) {
        jout_key(o, "more");
        jout_uint(o, s->n_tasks - SIMULATION_MAX_TIMELINE);
    }
}

void simulation_write(const struct simulation *s, struct json_out *o)
{
    jout_begin_object(o);
    write_list(&s->output, "output", "output_truncated", o);
    jout_key(o, "state");
    jout_text(o, job_state_name(s->over ? state_of(s->how) : JOB_STATE_RUNNING));
    jout_key(o, s->failed ? "error" : "value");
    if (s->over)
        jout_raw(o, s->value.data, s->value.len);
    else
        jout_null(o);
    if (s->over) {
        jout_key(o, "end");
        jout_string(o, s->end.data, s->end.len);
    } else {
        jout_key(o, "stopped");
        jout_text(o, s->stopped);
    }
    jout_key(o, "duration");
    jout_seconds(o, s->pretend.now_us - START_US);
    jout_key(o, "ticks");
    jout_uint(o, s->ticks);
    jout_key(o, "steps");
    jout_uint(o, runtime_steps(s->rt));
    write_list(&s->diagnostics, "diagnostics", NULL, o);
    write_timeline(s, o);
    if (s->traced)
        write_list(&s->trace, "trace", "trace_truncated", o);
    jout_end_object(o);
}
