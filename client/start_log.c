#include "client/start_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/text.h"
#include "proto/mem.h"

void start_log_explain(const char *log_path, off_t from, const char *program, struct err *err)
{
    char text[8192];
    cleanup_close int fd = open(log_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;

    if (end - from > (off_t)sizeof(text))
        from = end - (off_t)sizeof(text);
    ssize_t n = fd >= 0 ? pread(fd, text, sizeof(text) - 1, from) : 0;
    while (n > 0 && text[n - 1] == '\n')
        n--;
    if (n <= 0) {
        err_set(err, ECONNREFUSED, "%s does not start and says nothing (log: %s)", program,
                log_path);
        return;
    }
    text[n] = '\0';
    struct buf lines = {0};
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (lines.len > 0)
            buf_addstr(&lines, "; ");
        text_put_safe(&lines, line, strlen(line), 200, true);
    }
    /* The last ones say it. */
    size_t skip = lines.len > 300 ? lines.len - 300 : 0;
    err_set(err, ECONNREFUSED, "the daemon does not start (log: %s): %s", log_path,
            buf_cstr(&lines) + skip);
    buf_release(&lines);
}
