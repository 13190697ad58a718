#ifndef COROD_PROTO_FRAME_H
#define COROD_PROTO_FRAME_H
/*
 * Messages in a byte stream: one JSON text a line (LF, CRLF tolerated), or with headers as editors'
 * JSON-RPC libraries send them (`Content-Length: N`, an empty line, N bytes). The first byte of the
 * stream decides: C or c is a header, as no JSON text starts so.
 */
#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

enum frame_mode { FRAME_UNKNOWN, FRAME_LINES, FRAME_HEADERS };

enum frame_result {
    FRAME_MORE,     /* no whole message is there */
    FRAME_MESSAGE,  /* one message */
    FRAME_TOO_LONG, /* one message was over the limit and is skipped; the stream goes on */
    FRAME_BROKEN    /* the headers make no sense: where the next message starts is unknown */
};

struct frame_reader {
    struct buf in;
    size_t start;     /* of what is not taken yet */
    size_t looked_at; /* bytes behind start in which no line end was found */
    size_t max_bytes; /* of a message */
    enum frame_mode mode;
    bool discarding;     /* FRAME_LINES: until the line ends */
    size_t discard_left; /* FRAME_HEADERS: bytes of a body that is too long */
};

void frame_reader_init(struct frame_reader *r, size_t max_bytes);
void frame_reader_release(struct frame_reader *r);

/* Room for at least `room` more bytes, to be filled by read(2); then frame_reader_got(). */
char *frame_reader_space(struct frame_reader *r, size_t room);
void frame_reader_got(struct frame_reader *r, size_t n);

/*
 * Takes the next message: *text and *len are valid until the next call with r. Empty lines are
 * skipped. `ended`: no more bytes will come, so a last line without LF is a message.
 */
enum frame_result frame_next(struct frame_reader *r, bool ended, const char **text, size_t *len);

/* A message has begun and is not whole. */
bool frame_is_partial(const struct frame_reader *r);

/* Appends a message in that mode (FRAME_UNKNOWN: a line). text holds no line end. */
void frame_put(struct buf *out, enum frame_mode mode, const char *text, size_t len);

#endif
