#include "client/job_text.h"

#include "client/get.h"
#include "client/outcome.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/mem.h"
#include "proto/state.h"

bool job_is_live(const json_t *job)
{
    enum job_state state;
    return job_state_parse(get_text(job, "state"), &state) && job_state_is_live(state);
}

const char *job_title(const json_t *job)
{
    const char *name = get_text(job, "name");
    return *name != '\0' ? name : get_text(job, "summary");
}

double job_seconds(const json_t *job)
{
    double started, ended = view_now_s();
    if (!get_time(job, "started", &started))
        return -1;
    if (!job_is_live(job))
        get_time(job, "finished", &ended);
    return ended > started ? ended - started : 0;
}

void job_put_labels(struct buf *out, const json_t *job)
{
    const char *key;
    json_t *v;
    size_t before = out->len;
    json_object_foreach ((json_t *)(uintptr_t)json_object_get(job, "labels"), key, v) {
        if (out->len > before)
            buf_addch(out, ' ');
        buf_addstr(out, key);
        if (json_string_length(v) > 0)
            buf_printf(out, "=%s", json_string_value(v));
    }
}

void job_put_time(struct buf *out, const json_t *job)
{
    double seconds = job_seconds(job);
    if (seconds >= 0)
        text_put_duration(out, seconds);
}

void job_put_moment(struct buf *out, const json_t *object, const char *key)
{
    double at;
    if (get_time(object, key, &at))
        text_put_moment(out, at, view_now_s());
}

void job_put_why(struct buf *out, const json_t *job)
{
    static const struct {
        const char *kind, *text;
    } kinds[] = {{"ok", "after"}, {"any", "after the end of"}, {"fail", "after the failure of"}};
    const json_t *after = json_object_get(job, "after");
    size_t before = out->len, i;
    const json_t *id;

    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        const json_t *ids = json_object_get(after, kinds[k].kind);
        json_array_foreach (ids, i, id) {
            if (i == 0)
                buf_printf(out, "%s%s ", out->len > before ? "; " : "", kinds[k].text);
            buf_printf(out, "%s%lld", i > 0 ? ", " : "", (long long)json_integer_value(id));
        }
    }
    if (json_object_get(job, "at") != NULL) {
        buf_addstr(out, out->len > before ? "; until " : "until ");
        job_put_moment(out, job, "at");
    }
}

void job_put_error(const struct screen *s, struct buf *out, const json_t *job, size_t max)
{
    if (json_is_object(json_object_get(job, "error")))
        outcome_put_error(s, out, json_object_get(job, "error"), max);
}
