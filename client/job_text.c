#include "client/job_text.h"

#include "client/get.h"
#include "client/outcome.h"
#include "client/text.h"
#include "client/view.h"
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

void job_put_error(const struct screen *s, struct buf *out, const json_t *job, size_t max)
{
    if (json_is_object(json_object_get(job, "error")))
        outcome_put_error(s, out, json_object_get(job, "error"), max);
}
