/* JSON text, and values in their binary form: what is read is written and read again. */
#include <string.h>

#include "daemon/lang/value.h"
#include "tests/fuzz/fuzz.h"

static struct value *attribute(void *object, const char *name, struct value **error)
{
    (void)object;
    (void)name;
    *error = error_new("TypeError", "it has none");
    return NULL;
}

static void show(void *object, struct buf *out)
{
    (void)object;
    buf_addstr(out, "<task>");
}

static void release(void *object)
{
    (void)object;
}

static const struct handle_class task_class = {"task", attribute, show, release};
static char objects[256];

static struct value *resolve(void *arg, const char *kind, uint64_t id)
{
    (void)arg;
    if (strcmp(kind, "task") != 0 || id >= sizeof objects)
        return NULL;
    return value_handle(&task_class, &objects[id], id);
}

static void check_saved(struct value *v)
{
    struct buf out = {0};
    value_save(&out, v);
    struct reader r = READER(out.data, out.len);
    cleanup_value struct value *again = value_load(&r, resolve, NULL);
    must(again && reader_done(&r) && value_equal(v, again));
    must(value_depth(v) == value_depth(again) && value_bytes(v) == value_bytes(again));
    buf_release(&out);
}

static void check_written(const struct value *v, enum json_style style)
{
    struct err err = {0};
    struct buf out = {0};
    value_write(&out, v, style);
    cleanup_value struct value *again = value_parse(out.data, out.len, VALUE_MAX_DEPTH, &err);
    must(again && value_equal(v, again));
    buf_release(&out);
}

static void check_text(const char *text, size_t len)
{
    struct err err = {0};
    cleanup_value struct value *v = value_parse(text, len, VALUE_MAX_DEPTH, &err);
    if (!v) {
        must(err.text[0]);
        return;
    }
    check_written(v, JSON_STYLE_COMPACT);
    check_written(v, JSON_STYLE_SPACED);
    check_saved(v);
}

static void check_binary(const char *data, size_t len)
{
    struct reader r = READER(data, len);
    cleanup_value struct value *v = value_load(&r, resolve, NULL);
    if (!v)
        return;
    must(value_depth(v) <= VALUE_MAX_DEPTH);
    check_saved(v);
    struct buf out = {0}, bytes = {0};
    value_write_text(&out, v);
    if (value_to_bytes(v, &bytes)) {
        cleanup_value struct value *same = value_from_bytes(bytes.data, bytes.len);
        must(same);
    }
    buf_release(&out);
    buf_release(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_text((const char *)data, size);
    check_binary((const char *)data, size);
    return 0;
}
