/* What the tests of helper/domain share. */
#ifndef TESTS_UNIT_DOMAIN_FIXTURE_H
#define TESTS_UNIT_DOMAIN_FIXTURE_H

#include "cmocka_compat.h"
#include "domain/domain.h"

/* Parses text that has to be accepted. */
static inline struct domain *parse_accepted(const char *xml)
{
    AUTO_ERROR struct error error = {0};
    struct domain *domain = NULL;
    if (domain_parse(xml, strlen(xml), &domain, &error) < 0)
        fail_msg("refused: %s\n%s", error.message, xml);
    assert_non_null(domain);
    assert_int_equal(error.code, ERROR_NONE);
    return domain;
}

/* Parses text that has to be refused with this in the message. */
static inline void parse_refused(const char *xml, size_t length, const char *expected)
{
    AUTO_ERROR struct error error = {0};
    struct domain *domain = NULL;
    int result = domain_parse(xml, length, &domain, &error);
    assert_null(domain);
    assert_int_equal(result, -1);
    assert_int_equal(error.code, ERROR_INPUT);
    if (!strstr(error.message, expected))
        fail_msg("'%s' expected in: %s", expected, error.message);
    assert_null(strchr(error.message, '\n'));
}

/* A domain with these disks, or whatever else stands in <devices>. */
static inline char *domain_with(const char *devices)
{
    return text_format("<domain type='kvm'><name>d</name><devices>%s</devices></domain>", devices);
}

#endif
