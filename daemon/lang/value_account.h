#ifndef COROD_LANG_VALUE_ACCOUNT_H
#define COROD_LANG_VALUE_ACCOUNT_H
/* Accounts as value.c fills them in: each value made and freed passes here. */
#include "daemon/lang/value.h"

extern _Thread_local struct value_account *value_account_now;

/* What glibc's malloc() takes for it. */
static inline size_t account_chunk(size_t size)
{
    return (size + sizeof(size_t) + 15) & ~(size_t)15;
}

static inline void account_add(struct value_account *a, size_t bytes)
{
    if (a)
        a->bytes += bytes;
}

void value_account_emptied(struct value_account *a);

static inline void account_remove(struct value_account *a, size_t bytes)
{
    a->bytes -= bytes;
    if (a->bytes == 0)
        value_account_emptied(a);
}

#endif
