#include "daemon/core/effects.h"

#include <stdlib.h>

#include "proto/mem.h"

void effects_release(struct effects *f)
{
    free(f->all);
    buf_release(&f->text);
    *f = (struct effects){0};
}

void effects_clear(struct effects *f)
{
    f->n = 0;
    f->all = xspare(f->all, &f->cap, sizeof *f->all);
    buf_clear(&f->text);
}

void effects_swap(struct effects *a, struct effects *b)
{
    struct effects t = *a;
    *a = *b;
    *b = t;
}

size_t effects_bytes(const struct effects *f)
{
    return f->n * sizeof *f->all + f->text.len;
}

static struct effect *add(struct effects *f, enum effect_kind kind)
{
    f->all = xgrow(f->all, &f->cap, f->n + 1, sizeof *f->all);
    struct effect *x = &f->all[f->n++];
    x->kind = kind;
    return x;
}

void effects_call(struct effects *f, void (*fn)(void *arg), void *arg)
{
    struct effect *x = add(f, EFFECT_CALL);
    x->call.fn = fn;
    x->call.arg = arg;
}

void effects_event(struct effects *f, const struct event *event)
{
    struct effect *x = add(f, EFFECT_EVENT);
    x->event.event = *event;
    x->event.text = f->text.len;
    if (event->text) {
        buf_add(&f->text, event->text, event->len);
        buf_addch(&f->text, '\0');
    }
}

void effects_number(struct effects *f, enum effect_kind kind, uint64_t number)
{
    add(f, kind)->number = number;
}

void effects_credit(struct effects *f, uint64_t number, uint64_t position)
{
    struct effect *x = add(f, EFFECT_CREDIT);
    x->credit.number = number;
    x->credit.position = position;
}
