#include "daemon/run/curl.h"

#include <dlfcn.h>
#include <errno.h>

/* The name that its ABI has had since 2006. */
#define LIBRARY "libcurl.so.4"

static struct curl library;
static bool is_loaded;

static bool find(void *handle, const char *name, void *function, struct err *err)
{
    void *p = dlsym(handle, name);
    if (!p)
        return err_set(err, ENOSYS, LIBRARY " has no %s: it is too old", name);
    *(void **)function = p;
    return true;
}

const struct curl *curl_load(struct err *err)
{
    if (is_loaded)
        return &library;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        err_set(err, ENOENT, "http needs the library libcurl (on Debian: apt install libcurl4): %s",
                dlerror());
        return NULL;
    }
#define F(name)                                                                                    \
    if (!find(handle, "curl_" #name, &library.name, err))                                          \
        return NULL;
    CURL_FUNCTIONS(F)
#undef F
    if (library.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        err_set(err, ENOSYS, "libcurl cannot be initialised");
        return NULL;
    }
    is_loaded = true;
    return &library;
}
