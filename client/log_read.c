#include "client/log_read.h"

#include "client/get.h"
#include "client/words.h"

bool log_read(struct conn *c, json_t *params,
              void (*put)(void *arg, const struct buf *bytes, int64_t dropped), void *arg,
              struct err *err)
{
    for (bool more = true; more;) {
        json_t *r = conn_call(c, "log.read", json_deep_copy(params), err);
        if (r == NULL)
            return false;
        const json_t *data = json_object_get(r, "data");
        json_t *next = json_object_get(r, "next");
        struct buf bytes = {0};
        if (json_is_string(data))
            word_decode(json_string_value(data), json_string_length(data), get_text(r, "encoding"),
                        &bytes);
        put(arg, &bytes, get_int(r, "dropped"));
        buf_release(&bytes);
        /* A reply may bring nothing and still go on behind what it looked at. */
        more = !json_is_true(json_object_get(r, "eof")) && next != NULL &&
               !json_equal(next, json_object_get(params, "offset"));
        json_object_set(params, "offset", next);
        json_decref(r);
    }
    return true;
}

void log_note_dropped(struct cli *c, int64_t dropped)
{
    cli_note(c, "%lld bytes in the middle are not kept", (long long)dropped);
}
