#ifndef COROD_PROTO_LOG_H
#define COROD_PROTO_LOG_H
/*
 * Messages of the daemon programs, one line each on stderr. Under systemd (stderr is the journal:
 * $JOURNAL_STREAM, systemd.exec(5)) each line carries its priority as "<N>" (sd-daemon(3)) and no
 * time; elsewhere local time, program and level. Control characters in messages are shown as \xNN.
 */
#include <stdbool.h>

/* syslog(3) levels, by name in the config. */
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/* Call once, before threads: the program's name (kept, not copied) and the least level shown. */
void log_init(const char *program, enum log_level level);
void log_set_level(enum log_level level);

/* Thread-safe; one write(2) a line. */
void log_msg(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_msg(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* A broken invariant of ours: says so and aborts. Nothing that a peer sends may lead here. */
void fatal(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn, cold));

#endif
