/* Random lives of jobs that share objects: killed, cancelled, taken up again; clients come and go.
 */
#include <string.h>

#include "daemon/task/runtime.h"
#include "daemon/task/visit.h"
#include "proto/mem.h"
#include "tests/fuzz/kept.h"
#include "tests/unit/unit.h"

enum { OWNER = 1, JOBS = 60, VISITS = 4, ITEMS = 100000, TURNS = 400, ROUNDS = 200 };

static struct world {
    struct runtime *rt;
    int64_t now_us;
    struct kept named, kept[JOBS + 1];
    struct program *live[JOBS + 1]; /* NULL: it has ended, or never was */
    unsigned n_jobs;
    struct visitor *visitor;
    struct visit *visits[VISITS];
    uint64_t lent[VISITS]; /* an item's number */
    bool taken[ITEMS];
    int next_item;
} w;

static uint64_t seed;
static unsigned any(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 20) % n;
}

/* ---- what jobs do; #: a number that is never used again ---- */

#define Q       "{\"queue\": {\"name\": \"q\"}, \"as\": \"o\"}, "
#define L       "{\"lock\": {\"name\": \"l\"}, \"as\": \"o\"}, "
#define S       "{\"semaphore\": {\"name\": \"s\", \"value\": 2}, \"as\": \"o\"}, "
#define C       "{\"condition\": {\"name\": \"c\"}, \"as\": \"o\"}, "
#define B       "{\"barrier\": {\"name\": \"b\", \"parties\": 3}, \"as\": \"o\"}, "
#define E       "{\"event\": {\"name\": \"e\"}, \"as\": \"o\"}, "
#define TIMES   "{\"for\": \"i\", \"in\": {\"range\": 3}, \"do\": "
#define MANY(x) "{\"gather\": {\"for\": \"i\", \"in\": {\"range\": 4}, \"do\": " x "}}"
#define TRY(x)  "{\"try\": {\"timeout\": 1, \"do\": " x "}, \"except\": [{\"do\": []}]}"
#define HOLD    "{\"with\": \"${o}\", \"do\": {\"sleep\": 0.5}}"

static const char *const documents[] = {
    "[{\"queue\": {\"name\": \"q\", \"maxsize\": 2}}]",
    "[" Q TIMES "{\"put\": {\"expr\": {\"+\": [#, {\"var\": \"i\"}]}}, \"into\": \"${o}\"}}]",
    "[" Q TIMES "[{\"get\": \"${o}\", \"as\": \"x\"}, {\"print\": \"${x}\"}]}]",
    "[" Q MANY("[{\"get\": \"${o}\", \"as\": \"x\"}, {\"print\": \"${x}\"}]") "]",
    "[" Q TIMES TRY("[{\"get\": \"${o}\", \"as\": \"x\"}, {\"print\": \"${x}\"}]") "}]",
    "[" Q "{\"for\": \"x\", \"in\": \"${o}\", \"do\": {\"print\": \"${x}\"}}]",
    "[" L TIMES HOLD "}]",
    "[" L MANY(TRY(HOLD)) "]",
    "[" S TIMES HOLD "}]",
    "[" S MANY(TRY(HOLD)) "]",
    "[" C MANY(TRY("{\"with\": \"${o}\", \"do\": {\"wait\": \"${o}\"}}")) "]",
    "[" C "{\"with\": \"${o}\", \"do\": {\"notify\": \"${o}\", \"n\": 2}}]",
    "[" C "{\"with\": \"${o}\", \"do\": [{\"sleep\": 0.2}, {\"notify_all\": \"${o}\"}]}]",
    "[" B TIMES TRY("{\"wait\": \"${o}\"}") "}]",
    "[" B MANY("{\"wait\": \"${o}\"}") "]",
    "[" B "{\"reset\": \"${o}\"}]",
    "[" E MANY("{\"wait\": \"${o}\"}") "]",
    "[" E "{\"set_event\": \"${o}\"}, {\"sleep\": 0.3}, {\"clear_event\": \"${o}\"}]",
};

/* ---- what happens ---- */

static void take(int64_t item)
{
    ck_assert_msg(item >= 0 && item < ITEMS && !w.taken[item], "item %d comes twice", (int)item);
    w.taken[item] = true;
}

static void on_printed(void *arg, uint64_t job, uint64_t seq, const char *text, size_t len)
{
    (void)arg;
    (void)job;
    (void)seq;
    ck_assert(len < 10);
    take(strtol(text, NULL, 10));
}

static void on_ended(void *arg, uint64_t job, enum job_end how, struct value *value,
                     struct value *error)
{
    (void)arg;
    (void)how;
    (void)value;
    (void)error;
    program_unref(w.live[job]);
    w.live[job] = NULL;
}

static const struct runtime_effects effects = {.printed = on_printed, .job_ended = on_ended};

/* ---- rows ---- */

static struct kept *kept_of(uint64_t job)
{
    return job ? &w.kept[job] : &w.named;
}
static void sink_task(void *arg, const struct task_row *row)
{
    (void)arg;
    kept_sink.task(kept_of(row->job), row);
}
static void sink_end(void *arg, const struct task_end_row *row)
{
    (void)arg;
    kept_sink.task_end(kept_of(row->job), row);
}
static void sink_job(void *arg, uint64_t job, const char *state, size_t len)
{
    (void)arg;
    kept_sink.job(kept_of(job), job, state, len);
}
static void sink_object(void *arg, const struct object_row *row)
{
    (void)arg;
    kept_sink.object(kept_of(row->job), row);
}
static void sink_object_gone(void *arg, uint64_t job, uint32_t object)
{
    (void)arg;
    kept_sink.object_gone(kept_of(job), job, object);
}
static void sink_item(void *arg, const struct item_row *row)
{
    (void)arg;
    kept_sink.item(kept_of(row->job), row);
}
static void sink_items_gone(void *arg, uint64_t job, uint32_t object, uint64_t first, uint64_t last)
{
    (void)arg;
    kept_sink.items_gone(kept_of(job), job, object, first, last);
}
static void sink_objects_gone(void *arg, uint64_t job)
{
    (void)arg;
    kept_sink.objects_gone(kept_of(job), job);
}
static const struct runtime_sink sink = {sink_task,       sink_end,         sink_job,
                                         sink_object,     sink_object_gone, sink_item,
                                         sink_items_gone, sink_objects_gone};

static void begin(void)
{
    w.rt = runtime_new(&effects, NULL);
    runtime_expect_others(w.rt);
}

static void clients_leave(void)
{
    for (size_t i = 0; i < VISITS; i++) {
        if (w.visits[i])
            visit_drop(w.visits[i]);
        w.visits[i] = NULL;
        w.lent[i] = 0;
    }
    visitor_free(w.visitor);
    w.visitor = NULL;
}

static void restart(void)
{
    runtime_free(w.rt);
    clients_leave();
    begin();
    kept_load_named(&w.named, w.rt);
    for (unsigned i = 1; i <= w.n_jobs; i++) {
        struct err err;
        if (w.live[i])
            ck_assert_msg(kept_load_job(&w.kept[i], w.rt, i, OWNER, w.live[i], &err), "%s",
                          err.text);
    }
    runtime_load_named_done(w.rt);
}

/* ---- clients ---- */

static void on_visit(void *arg, const struct visit_end *e, const struct err *err)
{
    size_t i = (size_t)((struct visit **)arg - w.visits);
    w.visits[i] = NULL;
    if (!err && e->value)
        w.lent[i] = e->item;
}

static void visit(size_t i)
{
    struct err err;
    if (!w.visitor)
        w.visitor = visitor_new(w.rt);
    if (w.visits[i] && any(2)) {
        visit_drop(w.visits[i]);
        w.visits[i] = NULL;
    } else if (w.lent[i]) {
        visitor_done(w.visitor, OWNER, "q", w.lent[i], &err);
        w.lent[i] = 0;
    } else if (!w.visits[i]) {
        cleanup_value struct value *item = value_int(w.next_item++);
        struct visit_wish wish = {.kind = any(2) ? VISIT_GET : VISIT_PUT,
                                  .owner = OWNER,
                                  .name = "q",
                                  .value = item,
                                  .nowait = any(4) == 0};
        struct visit *x = visit_begin(w.visitor, &wish, on_visit, &w.visits[i]);
        if (x)
            w.visits[i] = x;
    }
}

/* ---- what must be so when nothing is left to do ---- */

static void look(void *arg, const struct named_view *v)
{
    (void)arg;
    if (v->holder)
        ck_assert_msg(w.live[v->holder] != NULL, "%s: job %d is gone", v->name, (int)v->holder);
    switch (v->kind) {
    case NAMED_QUEUE:
        ck_assert_msg(!v->size || !v->getters, "an item and who wants it");
        ck_assert_msg(v->limit <= 0 || v->size >= (size_t)v->limit || !v->putters, "room");
        break;
    case NAMED_LOCK:
        ck_assert_msg(v->flag == (v->holders > 0), "%s: whose is it", v->name);
        ck_assert_msg(v->flag || !v->waiters || strcmp(v->type, "condition") == 0, "it is free");
        break;
    case NAMED_SEMAPHORE:
        ck_assert_msg(v->value >= 0 && v->value <= 2 && (v->value > 0 || v->holders), "lost");
        ck_assert_msg(v->value == 0 || !v->waiters, "there is some left");
        break;
    case NAMED_EVENT:
        ck_assert_msg(!v->flag || !v->waiters, "it is set");
        break;
    case NAMED_BARRIER:
        ck_assert_msg(v->value < 3 && !v->flag, "all are there");
        break;
    }
}

static void settle(void)
{
    for (unsigned i = 0; runtime_tick(w.rt, w.now_us, 1000); i++)
        ck_assert(i < 1000);
    runtime_collect(w.rt, &sink, NULL);
    named_each(w.rt, -1, look, NULL);
}

static void start(const char *document)
{
    struct buf text = {0};
    struct mistakes m = {0};
    if (w.n_jobs == JOBS)
        return;
    for (const char *p = document; *p; p++)
        if (*p == '#')
            buf_printf(&text, "%d", w.next_item);
        else
            buf_addch(&text, *p);
    w.next_item += 3;
    uint64_t id = ++w.n_jobs;
    w.live[id] = program_parse(text.data, text.len, 100, runtime_kinds(), &m, &m);
    ck_assert_msg(w.live[id] != NULL, "%s: %s", buf_cstr(&text), m.n ? m.all[0].message : "");
    mistakes_release(&m);
    runtime_start(w.rt, id, OWNER, w.live[id], w.now_us);
    buf_release(&text);
}

static void turn(void)
{
    static const char *const names[] = {"q", "l", "s", "c", "b", "e"};
    struct err err;
    uint64_t job = 1 + any(JOBS);
    switch (any(16)) {
    case 0:
    case 1:
    case 2:
        start(documents[any(ARRAY_LEN(documents))]);
        break;
    case 3:
        runtime_kill(w.rt, job);
        break;
    case 4:
        runtime_cancel(w.rt, job);
        break;
    case 5:
    case 6:
        w.now_us += 250000;
        break;
    case 7:
    case 8:
    case 9:
        visit(any(VISITS));
        break;
    case 10:
        settle();
        break;
    case 11:
        if (any(4) == 0)
            clients_leave();
        break;
    case 12:
        if (any(8) == 0)
            named_object_remove(w.rt, OWNER, names[any(ARRAY_LEN(names))], any(2), &err);
        break;
    default:
        runtime_tick(w.rt, w.now_us, 1 + any(6));
    }
    runtime_collect(w.rt, &sink, NULL);
    if (any(10) == 0)
        restart();
}

START_TEST(test_lives)
{
    seed = 88172645463325252u + (uint64_t)_i * 7919;
    memset(&w, 0, sizeof w);
    begin();
    start(documents[0]);
    settle();
    for (int i = 0; i < TURNS; i++)
        turn();
    clients_leave();
    settle();
    for (uint64_t job = 1; job <= w.n_jobs; job++)
        if (any(2))
            runtime_kill(w.rt, job);
        else
            runtime_cancel(w.rt, job);
    settle();
    w.now_us += 60000000;
    settle();
    for (uint64_t job = 1; job <= w.n_jobs; job++)
        ck_assert_msg(!w.live[job], "job %d still lives", (int)job);
    runtime_free(w.rt);
    kept_release(&w.named);
    for (size_t i = 0; i <= JOBS; i++)
        kept_release(&w.kept[i]);
}
END_TEST

Suite *test_suite(void)
{
    Suite *s = suite_create("jobs that share objects");
    TCase *c = tcase_create("shared");
    tcase_add_loop_test(c, test_lives, 0, ROUNDS);
    suite_add_tcase(s, c);
    return s;
}
