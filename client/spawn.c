#include "client/spawn.h"

#include <errno.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool spawn_wait(const char *const *argv, struct err *err)
{
    pid_t pid;
    int status, n = posix_spawnp(&pid, argv[0], NULL, NULL, (char **)(uintptr_t)argv, environ);

    if (n != 0)
        return err_set(err, n, "cannot start %s: %s", argv[0], strerror(n));
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return err_errno(err, "%s", argv[0]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    return err_set(err, ECHILD, "`%s %s` failed%s", argv[0], argv[1] != NULL ? argv[1] : "",
                   WIFSIGNALED(status) ? " by a signal" : "");
}
