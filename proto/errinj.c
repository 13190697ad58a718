#include "proto/errinj.h"

#ifdef COROD_ERRINJ
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/mem.h"

enum action { ACTION_KILL, ACTION_FAIL, ACTION_STOP };

static const char *const names[] = {
#define ERRINJ(name, what) #name,
#include "proto/errinj.def"
#undef ERRINJ
};

static struct {
    long at; /* acts when this many passes are made; 0: not armed */
    long passes;
    enum action action;
} points[ERRINJ_COUNT];

static void arm(char *word)
{
    char *action = strchr(word, ':');
    if (action)
        *action++ = '\0';
    char *at = strchr(word, '=');
    if (at)
        *at++ = '\0';
    for (int i = 0; i < ERRINJ_COUNT; i++) {
        if (strcmp(word, names[i]) != 0)
            continue;
        points[i].at = at ? atol(at) : 1;
        points[i].action = !action || strcmp(action, "kill") == 0 ? ACTION_KILL
                           : strcmp(action, "stop") == 0          ? ACTION_STOP
                                                                  : ACTION_FAIL;
        return;
    }
    fatal("COROD_ERRINJ: no fault point %s", word);
}

static void init(void)
{
    static int done;
    if (__atomic_exchange_n(&done, 1, __ATOMIC_ACQ_REL))
        return;
    const char *spec = getenv("COROD_ERRINJ");
    if (!spec)
        return;
    cleanup_free char *copy = xstrdup(spec);
    char *save = NULL;
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
        arm(w);
}

bool errinj(enum errinj_point point)
{
    init();
    if (!points[point].at ||
        __atomic_add_fetch(&points[point].passes, 1, __ATOMIC_ACQ_REL) < points[point].at)
        return false;
    const char *once = getenv("COROD_ERRINJ_ONCE");
    if (once) {
        int fd = open(once, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        if (fd < 0)
            return false;
        close(fd);
    }
    switch (points[point].action) {
    case ACTION_KILL:
        kill(getpid(), SIGKILL);
        pause();
        break;
    case ACTION_STOP:
        raise(SIGSTOP);
        break;
    case ACTION_FAIL:
        points[point].at = 0;
        return true;
    }
    return false;
}
#else
typedef int errinj_is_not_built_in; /* ISO C wants one declaration */
#endif
