#ifndef CORO_START_LOG_H
#define CORO_START_LOG_H
/* Why a daemon that was started did not come up: what it wrote into its log. */
#include <sys/types.h>

#include "proto/err.h"

/* *err from the last line written behind `from`. */
void start_log_explain(const char *log_path, off_t from, const char *program, struct err *err);

#endif
