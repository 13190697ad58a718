#ifndef TESTS_LANG_KEPT_OBJECTS_H
#define TESTS_LANG_KEPT_OBJECTS_H
/* The rows of objects and their items, as a database would keep them. */
#include "daemon/task/runtime.h"

struct kept_object;
struct kept_item;
struct kept_objects {
    struct kept_object *objects;
    size_t n_objects, objects_cap;
    struct kept_item *items;
    size_t n_items, items_cap;
};

void kept_object(struct kept_objects *k, const struct object_row *row);
void kept_object_gone(struct kept_objects *k, uint64_t job, uint32_t object);
void kept_item(struct kept_objects *k, const struct item_row *row);
void kept_items_gone(struct kept_objects *k, uint64_t job, uint32_t object, uint64_t first,
                     uint64_t last);
void kept_objects_gone(struct kept_objects *k, uint64_t job);
void kept_objects_release(struct kept_objects *k);

bool kept_objects_load(const struct kept_objects *k, struct job_loader *l, uint64_t job,
                       struct err *err);
/* Those with names, before the job. */
bool kept_named_load(const struct kept_objects *k, struct runtime *rt, struct err *err);

#endif
