#include "proto/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *log_program = "corod";
static enum log_level log_least = LOG_LEVEL_INFO;
static bool log_journal;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error", [LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_NOTICE] = "notice",
    [LOG_LEVEL_INFO] = "info",   [LOG_LEVEL_DEBUG] = "debug",
};

void log_init(const char *program, enum log_level level)
{
    log_program = program;
    log_least = level;
    log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_set_level(enum log_level level)
{
    log_least = level;
}

/* Copies s to out, control characters as \xNN; returns the length. */
static size_t put_clean(char *out, size_t room, const char *s)
{
    size_t n = 0;
    for (; *s && n + 5 < room; s++) {
        unsigned char c = (unsigned char)*s;
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
        else
            out[n++] = (char)c;
    }
    return n;
}

__attribute__((format(printf, 2, 0))) static void log_vmsg(enum log_level level, const char *format,
                                                           va_list ap)
{
    char text[1024], line[2400];
    size_t n;

    vsnprintf(text, sizeof text, format, ap);
    if (log_journal) {
        n = (size_t)snprintf(line, sizeof line, "<%d>", (int)level);
    } else {
        struct timespec ts;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &ts);
        localtime_r(&ts.tv_sec, &tm);
        n = strftime(line, sizeof line, "%Y-%m-%d %H:%M:%S", &tm);
        n += (size_t)snprintf(line + n, sizeof line - n, ".%03ld %s[%d] %s: ", ts.tv_nsec / 1000000,
                              log_program, (int)getpid(), level_names[level]);
    }
    n += put_clean(line + n, sizeof line - n - 1, text);
    line[n++] = '\n';
    /* When even stderr fails there is nobody left to tell. */
    ssize_t ignored = write(STDERR_FILENO, line, n);
    (void)ignored;
}

void log_msg(enum log_level level, const char *format, ...)
{
    if (level > log_least)
        return;
    va_list ap;
    va_start(ap, format);
    log_vmsg(level, format, ap);
    va_end(ap);
}

void fatal(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    log_vmsg(LOG_LEVEL_ERROR, format, ap);
    va_end(ap);
    abort();
}
