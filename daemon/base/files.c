#include "daemon/base/files.h"

#include <stdbool.h>
#include <sys/resource.h>

static struct rlimit original;
static bool is_raised;

void files_raise(void)
{
    if (getrlimit(RLIMIT_NOFILE, &original) < 0)
        return;
    struct rlimit all = {original.rlim_max, original.rlim_max};
    is_raised = setrlimit(RLIMIT_NOFILE, &all) == 0;
}

void files_restore(void)
{
    if (is_raised)
        setrlimit(RLIMIT_NOFILE, &original);
    is_raised = false;
}
