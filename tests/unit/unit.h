#ifndef COROD_TESTS_UNIT_H
#define COROD_TESTS_UNIT_H
#include <check.h>

/* Each unit test program defines this; main.c runs it. */
Suite *test_suite(void);

#endif
