#include "client/canvas.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "client/text.h"
#include "proto/mem.h"

void canvas_init(struct canvas *c, const struct screen *screen, unsigned rows, unsigned columns)
{
    *c = (struct canvas){.screen = screen, .rows = rows, .columns = columns};
    c->cells = xcalloc((size_t)rows * columns + 1, sizeof(*c->cells));
    canvas_wipe(c, 0, 0, rows, columns);
}

void canvas_release(struct canvas *c)
{
    free(c->cells);
    c->cells = NULL;
}

struct canvas_cell *canvas_cell(const struct canvas *c, unsigned row, unsigned column)
{
    return &c->cells[(size_t)row * c->columns + column];
}

void canvas_wipe(struct canvas *c, unsigned row, unsigned column, unsigned rows, unsigned columns)
{
    for (unsigned y = row; y < c->rows && y - row < rows; y++) {
        for (unsigned x = column; x < c->columns && x - column < columns; x++)
            *canvas_cell(c, y, x) = (struct canvas_cell){.text = " "};
    }
}

/* Puts one character of `len` bytes and w columns. */
static void put_character(struct canvas *c, unsigned row, unsigned column, enum style style,
                          const char *s, size_t len, int w)
{
    struct canvas_cell *cell = canvas_cell(c, row, column);

    memset(cell->text, 0, sizeof(cell->text));
    memcpy(cell->text, s, len);
    cell->style = (unsigned char)style;
    if (w == 2) {
        *(cell + 1) = *cell;
        (cell + 1)->text[0] = '\0';
    }
}

unsigned canvas_put(struct canvas *c, unsigned row, unsigned column, unsigned width,
                    enum style style, const char *text)
{
    struct buf safe = {0};
    unsigned room = column < c->columns ? c->columns - column : 0;

    if (row >= c->rows || room == 0)
        return column;
    room = width > 0 && width < room ? width : room;
    text_put_safe(&safe, text, strlen(text), room, c->screen->utf8);
    unsigned end = column + room;
    for (size_t i = 0, len; i < safe.len; i += len) {
        int32_t ch;
        len = text_utf8(safe.data + i, safe.len - i, &ch);
        int w = ch < 0x80 ? 1 : wcwidth((wchar_t)ch);
        if (w == 0 && column > 0) { /* combines with what stands there */
            struct canvas_cell *cell = canvas_cell(c, row, column - 1);
            size_t have = strnlen(cell->text, CELL_BYTES);
            if (have > 0 && have + len < CELL_BYTES)
                memcpy(cell->text + have, safe.data + i, len);
            continue;
        }
        if (w < 1 || column + (unsigned)w > end)
            break;
        put_character(c, row, column, style, safe.data + i, len, w);
        column += (unsigned)w;
    }
    buf_release(&safe);
    return column;
}

void canvas_reverse(struct canvas *c, unsigned row, unsigned column, unsigned width)
{
    for (unsigned x = column; row < c->rows && x < c->columns && x - column < width; x++)
        canvas_cell(c, row, x)->reverse = true;
}

void canvas_rule(struct canvas *c, unsigned row, unsigned column, unsigned width, bool strong,
                 const char *title)
{
    const char *line = c->screen->utf8 ? (strong ? "━" : "─") : strong ? "=" : "-";
    for (unsigned x = 0; x < width; x++)
        canvas_put(c, row, column + x, 1, STYLE_DIM, line);
    if (width < 8 || *title == '\0')
        return;
    unsigned x = canvas_put(c, row, column + 1, 1, STYLE_PLAIN, " ");
    x = canvas_put(c, row, x, width - 6, strong ? STYLE_BOLD : STYLE_DIM, title);
    canvas_put(c, row, x, 1, STYLE_PLAIN, " ");
}

char *canvas_text(const struct canvas *c)
{
    struct buf out = {0};
    for (unsigned y = 0; y < c->rows; y++) {
        size_t start = out.len;
        for (unsigned x = 0; x < c->columns; x++)
            buf_addstr(&out, canvas_cell(c, y, x)->text);
        while (out.len > start && out.data[out.len - 1] == ' ')
            out.len--;
        buf_addch(&out, '\n');
    }
    return buf_steal(&out);
}
