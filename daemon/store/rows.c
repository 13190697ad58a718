#include <string.h>

#include "daemon/store/db.h"
#include "proto/mem.h"

enum { CHUNK_BYTES = 4096 };

struct chunk {
    struct chunk *next;
    size_t used, size;
    char data[];
};

static void free_chunks(struct chunk *c)
{
    for (struct chunk *next; c; c = next) {
        next = c->next;
        free(c);
    }
}

void row_set_release(struct row_set *s)
{
    free_chunks(s->chunks);
    free(s->rows.cells);
    *s = (struct row_set){0};
}

void row_set_clear(struct row_set *s)
{
    if (s->chunks) {
        free_chunks(s->chunks->next);
        s->chunks->next = NULL;
        s->chunks->used = 0;
    }
    s->rows.n = 0;
}

static const char *keep(struct row_set *s, const void *p, size_t len)
{
    struct chunk *c = s->chunks;
    if (!c || c->size - c->used <= len) {
        size_t size = len + 1 > CHUNK_BYTES ? len + 1 : CHUNK_BYTES;
        c = xmalloc(sizeof *c + size);
        *c = (struct chunk){.next = s->chunks, .size = size};
        s->chunks = c;
    }
    char *to = c->data + c->used;
    if (len)
        memcpy(to, p, len);
    to[len] = '\0';
    c->used += len + 1;
    return to;
}

static void read_cell(struct row_set *s, struct cell *c, sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        c->type = CELL_INT;
        c->i = sqlite3_column_int64(stmt, i);
        break;
    case SQLITE_FLOAT:
        c->type = CELL_REAL;
        c->d = sqlite3_column_double(stmt, i);
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        c->type = sqlite3_column_type(stmt, i) == SQLITE_TEXT ? CELL_TEXT : CELL_BLOB;
        /* The pointer first, then the length: the order that sqlite3_column_blob(3) asks for. */
        const void *p = sqlite3_column_blob(stmt, i);
        c->s.len = (size_t)sqlite3_column_bytes(stmt, i);
        c->s.p = keep(s, p, c->s.len);
        break;
    default:
        c->type = CELL_NULL;
    }
}

void row_set_add(struct row_set *s, sqlite3_stmt *stmt)
{
    size_t columns = (size_t)sqlite3_column_count(stmt), at = s->rows.n * columns;
    s->rows.columns = columns;
    s->rows.cells = xgrow(s->rows.cells, &s->cap, at + columns, sizeof(struct cell));
    for (size_t i = 0; i < columns; i++) {
        s->rows.cells[at + i] = (struct cell){0};
        read_cell(s, &s->rows.cells[at + i], stmt, (int)i);
    }
    s->rows.n++;
}

const struct cell *cell_at(const struct rows *r, size_t row, size_t column)
{
    return &r->cells[row * r->columns + column];
}

int64_t cell_int(const struct rows *r, size_t row, size_t column)
{
    const struct cell *c = cell_at(r, row, column);
    if (c->type == CELL_REAL && c->d > -0x1p63 && c->d < 0x1p63)
        return (int64_t)c->d;
    return c->type == CELL_INT ? c->i : 0;
}

const char *cell_str(const struct rows *r, size_t row, size_t column)
{
    const struct cell *c = cell_at(r, row, column);
    return c->type == CELL_TEXT || c->type == CELL_BLOB ? c->s.p : NULL;
}
