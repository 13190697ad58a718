#ifndef COROD_PROTO_METHOD_H
#define COROD_PROTO_METHOD_H
/* The methods of the protocol, from method.def. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/fields.h"

#define COROD_API_VERSION "1.0"

enum method_id {
#define PARAM(...)
#define METHOD(id, ...) METHOD_##id,
#include "proto/method.def"
#undef METHOD
    METHOD_COUNT
};

/* struct job_get_params and so on: what json_fields_read() fills. */
#undef PARAM
#define PARAM(m, name, kind, ...) JSON_FIELD_TYPE_##kind name;
#define METHOD(id, name, who, result, help, ...)                                                   \
    struct id##_params {                                                                           \
        __VA_ARGS__                                                                                \
    };
#include "proto/method.def"
#undef METHOD
#undef PARAM

union method_params {
#define PARAM(...)
#define METHOD(id, ...) struct id##_params id;
#include "proto/method.def"
#undef METHOD
#undef PARAM
};

enum method_who {
    METHOD_ANYONE, /* every peer; what it sees is its own */
    METHOD_ADMINS  /* root, members of the admin group; in user mode the owner */
};

struct method {
    const char *name;
    enum method_who who;
    const struct json_field *params;
    const char *result, *help;
};
/* METHOD_COUNT rows, then one whose name is NULL. */
extern const struct method methods[];
/* NULL when there is none; *hint (may be NULL) is then a name that was probably meant, or NULL. */
const struct method *method_find(const char *name, const char **hint);

/* Choices of parameters, in the order of these. */
enum wait_mode { WAIT_ALL, WAIT_ANY };
extern const char *const method_wait_modes[];
enum log_stream { LOG_STREAM_OUTPUT, LOG_STREAM_BOTH, LOG_STREAM_STDOUT, LOG_STREAM_STDERR };
extern const char *const method_streams[];

/* `filter` of event.subscribe. */
struct event_filter {
    const json_t *job, *types;
    const char *owner;
};
extern const struct json_field method_event_filter[];

#endif
