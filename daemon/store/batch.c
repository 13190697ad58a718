#include <string.h>

#include "daemon/store/db.h"
#include "proto/log.h"

/* What follows in a batch: a statement's number, or one parameter of the last statement. */
enum tag { TAG_STATEMENT, TAG_NULL, TAG_INT, TAG_REAL, TAG_TEXT, TAG_BLOB };

void batch_release(struct batch *b)
{
    buf_release(&b->bytes);
    *b = (struct batch){0};
}

void batch_clear(struct batch *b)
{
    enum { SPARE_BYTES = 1024 * 1024 };
    if (b->bytes.cap > SPARE_BYTES)
        buf_release(&b->bytes);
    buf_clear(&b->bytes);
    b->statements = 0;
}

void batch_add(struct batch *b, enum statement s)
{
    put_u8(&b->bytes, TAG_STATEMENT);
    put_varint(&b->bytes, s);
    b->statements++;
}

void batch_int(struct batch *b, int64_t v)
{
    put_u8(&b->bytes, TAG_INT);
    put_svarint(&b->bytes, v);
}

void batch_int_or_null(struct batch *b, int64_t v)
{
    if (v)
        batch_int(b, v);
    else
        batch_null(b);
}

void batch_real(struct batch *b, double v)
{
    put_u8(&b->bytes, TAG_REAL);
    put_f64(&b->bytes, v);
}

static void add_bytes(struct batch *b, enum tag tag, const void *p, size_t len)
{
    if (!p) {
        batch_null(b);
        return;
    }
    put_u8(&b->bytes, (uint8_t)tag);
    put_bytes(&b->bytes, p, len);
}

void batch_text(struct batch *b, const char *s, size_t len)
{
    add_bytes(b, TAG_TEXT, s, len);
}

void batch_str(struct batch *b, const char *s)
{
    add_bytes(b, TAG_TEXT, s, s ? strlen(s) : 0);
}

void batch_blob(struct batch *b, const void *p, size_t len)
{
    add_bytes(b, TAG_BLOB, p, len);
}

void batch_null(struct batch *b)
{
    put_u8(&b->bytes, TAG_NULL);
}

static int bind(sqlite3_stmt *stmt, int i, struct reader *r)
{
    size_t len;
    const char *p;
    switch (get_u8(r)) {
    case TAG_NULL:
        return sqlite3_bind_null(stmt, i);
    case TAG_INT:
        return sqlite3_bind_int64(stmt, i, get_svarint(r));
    case TAG_REAL:
        return sqlite3_bind_double(stmt, i, get_f64(r));
    case TAG_TEXT:
        p = get_bytes(r, &len);
        return sqlite3_bind_text64(stmt, i, p, len, SQLITE_STATIC, SQLITE_UTF8);
    case TAG_BLOB:
        p = get_bytes(r, &len);
        return sqlite3_bind_blob64(stmt, i, p, len, SQLITE_STATIC);
    default:
        return SQLITE_MISUSE;
    }
}

bool batch_next(struct batch_reader *r, struct db *d, enum statement *ret, sqlite3_stmt **ret_stmt,
                struct err *err)
{
    struct reader *in = &r->bytes;
    if (reader_done(in))
        return false;
    uint8_t tag = get_u8(in);
    uint64_t number = get_varint(in);
    if (in->failed || tag != TAG_STATEMENT || number >= ST_COUNT)
        fatal("a batch of statements is broken");
    enum statement s = (enum statement)number;
    sqlite3_stmt *stmt = db_statement(d, s, err);
    *ret = s;
    *ret_stmt = stmt;
    for (int i = 1; stmt && in->p < in->end && *in->p != TAG_STATEMENT; i++) {
        int rc = bind(stmt, i, in);
        if (rc != SQLITE_OK || in->failed)
            fatal("statement %s: parameter %d: %s", statement_name(s), i, sqlite3_errstr(rc));
    }
    return true;
}
