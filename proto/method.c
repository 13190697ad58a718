#include "proto/method.h"

#include <string.h>

#include "proto/nearest.h"

const char *const method_wait_modes[] = {"all", "any", NULL};
const char *const method_streams[] = {"output", "both", "stdout", "stderr", NULL};

const struct json_field method_event_filter[] = {
    {.name = "job",
     .kind = JSON_FIELD_IDS,
     .offset = offsetof(struct event_filter, job),
     .max = 1000,
     .help = "only of this job, or these"},
    {.name = "types",
     .kind = JSON_FIELD_TEXTS,
     .offset = offsetof(struct event_filter, types),
     .max = 100,
     .help = "only of these types"},
    {.name = "owner",
     .kind = JSON_FIELD_TEXT,
     .offset = offsetof(struct event_filter, owner),
     .min = 1,
     .max = 256,
     .help = "only of this user's jobs: a name or number"},
    {0},
};

/* Which member of a row points to more: choices, or a table of fields. */
#define MORE_TEXT(p)
#define MORE_INT(p)
#define MORE_NUMBER(p)
#define MORE_BOOL(p)
#define MORE_ID(p)
#define MORE_IDS(p)
#define MORE_TASK(p)
#define MORE_TEXTS(p)
#define MORE_STATES(p)
#define MORE_CHOICE(p) .choices = (p),
#define MORE_MAP(p)
#define MORE_TIME(p)
#define MORE_CURSOR(p)
#define MORE_OBJECT(p) .fields = (p),
#define MORE_DOCUMENT(p)
#define MORE_ANY(p)

enum { OPTIONAL, REQUIRED };

#define PARAM(m, n, k, need, least, most, none, more, text)                                        \
    {.name = #n,                                                                                   \
     .kind = JSON_FIELD_##k,                                                                       \
     .required = need,                                                                             \
     .offset = offsetof(struct m##_params, n),                                                     \
     .min = least,                                                                                 \
     .max = most,                                                                                  \
     .absent = none,                                                                               \
     MORE_##k(more).help = text},
#define METHOD(id, name, who, result, help, ...)                                                   \
    static const struct json_field id##_fields[] = {__VA_ARGS__{0}};
#include "proto/method.def"
#undef METHOD
#undef PARAM

#define PARAM(...)
#define METHOD(id, name, who, result, help, ...) {name, METHOD_##who, id##_fields, result, help},
const struct method methods[] = {
#include "proto/method.def"
    {0},
};
#undef METHOD
#undef PARAM

const struct method *method_find(const char *name, const char **hint)
{
    for (const struct method *m = methods; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    if (hint)
        *hint = nearest_name(name, methods, sizeof *methods);
    return NULL;
}
