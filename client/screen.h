#ifndef CORO_SCREEN_H
#define CORO_SCREEN_H
/* What stdout and stderr can show: colours, width, UTF-8; and lines in columns. */
#include "client/cli.h"
#include "proto/buf.h"

enum style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_BLUE,
    STYLE_CYAN
};

/* COLOR_AUTO asks NO_COLOR, CLICOLOR_FORCE, TERM and whether it is a terminal. */
void screen_init(struct screen *s, FILE *file, enum color_mode mode);

/* Appends `text` in a style, or plain where there are no colours. */
void screen_put(const struct screen *s, struct buf *out, enum style style, const char *text);
/* text_put_safe() with this screen's charset. */
size_t screen_put_safe(const struct screen *s, struct buf *out, const char *text, size_t max);

/* How a state looks: a symbol of one column and a style. */
struct look {
    const char *symbol;
    enum style style;
};
struct look screen_state(const struct screen *s, const char *state);

enum { TABLE_COLUMNS = 16 };

/*
 * A table: cells are added row by row, then it is printed with columns as wide as they must be.
 * Columns that are empty in every row are left out; on a terminal the elastic one gives way, then
 * all do, then the last are left out.
 */
struct table {
    const struct screen *screen;
    size_t columns, elastic;   /* elastic: number of the column that may be cut */
    bool right[TABLE_COLUMNS]; /* aligned to the right */
    const char *heads[TABLE_COLUMNS];
    struct cell_text {
        char *text; /* safe */
        enum style style;
    } * cells;
    size_t n, cap;
};
/* heads: n ≤ 16 names (static); one that begins with '>' is aligned to the right. */
void table_init(struct table *t, const struct screen *s, size_t n, const char *const *heads,
                size_t elastic);
/* Adds the next cell (made safe; NULL: empty). */
void table_add(struct table *t, enum style style, const char *text);
/* Prints and releases. heading false: the rows alone. */
void table_print(struct table *t, bool heading);

#endif
