#ifndef CORO_TERM_H
#define CORO_TERM_H
/* The whole terminal, through ncurses: only term.c knows it. */
#include <stdbool.h>

#include "client/canvas.h"
#include "proto/err.h"

enum term_key {
    TERM_NONE = 0,
    /* what is no character */
    TERM_UP = 0x110000,
    TERM_DOWN,
    TERM_LEFT,
    TERM_RIGHT,
    TERM_PAGE_UP,
    TERM_PAGE_DOWN,
    TERM_HOME,
    TERM_END,
    TERM_ENTER,
    TERM_TAB,
    TERM_BACK_TAB,
    TERM_ESCAPE,
    TERM_RESIZED,
    TERM_OTHER
};

/* Takes the terminal of stdin and stdout; SIGINT, SIGTERM, SIGHUP and SIGQUIT are only noted from
 * here on. False: *err. */
bool term_open(bool color, struct err *err);
/* Gives it back as it was. */
void term_close(void);
/* The signal that came, 0: none. */
int term_signal(void);

void term_size(unsigned *rows, unsigned *columns);
/* What is new on it is sent to the terminal. */
void term_show(const struct canvas *c);
/* The next key that was pressed (a character or enum term_key), TERM_NONE: none waits. */
int term_key(void);

#endif
