/* cmocka 1.1 and 2.0 under one include: the headers that both want first. */
#ifndef TESTS_UNIT_CMOCKA_COMPAT_H
#define TESTS_UNIT_CMOCKA_COMPAT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#endif
