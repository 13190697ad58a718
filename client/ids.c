#include "client/ids.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/mem.h"
#include "proto/state.h"

#define RANGE_MAX 10000

struct ids {
    json_t *list;
    json_t *seen; /* an object with each as a key */
};

static void add(struct ids *ids, json_int_t id)
{
    char key[24];
    snprintf(key, sizeof(key), "%lld", (long long)id);
    if (json_object_get(ids->seen, key) != NULL)
        return;
    json_object_set_new(ids->seen, key, json_true());
    json_array_append_new(ids->list, json_integer(id));
}

bool ids_are(const char *word)
{
    return strspn(word, "0123456789,-") == strlen(word) && *word >= '0' && *word <= '9';
}

/* "1,3,5-8"; false: the word is no such list. */
static bool parse_list(struct ids *ids, const char *word, struct err *err)
{
    const char *p = word;

    if (!ids_are(word))
        return false;
    do {
        char *end;
        errno = 0;
        json_int_t from = strtoll(p, &end, 10), to = from;
        if (end == p)
            return false;
        if (*end == '-') {
            p = end + 1;
            to = strtoll(p, &end, 10);
            if (end == p)
                return false;
        }
        if (errno != 0 || from < 1)
            return err_set(err, ERR_NOT_FOUND, "\"%s\": there is no such job id", word);
        if (to < from || *end == '-')
            return err_set(err, EINVAL, "\"%s\" is no range: the lower id comes first, as in 5-8",
                           word);
        if (to - from >= RANGE_MAX)
            return err_set(err, EINVAL, "\"%s\": a range has at most %d ids", word, RANGE_MAX);
        for (json_int_t n = 0; n <= to - from; n++)
            add(ids, from + n);
        p = *end == ',' ? end + 1 : end;
    } while (*p != '\0');
    return true;
}

/* The pattern that only this name matches. Takes nothing; the caller frees it. */
static char *pattern_of(const char *name)
{
    char *pattern = xmalloc(3 * strlen(name) + 1), *p = pattern;
    for (; *name != '\0'; name++) {
        if (strchr("*?[", *name) == NULL) {
            *p++ = *name;
            continue;
        }
        *p++ = '[';
        *p++ = *name;
        *p++ = ']';
    }
    *p = '\0';
    return pattern;
}

/* Takes the ids of the jobs that match params, newest first, at most `max`. */
static bool add_listed(struct conn *c, struct ids *ids, json_t *params, size_t max, struct err *err)
{
    size_t got = 0;
    json_t *result = NULL;

    for (;;) {
        result = conn_ask(c, "job.list", json_deep_copy(params), err);
        if (result == NULL)
            break;
        size_t i;
        json_t *job, *next = json_object_get(result, "next");
        json_array_foreach (json_object_get(result, "jobs"), i, job) {
            if (got++ < max)
                add(ids, json_integer_value(json_object_get(job, "id")));
        }
        if (got >= max || next == NULL || json_is_null(next))
            break;
        json_object_set(params, "cursor", next);
        json_decref(result);
    }
    json_decref(params);
    bool ok = result != NULL;
    json_decref(result);
    return ok;
}

static json_t *states(bool live)
{
    json_t *states = json_array();
    for (int i = 0; i < JOB_STATE_COUNT; i++) {
        if (job_state_is_live((enum job_state)i) == live)
            json_array_append_new(states, json_string(job_state_name((enum job_state)i)));
    }
    return states;
}

static bool is_task(const char *word)
{
    size_t job = strspn(word, "0123456789"), task;
    if (job == 0 || word[job] != '.')
        return false;
    task = strspn(word + job + 1, "0123456789");
    return task > 0 && task < 10 && word[job + 1 + task] == '\0';
}

static bool no_such_job(const char *word, struct err *err)
{
    if (is_task(word))
        return err_set(err, EINVAL, "\"%s\" is a task: only `coro log` takes one", word);
    return err_set(err, ERR_NOT_FOUND, "there is no job with id or name \"%s\"", word);
}

static bool resolve(struct conn *c, struct ids *ids, const char *word, enum ids_all all,
                    struct err *err)
{
    struct err bad = {0};
    if (parse_list(ids, word, &bad))
        return true;
    if (bad.code != 0) {
        *err = bad;
        return false;
    }
    if (strcmp(word, "all") == 0) {
        json_t *params = json_pack("{s:i}", "limit", 500);
        if (all != IDS_ALL)
            json_object_set_new(params, "state", states(all == IDS_ALL_LIVE));
        return add_listed(c, ids, params, SIZE_MAX, err);
    }
    size_t before = json_array_size(ids->list);
    bool last = strcmp(word, "last") == 0;
    if (*word == '\0')
        return no_such_job(word, err);
    json_t *params = json_pack("{s:i}", "limit", 1);
    if (!last) {
        cleanup_free char *pattern = pattern_of(word);
        json_object_set_new(params, "name", json_string(pattern));
    }
    if (!add_listed(c, ids, params, 1, err))
        return false;
    if (json_array_size(ids->list) > before)
        return true;
    if (last)
        return before > 0 || err_set(err, ERR_NOT_FOUND, "there is no job yet");
    return no_such_job(word, err);
}

json_t *ids_resolve(struct conn *c, char *const *words, size_t n, enum ids_all all, struct err *err)
{
    struct ids ids = {.list = json_array(), .seen = json_object()};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++)
        ok = resolve(c, &ids, words[i], all, err);
    json_decref(ids.seen);
    if (ok)
        return ids.list;
    json_decref(ids.list);
    return NULL;
}

json_int_t ids_resolve_one(struct conn *c, const char *word, struct err *err)
{
    char *words[] = {(char *)(uintptr_t)word};
    json_t *ids = ids_resolve(c, words, 1, IDS_ALL, err);
    if (ids == NULL)
        return 0;
    json_int_t id = json_integer_value(json_array_get(ids, 0));
    size_t n = json_array_size(ids);
    json_decref(ids);
    if (n == 1)
        return id;
    err_set(err, EINVAL, "\"%s\" means %zu jobs; one is needed", word, n);
    return 0;
}
