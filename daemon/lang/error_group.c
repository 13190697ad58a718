/* Groups of errors, and how `except*` divides them (PEP 654). */
#include <string.h>

#include "daemon/lang/value.h"
#include "proto/mem.h"

/* Takes over the list. */
static struct value *make(const char *message, struct value *list, struct value *cause)
{
    struct value_member m[4] = {{value_text("type"), value_text("ExceptionGroup")},
                                {value_text("message"), value_text(message)}};
    size_t n = 2;
    if (cause)
        m[n++] = (struct value_member){value_text("cause"), value_ref(cause)};
    if (list)
        m[n++] = (struct value_member){value_text("exceptions"), list};
    return value_object(m, n);
}

struct value *error_group(const char *message, struct value *const *errors, size_t n,
                          struct value *cause)
{
    cleanup_free struct value **items = xmalloc((n + 1) * sizeof(struct value *));
    for (size_t i = 0; i < n; i++)
        items[i] = value_ref(errors[i]);
    struct value *list = value_list(items, n), *group = list ? make(message, list, cause) : NULL;
    /* Too large or too deep for one value: without their data, then fewer. */
    for (size_t keep = n; !group; keep /= 2) {
        for (size_t i = 0; i < keep; i++)
            items[i] = error_new(error_type(errors[i]), "%s", error_message(errors[i]));
        list = keep ? value_list(items, keep) : NULL;
        if (list || keep == 0)
            group = make(message, list, NULL);
    }
    return group;
}

bool error_is_group(const struct value *error)
{
    const struct value *list = value_find(error, "exceptions");
    return list && value_type(list) == VALUE_LIST && value_count(list) > 0;
}

struct pick {
    size_t (*taker)(void *arg, const struct value *error);
    bool (*wanted)(void *arg, size_t taker);
    void *arg;
};

static struct value *pick(const struct pick *p, struct value *error, size_t outer)
{
    size_t own = p->taker(p->arg, error);
    if (outer < own)
        own = outer;
    if (!error_is_group(error))
        return p->wanted(p->arg, own) ? value_ref(error) : NULL;
    const struct value *all = value_find(error, "exceptions");
    size_t n = value_count(all), kept = 0;
    bool same = true;
    cleanup_free struct value **items = xmalloc(n * sizeof(struct value *));
    for (size_t i = 0; i < n; i++) {
        struct value *part = pick(p, value_item(all, i), own);
        same = same && part == value_item(all, i);
        if (part)
            items[kept++] = part;
    }
    struct value *list = kept ? value_list(items, kept) : NULL, *group = NULL;
    if (same)
        group = value_ref(error);
    else if (list)
        group = value_with(error, "exceptions", list);
    value_unref(list);
    return group;
}

struct value *error_part(struct value *error, size_t (*taker)(void *arg, const struct value *error),
                         bool (*wanted)(void *arg, size_t taker), void *arg)
{
    struct pick p = {taker, wanted, arg};
    return pick(&p, error, SIZE_MAX);
}
