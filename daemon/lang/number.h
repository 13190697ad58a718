#ifndef COROD_LANG_NUMBER_H
#define COROD_LANG_NUMBER_H
/* Doubles as text, independent of the locale. */

enum { NUMBER_TEXT_MAX = 40 };

/* The fewest digits that read back as the same double, as Python's repr() and JSON libraries show
 * it: 0.1, 3.0, 1e+16. d must be finite. */
void number_text(double d, char text[NUMBER_TEXT_MAX]);
/* The same digits as JavaScript shows numbers (ECMA-262, Number::toString): 3, 1e+21, 1e-7. */
void number_text_js(double d, char text[NUMBER_TEXT_MAX]);

#endif
