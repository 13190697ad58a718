#ifndef CORO_ITEMS_SHOW_H
#define CORO_ITEMS_SHOW_H
/* Showing what items wrote; for items.c. */
#include "client/items.h"

#define ITEM_NONE SIZE_MAX

struct item {
    uint64_t *attempts; /* its commands' numbers */
    unsigned n_attempts;
    bool ended, shown, failed;
};

/* Shows an item's output; when that breaks off, a second call for it goes on where it was. */
bool items_show(struct items *m, size_t i, struct err *err);
/* Shows what has ended and was not shown, the item first that broke off. */
bool items_show_ended(struct items *m, struct err *err);

#endif
