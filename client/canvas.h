#ifndef CORO_CANVAS_H
#define CORO_CANVAS_H
/* A screenful of text with styles, made in memory: what is drawn, whoever shows it. */
#include <stdbool.h>
#include <stddef.h>

#include "client/screen.h"

enum { CELL_BYTES = 24 }; /* a character with what combines with it */

struct canvas_cell {
    char text[CELL_BYTES]; /* "": the right half of a wide character */
    unsigned char style;   /* enum style */
    bool reverse;
};

struct canvas {
    const struct screen *screen; /* its charset */
    unsigned rows, columns;
    struct canvas_cell *cells;
};

/* Empty, of this size. */
void canvas_init(struct canvas *c, const struct screen *screen, unsigned rows, unsigned columns);
void canvas_release(struct canvas *c);
struct canvas_cell *canvas_cell(const struct canvas *c, unsigned row, unsigned column);

/* Puts text, made safe and cut with an ellipsis to `width` columns (0: to the edge); returns the
 * column behind it. What lies outside is left out. */
unsigned canvas_put(struct canvas *c, unsigned row, unsigned column, unsigned width,
                    enum style style, const char *text);
/* Shows the row from this column on, `width` wide, in reverse. */
void canvas_reverse(struct canvas *c, unsigned row, unsigned column, unsigned width);
/* A horizontal line with a title in it. */
void canvas_rule(struct canvas *c, unsigned row, unsigned column, unsigned width, bool strong,
                 const char *title);
/* Empties a part. */
void canvas_wipe(struct canvas *c, unsigned row, unsigned column, unsigned rows, unsigned columns);

/* As text, without blanks at the ends of lines: for tests. The caller's to free(). */
char *canvas_text(const struct canvas *c);

#endif
