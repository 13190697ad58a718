/* rpc.discover: the interface as an OpenRPC document (spec.open-rpc.org, 1.3). */
#include "config.h"
#include "daemon/core/engine.h"
#include "daemon/rpc/methods.h"

static void member(struct json_out *o, const char *key, const char *text)
{
    jout_key(o, key);
    jout_text(o, text);
}

static void write_param(struct json_out *o, const struct json_field *f)
{
    jout_begin_object(o);
    member(o, "name", f->name);
    member(o, "description", f->help);
    jout_key(o, "required");
    jout_bool(o, f->required);
    jout_key(o, "schema");
    json_field_schema(f, o);
    jout_end_object(o);
}

static const struct {
    int code;
    const char *name, *what;
} errors[] = {
#define ERROR(name, code, text, what) {code, text, what},
#include "proto/errors.def"
#undef ERROR
};

static void write_errors(struct json_out *o)
{
    jout_begin_object(o);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char key[40];
        snprintf(key, sizeof key, "error%d", -errors[i].code);
        jout_key(o, key);
        jout_begin_object(o);
        jout_key(o, "code");
        jout_int(o, errors[i].code);
        member(o, "message", errors[i].name);
        member(o, "data", errors[i].what);
        jout_end_object(o);
    }
    jout_end_object(o);
}

static void write_method(struct json_out *o, const struct method *m)
{
    jout_begin_object(o);
    member(o, "name", m->name);
    member(o, "summary", m->help);
    if (m->who == METHOD_ADMINS)
        member(o, "description", "For admins.");
    member(o, "paramStructure", "either");
    jout_key(o, "params");
    jout_begin_array(o);
    for (const struct json_field *f = m->params; f->name; f++)
        write_param(o, f);
    jout_end_array(o);
    jout_key(o, "result");
    jout_begin_object(o);
    member(o, "name", "result");
    member(o, "description", m->result);
    jout_key(o, "schema");
    jout_raw(o, "{\"type\":\"object\"}", 17);
    jout_end_object(o);
    jout_end_object(o);
}

static void write_info(struct json_out *o)
{
    jout_key(o, "info");
    jout_begin_object(o);
    member(o, "title", "corod");
    member(o, "description", "Durable asyncio for commands.");
    member(o, "version", COROD_API_VERSION);
    jout_end_object(o);
}

/* The events that event.subscribe tells, for a reader of the document: name → what it means. */
static void write_events(struct json_out *o)
{
    jout_key(o, "x-events");
    jout_begin_object(o);
#define EVENT(name, text, help) member(o, text, help);
#include "proto/event.def"
#undef EVENT
    jout_end_object(o);
}

void method_rpc_discover(struct request *r, const struct rpc_discover_params *p)
{
    struct buf b = {0};
    struct json_out o = {.out = &b};
    (void)p;
    jout_begin_object(&o);
    member(&o, "openrpc", "1.3.2");
    write_info(&o);
    jout_key(&o, "methods");
    jout_begin_array(&o);
    for (const struct method *m = methods; m->name; m++)
        write_method(&o, m);
    jout_end_array(&o);
    jout_key(&o, "components");
    jout_begin_object(&o);
    jout_key(&o, "errors");
    write_errors(&o);
    jout_end_object(&o);
    write_events(&o);
    jout_end_object(&o);
    request_result(r, &b);
}
