#include "daemon/lang/number.h"

#include <float.h>
#include <inttypes.h>
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

static void strip_zeros(struct decimal *x)
{
    while (x->n > 1 && x->digits[x->n - 1] == '0')
        x->digits[--x->n] = '\0';
}

/*
 * The common numbers, fast: whole / 10^k with at most 15 digits. Both are exact doubles, so the
 * division gives the double nearest to that decimal; and no two decimals of 15 digits are nearest
 * to the same double.
 */
static bool decimal_common(struct decimal *x, double d)
{
    static const double powers[] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    for (int k = 0; k < (int)(sizeof powers / sizeof *powers); k++) {
        double whole = rint(d * powers[k]);
        if (whole >= 1e15)
            return false;
        if (whole / powers[k] != d)
            continue;
        x->n = snprintf(x->digits, sizeof x->digits, "%" PRId64, (int64_t)whole);
        x->exponent = x->n - 1 - k;
        strip_zeros(x);
        return true;
    }
    return false;
}

/* As many digits as asked for, correctly rounded (glibc's printf is exact); whether they read back
 * as the same double. */
static bool decimal_round(struct decimal *x, double d, int n)
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
    return strtod(text, NULL) == d;
}

/*
 * The number after x in its last digit, if that reads back as d. At a power of two the doubles
 * below are closer than those above, so the nearest decimal of 16 digits may read back as the one
 * below while the next does read back.
 */
static bool decimal_next(struct decimal *x, double d)
{
    struct decimal next = *x;
    int i = x->n - 1;
    for (; i >= 0 && next.digits[i] == '9'; i--)
        next.digits[i] = '0';
    if (i < 0)
        return false;
    next.digits[i]++;
    char text[64];
    snprintf(text, sizeof text, "%se%d", next.digits, next.exponent - (next.n - 1));
    if (strtod(text, NULL) != d)
        return false;
    *x = next;
    return true;
}

static void decimal_shortest(struct decimal *x, double d)
{
    int exponent;
    if (decimal_common(x, d))
        return;
    bool power_of_two = frexp(d, &exponent) == 0.5;
    /* 15 digits are always kept by a normal double; the small ones have fewer. */
    for (int n = d < DBL_MIN ? 1 : 15; n <= MAX_DIGITS; n++)
        if (decimal_round(x, d, n) || (power_of_two && n < MAX_DIGITS && decimal_next(x, d)))
            break;
    strip_zeros(x);
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
