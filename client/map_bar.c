#include "client/map_bar.h"

#include "client/screen.h"
#include "client/text.h"
#include "client/view.h"
#include "proto/buf.h"

#define WIDTH   24
#define PAUSE_S 0.05
#define BEGIN_S 0.2 /* what is over before has no bar */

void map_bar_init(struct map_bar *b, struct cli *c, size_t total)
{
    *b = (struct map_bar){.cli = c, .total = total, .started_s = view_now_s()};
}

void map_bar_clear(struct map_bar *b)
{
    if (!b->shown)
        return;
    fputs("\r\033[K", b->cli->err.file);
    fflush(b->cli->err.file);
    b->shown = false;
}

static void put_bar(const struct map_bar *b, struct buf *out)
{
    const struct screen *s = &b->cli->err;
    size_t full = b->total > 0 ? b->done * WIDTH / b->total : WIDTH;
    struct buf bar = {0};

    for (size_t i = 0; i < WIDTH; i++)
        buf_addstr(&bar, i < full ? (s->utf8 ? "█" : "#") : s->utf8 ? "░" : ".");
    screen_put(s, out, b->failed > 0 ? STYLE_YELLOW : STYLE_GREEN, buf_cstr(&bar));
    buf_release(&bar);
}

void map_bar_draw(struct map_bar *b, bool now)
{
    const struct screen *s = &b->cli->err;
    double at = view_now_s(), spent = at - b->started_s;
    struct buf out = {0};

    if (!s->tty || b->cli->quiet || b->cli->json || s->columns < WIDTH + 20)
        return;
    if (spent < BEGIN_S || (!now && at - b->drawn_s < PAUSE_S))
        return;
    b->drawn_s = at;
    put_bar(b, &out);
    buf_printf(&out, " %zu/%zu", b->done, b->total);
    if (b->failed > 0) {
        struct buf failed = {0};
        buf_printf(&failed, " %zu failed", b->failed);
        screen_put(s, &out, STYLE_RED, buf_cstr(&failed));
        buf_release(&failed);
    }
    if (b->done > 0 && b->done < b->total && s->columns > 60) {
        buf_addstr(&out, "  ETA ");
        text_put_duration(&out, spent / (double)b->done * (double)(b->total - b->done));
    }
    fprintf(s->file, "\r%s\033[K", buf_cstr(&out));
    fflush(s->file);
    b->shown = true;
    buf_release(&out);
}
