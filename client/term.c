#include "client/term.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#define NCURSES_WIDECHAR 1
#include <ncurses.h>

#define ESCAPE_MS 25 /* an escape that nothing follows for so long is the key */

static SCREEN *terminal;
static volatile sig_atomic_t came;
static bool colors;

static void on_signal(int signal)
{
    came = signal;
}

bool term_open(bool color, struct err *err)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_signal};
    const char *term = getenv("TERM");

    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return err_set(err, ENOTTY, "the terminal \"%s\" is not known ($TERM)",
                       term != NULL ? term : "");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaction(ends[i], &action, NULL);
    cbreak();
    noecho();
    nonl();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    curs_set(0);
    colors = color && has_colors();
    if (colors) {
        static const short shades[] = {-1,          -1,           -1,         COLOR_RED,
                                       COLOR_GREEN, COLOR_YELLOW, COLOR_BLUE, COLOR_CYAN};
        start_color();
        use_default_colors();
        for (short i = 1; i < (short)(sizeof(shades) / sizeof(shades[0])); i++)
            init_pair(i, shades[i], -1);
    }
    return true;
}

void term_close(void)
{
    if (terminal == NULL)
        return;
    endwin();
    delscreen(terminal);
    terminal = NULL;
}

int term_signal(void)
{
    return came;
}

void term_size(unsigned *rows, unsigned *columns)
{
    *rows = LINES > 0 ? (unsigned)LINES : 1;
    *columns = COLS > 0 ? (unsigned)COLS : 1;
}

static attr_t look_of(const struct canvas_cell *cell)
{
    attr_t look = cell->reverse ? A_REVERSE : A_NORMAL;

    if (cell->style == STYLE_BOLD)
        look |= A_BOLD;
    else if (cell->style == STYLE_DIM)
        look |= A_DIM;
    return look;
}

void term_show(const struct canvas *c)
{
    for (unsigned y = 0; y < c->rows && y < (unsigned)LINES; y++) {
        move((int)y, 0);
        for (unsigned x = 0; x < c->columns && x < (unsigned)COLS; x++) {
            const struct canvas_cell *cell = canvas_cell(c, y, x);
            if (cell->text[0] == '\0')
                continue;
            short pair = colors && cell->style >= STYLE_RED ? (short)cell->style : 0;
            attr_set(look_of(cell), pair, NULL);
            mvaddstr((int)y, (int)x, cell->text);
        }
        attr_set(A_NORMAL, 0, NULL);
    }
    refresh();
}

int term_key(void)
{
    static const struct {
        wint_t from;
        int to;
    } names[] = {{KEY_UP, TERM_UP},         {KEY_DOWN, TERM_DOWN},     {KEY_LEFT, TERM_LEFT},
                 {KEY_RIGHT, TERM_RIGHT},   {KEY_PPAGE, TERM_PAGE_UP}, {KEY_NPAGE, TERM_PAGE_DOWN},
                 {KEY_HOME, TERM_HOME},     {KEY_END, TERM_END},       {KEY_ENTER, TERM_ENTER},
                 {KEY_BTAB, TERM_BACK_TAB}, {KEY_RESIZE, TERM_RESIZED}};
    wint_t key;
    int kind = get_wch(&key);

    if (kind == ERR)
        return TERM_NONE;
    if (kind == KEY_CODE_YES) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            if (names[i].from == key)
                return names[i].to;
        }
        return TERM_OTHER;
    }
    if (key == '\r' || key == '\n')
        return TERM_ENTER;
    if (key == '\t')
        return TERM_TAB;
    return key == 27 ? TERM_ESCAPE : (int)key;
}
