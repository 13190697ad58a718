#include "client/map_doc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/items.h"
#include "client/text.h"
#include "proto/mem.h"

/* N, N% of the processors, +N more than them, 0 for no limit. */
static bool read_jobs(const char *s, int64_t *ret, struct err *err)
{
    int64_t cpus = sysconf(_SC_NPROCESSORS_ONLN), n;
    size_t len = strlen(s);
    cleanup_free char *digits = xstrdup(s + (s[0] == '+'));
    bool percent = len > 1 && s[len - 1] == '%';

    if (cpus < 1)
        cpus = 1;
    if (percent)
        digits[strlen(digits) - 1] = '\0';
    if (!text_whole(digits, 0, 1000000, &n, err))
        return err_prefix(err, "--jobs");
    if (percent)
        n = cpus * n / 100 > 0 ? cpus * n / 100 : 1;
    else if (s[0] == '+')
        n += cpus;
    *ret = n;
    return true;
}

/* never, soon,fail=N, now,fail=N, …success=N; N may be N%. */
static bool read_halt(struct map_plan *p, const char *s, size_t n, struct err *err)
{
    static const struct {
        const char *begin;
        bool at_once, on_success;
    } kinds[] = {{"soon,fail=", false, false},
                 {"now,fail=", true, false},
                 {"soon,success=", false, true},
                 {"now,success=", true, true}};

    if (strcmp(s, "never") == 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t len = strlen(kinds[i].begin);
        if (strncmp(s, kinds[i].begin, len) != 0)
            continue;
        cleanup_free char *number = xstrdup(s + len);
        size_t digits = strlen(number);
        bool percent = digits > 1 && number[digits - 1] == '%';
        if (percent)
            number[digits - 1] = '\0';
        if (!text_whole(number, 1, percent ? 100 : 1000000, &p->halt_after, err))
            return err_prefix(err, "--halt");
        if (percent)
            p->halt_after = ((int64_t)n * p->halt_after + 99) / 100;
        p->halts = true;
        p->at_once = kinds[i].at_once;
        p->on_success = kinds[i].on_success;
        return true;
    }
    return err_set(err, EINVAL,
                   "--halt: never, soon,fail=N, now,fail=N, soon,success=N or now,success=N; N may "
                   "be N%%");
}

bool map_plan_read(struct map_plan *p, const struct options *o, size_t n, struct err *err)
{
    *p = (struct map_plan){0};
    if (o->jobs_at_once != NULL && !read_jobs(o->jobs_at_once, &p->jobs, err))
        return false;
    if (o->between != NULL && !text_duration(o->between, &p->delay_s, err))
        return err_prefix(err, "--delay");
    return o->halt == NULL || read_halt(p, o->halt, n, err);
}

/* Before an item's command: it is not started when enough have ended. */
static json_t *check_halt(const struct map_plan *p)
{
    return json_pack("{s:{s:[{s:s}, I]}, s:{s:{s:s, s:s}}}", "if", ">=", "var", "counted.qsize",
                     (json_int_t)p->halt_after, "then", "raise", "type", ITEM_HALTED, "message",
                     "not started: --halt");
}

/* Behind it: one more is counted; with the last of them all others are ended at once. */
static json_t *count(const struct map_plan *p)
{
    json_t *block = json_array();
    json_array_append_new(block, json_pack("{s:i, s:s}", "put_nowait", 1, "into", "${counted}"));
    if (p->at_once)
        json_array_append_new(block, json_pack("{s:{s:[{s:s}, I]}, s:{s:s}}", "if", ">=", "var",
                                               "counted.qsize", (json_int_t)p->halt_after, "then",
                                               "set_event", "${enough}"));
    return block;
}

/* The first starts at once, each other so long behind the one before. */
static json_t *wait_turn(const struct map_plan *p)
{
    return json_pack("{s:s, s:{s:{s:s}, s:{s:f}, s:{s:s}}}", "with", "${gate}", "do", "if", "var",
                     "begun.is_set", "then", "sleep", p->delay_s, "else", "set_event", "${begun}");
}

/* What is done for each item. */
static json_t *body(const struct map_plan *p, json_t *command)
{
    json_t *block = json_array();

    if (p->halts)
        json_array_append_new(block, check_halt(p));
    if (p->delay_s > 0)
        json_array_append_new(block, wait_turn(p));
    if (p->halts && p->on_success) {
        json_array_append_new(block, command);
        json_array_append_new(block, count(p));
    } else if (p->halts) {
        json_t *handler = count(p);
        json_array_append_new(handler, json_pack("{s:n}", "raise"));
        json_array_append_new(
            block, json_pack("{s:o, s:[{s:o}]}", "try", command, "except", "do", handler));
    } else {
        json_array_append_new(block, command);
    }
    json_array_append_new(block, json_pack("{s:{}}", "set")); /* what it wrote is in the log */
    return block;
}

static json_t *objects(const struct map_plan *p)
{
    json_t *block = json_array();
    if (p->halts)
        json_array_append_new(block, json_pack("{s:{}, s:s}", "queue", "as", "counted"));
    if (p->halts && p->at_once)
        json_array_append_new(block, json_pack("{s:{}, s:s}", "event", "as", "enough"));
    if (p->delay_s > 0) {
        json_array_append_new(block, json_pack("{s:{}, s:s}", "lock", "as", "gate"));
        json_array_append_new(block, json_pack("{s:{}, s:s}", "event", "as", "begun"));
    }
    return block;
}

json_t *map_document(const struct map_plan *p, const struct job_options *job, json_t *items,
                     const char *name, uint32_t *ret_first, struct err *err)
{
    json_t *command = json_pack("{s:[s]}", "run", "...${x}");
    bool ok = job_options_node(job, command, err);
    json_t *all = json_pack("{s:{s:s, s:s, s:o}, s:b}", "gather", "for", "x", "in", "${items}",
                            "do", body(p, command), "return_exceptions", 1);
    if (p->jobs > 0)
        json_object_set_new(all, "limit", json_integer(p->jobs));
    *ret_first = 2; /* behind main's */
    if (p->halts && p->at_once) {
        all = json_pack("{s:[o, {s:s}]}", "race", all, "wait", "${enough}");
        *ret_first = 4; /* and behind the two that race */
    }
    json_t *main = objects(p);
    json_array_append_new(main, all);
    json_t *doc = ok ? job_options_document(job, main, name, err) : NULL;
    if (doc == NULL) {
        json_decref(items);
        if (!ok)
            json_decref(main);
        return NULL;
    }
    json_object_set_new(doc, "input", json_pack("{s:o}", "items", items));
    return doc;
}
