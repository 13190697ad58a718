#include "daemon/task/kind.h"
#include "daemon/task/runtime.h"
#include "daemon/task/star.h"

static const struct verb *const verbs[] = {
#define NODE(name) &node_##name.verb,
#define NODE_INNER(name)
#include "daemon/task/node.def"
#undef NODE
#undef NODE_INNER
    NULL};

const struct node_kind *const act_roles[] = {
    [ACT_FRAME] = &kind_frame, [ACT_CALL] = &kind_call, [ACT_LIMIT] = &kind_limit,
    [ACT_WAIT] = &kind_wait,   [ACT_STAR] = &kind_star, [ACT_TIMEOUT] = &node_timeout,
};

static bool is_leaf(const struct verb *v)
{
    return ((const struct node_kind *)(const void *)v)->leaf;
}

const struct program_kinds *runtime_kinds(void)
{
    static const struct program_kinds kinds = {
        .verbs = verbs,
        .block = &node_block.verb,
        .as = &node_as.verb,
        .timeout = &node_timeout.verb,
        .retry = &node_retry.verb,
        .call = &node_call.verb,
        .is_leaf = is_leaf,
    };
    return &kinds;
}
