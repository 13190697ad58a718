#ifndef CORO_GET_H
#define CORO_GET_H
/* Members of the daemon's replies, with something sensible where they are missing. */
#include <stdbool.h>
#include <stdlib.h>

#include <jansson.h>

#include "proto/json_out.h"

/* "" when it is no string. */
static inline const char *get_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL ? s : "";
}

/* 0 when it is no whole number (or digits in a string: what is beyond 2^53 travels so). */
static inline json_int_t get_int(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_string(v))
        return atoll(json_string_value(v));
    return json_integer_value(v);
}

static inline double get_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* Seconds since 1970 of a time; false: it is null. */
static inline bool get_time(const json_t *object, const char *key, double *ret_s)
{
    int64_t us;
    if (!rfc3339_parse(get_text(object, key), &us))
        return false;
    *ret_s = (double)us / 1e6;
    return true;
}

#endif
