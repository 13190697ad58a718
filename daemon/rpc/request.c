#include "daemon/rpc/request.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/mem.h"

/* Sends a batch's answers when the last one is there. */
static void batch_unref(struct reply_batch *b)
{
    if (--b->left > 0)
        return;
    if (b->session && b->out.len > 0) {
        buf_addch(&b->out, ']');
        session_send(b->session, b->out.data, b->out.len);
    }
    buf_release(&b->out);
    free(b);
}

void request_free(struct request *r)
{
    LIST_REMOVE(r, link);
    if (r->state_free)
        r->state_free(r->state);
    if (r->session) {
        r->session->in_flight--;
        r->session->committing -= r->committing;
        r->session->in_flight_bytes -= r->bytes;
        session_touch(r->session);
    }
    if (r->batch)
        batch_unref(r->batch);
    buf_release(&r->result);
    free(r->id);
    free(r);
}

/* Sends a whole answer, or adds it to its batch's. */
static void answer(struct request *r, const struct buf *text)
{
    if (r->batch) {
        buf_addch(&r->batch->out, r->batch->out.len ? ',' : '[');
        buf_add(&r->batch->out, text->data, text->len);
    } else if (r->session) {
        session_send(r->session, text->data, text->len);
    }
}

void request_result(struct request *r, struct buf *json)
{
    if (r->id && r->session) {
        struct buf b = {0};
        buf_reserve(&b, json->len + strlen(r->id) + 64);
        buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":", r->id);
        buf_add(&b, json->data, json->len);
        buf_addch(&b, '}');
        answer(r, &b);
        buf_release(&b);
    }
    buf_release(json);
    request_free(r);
}

static void send_error(struct request *r, int code, const struct buf *data, const char *text)
{
    if (r->id && r->session) {
        struct buf b = {0};
        struct json_out o = {.out = &b};
        buf_printf(&b, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":", r->id);
        jout_begin_object(&o);
        jout_key(&o, "code");
        jout_int(&o, code);
        jout_key(&o, "message");
        jout_text(&o, text);
        if (data) {
            jout_key(&o, "data");
            jout_raw(&o, data->data, data->len);
        }
        jout_end_object(&o);
        buf_addch(&b, '}');
        answer(r, &b);
        buf_release(&b);
    }
    request_free(r);
}

void request_error(struct request *r, int code, const struct buf *data, const char *format, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, format);
    err_vset(&e, code, format, ap);
    va_end(ap);
    send_error(r, code, data, e.text);
}

void request_fail(struct request *r, const struct err *err)
{
    struct buf data = {0};
    int code = error_code_wire(err->code);
    if (code == ERR_OVERLOADED || code == ERR_DRAINING)
        buf_addstr(&data, "{\"retry_after\":1}");
    send_error(r, code, data.len ? &data : NULL, err->text);
    buf_release(&data);
}

void request_mistakes(struct request *r, const struct json_mistakes *m)
{
    struct buf data = {0};
    struct json_out o = {.out = &data};
    json_mistakes_write(m, &o);
    const struct json_mistake *first = &m->all[0];
    request_error(r, ERR_PARAMS, &data, "invalid params: %s%s%s%s%s%s", first->pointer,
                  first->pointer[0] ? ": " : "", first->message, first->hint[0] ? " (" : "",
                  first->hint, first->hint[0] ? ")" : "");
    buf_release(&data);
}

void request_committing(struct request *r)
{
    r->committing = true;
    r->session->committing++;
}

static void on_result_committed(void *arg)
{
    struct request *r = arg;
    struct buf result = r->result;
    r->result = (struct buf){0};
    request_result(r, &result);
}

void request_result_after_commit(struct request *r)
{
    r->only_for_client = false; /* the engine holds it now */
    engine_after_commit(r->server->engine, on_result_committed, r);
}

static void on_committed(void *arg)
{
    struct request *r = arg;
    if (!r->session)
        request_free(r);
    else
        r->on_commit(r);
}

void request_after_commit(struct request *r, void (*then)(struct request *r))
{
    r->on_commit = then;
    engine_after_commit(r->server->engine, on_committed, r);
}

static void on_rows(void *arg, const struct rows *sets, size_t n, const struct err *err)
{
    struct request *r = arg;
    if (err) {
        struct err e;
        err_set(&e, ERR_STORAGE, "the store cannot be read: %s", err->text);
        request_fail(r, &e);
    } else if (!r->session) {
        request_free(r);
    } else {
        r->on_rows(r, sets, n);
    }
}

void request_read(struct request *r, const struct batch *q,
                  void (*then)(struct request *r, const struct rows *sets, size_t n))
{
    struct err err;
    r->on_rows = then;
    if (store_read(engine_store(r->server->engine), q, on_rows, r, &err))
        return;
    err.code = err.code == EBUSY ? ERR_OVERLOADED : ERR_STORAGE;
    request_fail(r, &err);
}
