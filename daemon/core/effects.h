#ifndef COROD_CORE_EFFECTS_H
#define COROD_CORE_EFFECTS_H
/*
 * What is to leave the daemon, in order, once what it depends on is on disk: replies, events,
 * starts and stops of commands.
 */
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/engine.h"
#include "proto/buf.h"

enum effect_kind {
    EFFECT_CALL,   /* call.fn(call.arg) */
    EFFECT_EVENT,  /* event; its text lies in effects.text */
    EFFECT_START,  /* attempt number: send its start */
    EFFECT_STOP,   /* attempt number: stop it */
    EFFECT_PAUSE,  /* attempt number: freeze or thaw it, as its job is by then */
    EFFECT_SETTLE, /* attempt number: the executor may forget it */
    EFFECT_CREDIT, /* credit: the attempt's output is taken up to there */
};

struct effect {
    enum effect_kind kind;
    union {
        struct {
            void (*fn)(void *arg);
            void *arg;
        } call;
        struct {
            struct event event;
            size_t text; /* offset; event.text is NULL when there is none */
        } event;
        struct {
            uint64_t number, position;
        } credit;
        uint64_t number;
    };
};

/* `struct effects f = {0};` is empty. */
struct effects {
    struct effect *all;
    size_t n, cap;
    struct buf text;
};

void effects_release(struct effects *f);
void effects_clear(struct effects *f);
void effects_swap(struct effects *a, struct effects *b);
/* Memory that they take, about. */
size_t effects_bytes(const struct effects *f);
void effects_call(struct effects *f, void (*fn)(void *arg), void *arg);
/* event->text is copied. */
void effects_event(struct effects *f, const struct event *event);
void effects_credit(struct effects *f, uint64_t number, uint64_t position);
void effects_number(struct effects *f, enum effect_kind kind, uint64_t number);

#endif
