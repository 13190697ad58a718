#include "daemon/lang/value_account.h"

#include "proto/mem.h"

_Thread_local struct value_account *value_account_now;

struct value_account *value_account_new(void)
{
    return xcalloc(1, sizeof(struct value_account));
}

void value_account_free(struct value_account *a)
{
    if (!a)
        return;
    a->closed = true;
    if (a->bytes == 0)
        value_account_emptied(a);
}

void value_account_emptied(struct value_account *a)
{
    if (a->closed)
        free(a);
}

struct value_account *value_account_use(struct value_account *a)
{
    struct value_account *before = value_account_now;
    value_account_now = a;
    return before;
}

void value_account_change(struct value_account *a, size_t add, size_t remove)
{
    a->bytes += add;
    account_remove(a, remove);
}
