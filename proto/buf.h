#ifndef COROD_PROTO_BUF_H
#define COROD_PROTO_BUF_H
/*
 * A growing byte buffer, and little-endian numbers in it: what every binary row, record and message
 * of corod is made of. Reading never trusts the input: struct reader fails once and stays failed.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data;
    size_t len, cap;
};

/* Storage is the caller's: `struct buf b = {0};` is an empty buffer. */
void buf_release(struct buf *b); /* frees; b is empty again */
void buf_clear(struct buf *b);   /* empties, keeps the memory */

/* Makes room for n more bytes and returns where they go; the caller then adds to b->len. */
char *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_addstr(struct buf *b, const char *s);
void buf_addch(struct buf *b, char c);
void buf_addint(struct buf *b, int64_t v); /* decimal */
void buf_adduint(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* The bytes with a NUL behind them (not counted); the buffer keeps them. */
const char *buf_cstr(struct buf *b);
/* Hands the bytes (NUL behind) to the caller to free(); b is empty again. */
char *buf_steal(struct buf *b);

void put_u8(struct buf *b, uint8_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_varint(struct buf *b, uint64_t v); /* LEB128 */
void put_svarint(struct buf *b, int64_t v); /* zigzag, then LEB128 */
void put_f64(struct buf *b, double v);
/* varint length, then the bytes. */
void put_bytes(struct buf *b, const void *p, size_t n);
void put_string(struct buf *b, const char *s);

struct reader {
    const unsigned char *p, *end;
    bool failed; /* something was missing or too long; every later read gives 0 */
};

#define READER(data, len)                                                                          \
    ((struct reader){(const unsigned char *)(data), (const unsigned char *)(data) + (len), false})

uint8_t get_u8(struct reader *r);
uint32_t get_u32(struct reader *r);
uint64_t get_u64(struct reader *r);
uint64_t get_varint(struct reader *r);
int64_t get_svarint(struct reader *r);
double get_f64(struct reader *r);
/* The bytes inside the input (not NUL-terminated), their count in *n. */
const char *get_bytes(struct reader *r, size_t *n);
/* A copy for the caller to free(), NULL when failed. */
char *get_string(struct reader *r);
/* Nothing failed and nothing is left. */
bool reader_done(const struct reader *r);

#endif
