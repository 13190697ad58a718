#include "proto/url.h"

#include <string.h>

void url_put_public(struct buf *out, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    size_t authority = strcspn(host, "/?#"), end = strcspn(host, "?#");
    const char *at = memrchr(host, '@', authority);
    const char *from = at ? at + 1 : host;
    buf_add(out, url, (size_t)(host - url));
    buf_add(out, from, (size_t)(host + end - from));
}
