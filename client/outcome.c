#include "client/outcome.h"

#include <string.h>

#include "client/screen.h"
#include "client/text.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

int outcome_of_error(const json_t *error)
{
    const char *type = text_of(error, "type");
    const json_t *data = json_object_get(error, "data");

    if (strcmp(type, "TimeoutError") == 0)
        return EXIT_TIMEOUT;
    if (strcmp(type, "LostError") == 0)
        return EXIT_COROD;
    if (strcmp(type, "CancelledError") == 0)
        return EXIT_INTERRUPT;
    if (strcmp(type, "CommandError") != 0)
        return EXIT_OTHER;
    json_int_t signal = json_integer_value(json_object_get(data, "signal"));
    json_int_t exit = json_integer_value(json_object_get(data, "exit"));
    if (signal > 0 && signal < 128)
        return EXIT_SIGNAL + (int)signal;
    return exit > 0 && exit < 256 ? (int)exit : EXIT_OTHER;
}

int outcome_status(const json_t *job)
{
    const char *state = text_of(job, "state");

    const json_t *exit = json_object_get(job, "exit");

    if (json_is_integer(exit)) /* the daemon says it of a job that has ended */
        return (int)json_integer_value(exit) & 255;
    if (strcmp(state, "succeeded") == 0)
        return EXIT_OK;
    if (strcmp(state, "cancelled") == 0)
        return EXIT_INTERRUPT;
    if (strcmp(state, "failed") == 0)
        return outcome_of_error(json_object_get(job, "error"));
    return EXIT_COROD;
}

void outcome_put_error(const struct screen *s, struct buf *out, const json_t *error, size_t max)
{
    struct buf line = {0};
    const char *type = text_of(error, "type"), *message = text_of(error, "message");

    buf_addstr(&line, *type != '\0' ? type : "error");
    if (*message != '\0')
        buf_printf(&line, ": %s", message);
    text_put_safe(out, line.data, line.len, max, s->utf8);
    buf_release(&line);
}
