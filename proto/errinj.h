#ifndef COROD_PROTO_ERRINJ_H
#define COROD_PROTO_ERRINJ_H
/*
 * Faults by name, for the crash tests (configure --enable-errinj; otherwise every call is a
 * constant false).
 *
 * $COROD_ERRINJ=NAME[=N][:ACTION],… arms points: from the N-th pass on (default 1). ACTION is what
 * the point then does: `kill` (SIGKILL to itself, the default), `fail` (errinj() returns true once
 * and the code there acts out the failure it stands for), `stop` (SIGSTOP to itself).
 * $COROD_ERRINJ_ONCE=FILE: an armed point acts only if it can create FILE (O_EXCL), so that of many
 * processes and restarts just one is hit.
 */
#include <stdbool.h>

#include "config.h"

enum errinj_point {
#define ERRINJ(name, what) ERRINJ_##name,
#include "proto/errinj.def"
#undef ERRINJ
    ERRINJ_COUNT
};

#ifdef COROD_ERRINJ
bool errinj(enum errinj_point point);
#else
static inline bool errinj(enum errinj_point point)
{
    (void)point;
    return false;
}
#endif

#endif
