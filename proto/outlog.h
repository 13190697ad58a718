#ifndef COROD_PROTO_OUTLOG_H
#define COROD_PROTO_OUTLOG_H
/*
 * A command's output as one framed stream: chunks of `u8 stream, u32 length, bytes`. A position is
 * a count of framed bytes from the start, so a reader goes on at any chunk's boundary.
 *
 * In files the stream is in up to three pieces, each a header (magic, u64 position of its first
 * chunk) and whole chunks: NUMBER holds the head; when that has half the cap, NUMBER.t0 and
 * NUMBER.t1 take a quarter each in turn, so head and tail survive. What is missing between two
 * pieces was dropped for the cap.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/buf.h"

enum outlog_stream {
    OUTLOG_STDOUT = 1,
    OUTLOG_STDERR = 2,
    OUTLOG_LOST = 3 /* its bytes are a put_u64: so many bytes could not be written here */
};
#define OUTLOG_MASK(stream) (1u << (stream))
#define OUTLOG_MASK_ALL     (OUTLOG_MASK(OUTLOG_STDOUT) | OUTLOG_MASK(OUTLOG_STDERR))

#define OUTLOG_CHUNK_HEADER    5
#define OUTLOG_CHUNK_MAX_BYTES (64u * 1024) /* of a chunk's bytes */
#define OUTLOG_FILE_HEADER     16

struct outlog_chunk {
    enum outlog_stream stream;
    const char *data;
    size_t len;
};

/* Writes the header of a chunk of len bytes to p[OUTLOG_CHUNK_HEADER]. */
void outlog_chunk_header(char *p, enum outlog_stream stream, size_t len);
/* Appends one chunk (len ≤ OUTLOG_CHUNK_MAX_BYTES). */
void outlog_put(struct buf *b, enum outlog_stream stream, const void *data, size_t len);
void outlog_put_lost(struct buf *b, uint64_t lost_bytes);

/* Takes the chunk at the start of `len` bytes: its framed size, 0 when it is not all there (or len
 * is 0), -1 when it is not a chunk. */
ssize_t outlog_next(const void *data, size_t len, struct outlog_chunk *ret);

/* Appends the bytes of the chunks whose stream is in mask to *out; returns how many framed bytes
 * were whole chunks. *lost (may be NULL) grows by what LOST chunks say. */
size_t outlog_extract(const void *data, size_t len, unsigned mask, struct buf *out, uint64_t *lost);

/* A file's header: to p[OUTLOG_FILE_HEADER], and back (false: not one). */
void outlog_file_header(char *p, uint64_t position);
bool outlog_file_header_parse(const void *p, size_t len, uint64_t *ret_position);

#endif
