#ifndef COROD_RUN_CURL_H
#define COROD_RUN_CURL_H
/*
 * libcurl, loaded when it is first needed: it brings two dozen libraries, which would make every
 * daemon three times as slow to start and twice as large.
 */
#include <stdbool.h>

#include <curl/curl.h>

#include "proto/err.h"

/* Its functions that are used here. */
#define CURL_FUNCTIONS(F)                                                                          \
    F(global_init)                                                                                 \
    F(easy_init)                                                                                   \
    F(easy_cleanup)                                                                                \
    F(easy_setopt)                                                                                 \
    F(easy_getinfo)                                                                                \
    F(easy_strerror)                                                                               \
    F(slist_append)                                                                                \
    F(slist_free_all)                                                                              \
    F(multi_init)                                                                                  \
    F(multi_cleanup)                                                                               \
    F(multi_setopt)                                                                                \
    F(multi_add_handle)                                                                            \
    F(multi_remove_handle)                                                                         \
    F(multi_socket_action)                                                                         \
    F(multi_assign)                                                                                \
    F(multi_info_read)                                                                             \
    F(url)                                                                                         \
    F(url_set)                                                                                     \
    F(url_get)                                                                                     \
    F(url_cleanup)                                                                                 \
    F(free)

/* curl->easy_init is curl_easy_init, and so on. */
struct curl {
#define F(name) __typeof__(&curl_##name) name;
    CURL_FUNCTIONS(F)
#undef F
};

/* The library, loaded and initialised once; it stays. NULL with err when it is not there. */
const struct curl *curl_load(struct err *err);

#endif
