/* What a command wrote, as values have it. */
#include "daemon/core/state.h"
#include "daemon/lang/utf8.h"
#include "daemon/run/outlog.h"
#include "proto/log.h"
#include "proto/outlog.h"

enum { OUTPUT_VALUE_BYTES = 1024 * 1024 }; /* of stdout and of stderr in a value (language.md) */

static void trim_newlines(struct buf *b)
{
    while (b->len && b->data[b->len - 1] == '\n')
        b->len--;
}

/* What was cut in the middle of a character would be no text any more. */
void output_trim_character(struct buf *b)
{
    size_t whole = b->len ? utf8_length(b->data, b->len) : 0;
    unsigned char first = whole < b->len ? (unsigned char)b->data[whole] : 0;
    size_t wants = first >= 0xf5   ? 0
                   : first >= 0xf0 ? 4
                   : first >= 0xe0 ? 3
                   : first >= 0xc2 ? 2
                                   : 0;
    if (b->len - whole < wants)
        b->len = whole;
}

static void cap(struct buf *b, bool *truncated)
{
    if (b->len > OUTPUT_VALUE_BYTES) {
        b->len = OUTPUT_VALUE_BYTES;
        *truncated = true;
    }
}

void output_read(struct engine *e, const struct exec_end *end, struct streams *s)
{
    if (end->log_in_file) {
        struct err err;
        if (!outlog_read_head(e->config->exec_log_dir, end->number, OUTPUT_VALUE_BYTES, &s->out,
                              &s->err, &s->truncated, &err))
            log_warning("attempt %llu: its output cannot be read: %s",
                        (unsigned long long)end->number, err.text);
    } else {
        outlog_extract(end->output, end->output_len, OUTLOG_MASK(OUTLOG_STDOUT), &s->out, NULL);
        outlog_extract(end->output, end->output_len, OUTLOG_MASK(OUTLOG_STDERR), &s->err, NULL);
    }
    cap(&s->out, &s->truncated);
    cap(&s->err, &s->truncated);
    if (end->log_lost) { /* its disk was full: what is left must not pass for all there was */
        log_warning("attempt %llu: %llu bytes of its output could not be kept",
                    (unsigned long long)end->number, (unsigned long long)end->log_lost);
        s->truncated = true;
    }
    void (*trim)(struct buf *) = s->truncated ? output_trim_character : trim_newlines;
    trim(&s->out);
    trim(&s->err);
}
