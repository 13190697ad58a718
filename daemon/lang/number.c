#include "daemon/lang/number.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 17 };

/* A positive number: digits[0].digits[1…] × 10^exponent. */
struct decimal {
    char digits[MAX_DIGITS + 1];
    int n, exponent;
};

/* As many digits as asked for, correctly rounded (glibc's printf is exact). */
static void decimal_round(struct decimal *x, double d, int n)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", n - 1, d);
    x->n = 0;
    const char *p = text;
    for (; *p && *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') /* not the locale's decimal point */
            x->digits[x->n++] = *p;
    x->digits[x->n] = '\0';
    x->exponent = *p ? (int)strtol(p + 1, NULL, 10) : 0;
}

static bool decimal_is(const struct decimal *x, double d)
{
    char text[64];
    snprintf(text, sizeof text, "%se%d", x->digits, x->exponent - (x->n - 1));
    return strtod(text, NULL) == d;
}

/*
 * The number after x in its last digit. At a power of two the doubles below are closer than those
 * above, so the nearest decimal of 16 digits may read back as the one below while the next does
 * read back.
 */
static bool decimal_next(struct decimal *x)
{
    for (int i = x->n - 1; i >= 0; i--) {
        if (x->digits[i] != '9') {
            x->digits[i]++;
            return true;
        }
        x->digits[i] = '0';
    }
    return false;
}

static void decimal_shortest(struct decimal *x, double d)
{
    /* 15 digits are always kept by a normal double; the small ones have fewer. */
    for (int n = d < DBL_MIN ? 1 : 15; n <= MAX_DIGITS; n++) {
        decimal_round(x, d, n);
        if (decimal_is(x, d))
            break;
        struct decimal next = *x;
        if (n < MAX_DIGITS && decimal_next(&next) && decimal_is(&next, d)) {
            *x = next;
            break;
        }
    }
    while (x->n > 1 && x->digits[x->n - 1] == '0')
        x->digits[--x->n] = '\0';
}

/* 0.00012, 120, 1.2: without an exponent. Returns the end. */
static char *write_plain(char *out, const struct decimal *x)
{
    if (x->exponent < 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = -1; i > x->exponent; i--)
            *out++ = '0';
    }
    for (int i = 0; i < x->n || i <= x->exponent; i++) {
        if (i > 0 && i == x->exponent + 1)
            *out++ = '.';
        *out++ = i < x->n ? x->digits[i] : '0';
    }
    *out = '\0';
    return out;
}

static void write_exponent(char *out, const struct decimal *x, const char *format)
{
    *out++ = x->digits[0];
    if (x->n > 1) {
        *out++ = '.';
        memcpy(out, x->digits + 1, (size_t)x->n - 1);
        out += x->n - 1;
    }
    char exponent[16];
    snprintf(exponent, sizeof exponent, format[1] == '2' ? "e%c%02d" : "e%c%d",
             x->exponent < 0 ? '-' : '+', abs(x->exponent));
    strcpy(out, exponent);
}

void number_text(double d, char text[NUMBER_TEXT_MAX])
{
    if (signbit(d))
        *text++ = '-';
    if (d == 0) {
        strcpy(text, "0.0");
        return;
    }
    struct decimal x;
    decimal_shortest(&x, fabs(d));
    if (x.exponent < -4 || x.exponent >= 16) {
        write_exponent(text, &x, "02");
        return;
    }
    char *end = write_plain(text, &x);
    if (x.n <= x.exponent + 1)
        strcpy(end, ".0");
}

void number_text_js(double d, char text[NUMBER_TEXT_MAX])
{
    if (d == 0) {
        strcpy(text, "0");
        return;
    }
    if (d < 0)
        *text++ = '-';
    struct decimal x;
    decimal_shortest(&x, fabs(d));
    if (x.exponent < -6 || x.exponent >= 21)
        write_exponent(text, &x, "1");
    else
        write_plain(text, &x);
}
