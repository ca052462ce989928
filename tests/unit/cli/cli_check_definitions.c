/* Running guests whose next start would use other disks than they have. */
#include "base/text.h"
#include "cli/check.h"
#include "cmocka_compat.h"

#define FILE_DISK(target, file)                                                                    \
    "<disk type='file'><source file='" file "'/><target dev='" target "'/></disk>"
#define RBD_DISK(target, image, host)                                                              \
    "<disk type='network'><source protocol='rbd' name='" image "'><host name='" host               \
    "'/></source>"                                                                                 \
    "<target dev='" target "'/></disk>"

static struct domain *domain_with(const char *disks)
{
    AUTO_FREE char *xml =
        text_format("<domain><name>db1</name><devices>%s</devices></domain>", disks);
    AUTO_ERROR struct error error = {0};
    struct domain *domain = NULL;
    assert_int_equal(domain_parse(xml, strlen(xml), &domain, &error), 0);
    return domain;
}

/* The text of the only line, new string; NULL when there is none. */
static char *line_about(const char *live_disks, const char *defined_disks)
{
    CLEANUP(check_report_clear) struct check_report report = {0};
    CLEANUP(domain_freep) struct domain *live = domain_with(live_disks);
    CLEANUP(domain_freep) struct domain *defined = domain_with(defined_disks);
    check_definition(&report, live, defined);
    assert_in_range(report.lines.count, 0, 1);
    if (report.lines.count == 0)
        return NULL;
    assert_int_equal(report.lines.items[0].status, CHECK_ERROR);
    assert_string_equal(report.lines.items[0].subject, "domain db1");
    assert_non_null(strstr(report.lines.items[0].hint, "virsh edit db1"));
    return text_dup(report.lines.items[0].text);
}

static void tells_of_an_old_disk(void **state UNUSED)
{
    AUTO_FREE char *line =
        line_about(FILE_DISK("vda", "/a") RBD_DISK("vdb", "fast/db1-vdb", "10.0.0.1"),
                   FILE_DISK("vda", "/a") FILE_DISK("vdb", "/old.raw"));
    assert_string_equal(line, "disk vdb is on rbd:fast/db1-vdb, but its definition names /old.raw: "
                              "the next start would use that");
}

static void tells_of_another_cluster(void **state UNUSED)
{
    AUTO_FREE char *line =
        line_about(RBD_DISK("vda", "p/i", "10.0.0.1"), RBD_DISK("vda", "p/i", "10.0.0.2"));
    assert_non_null(line);
}

static void is_silent_about_the_rest(void **state UNUSED)
{
    static const char *const pairs[][2] = {
        {RBD_DISK("vda", "p/i", "h"), RBD_DISK("vda", "p/i", "h")},
        {FILE_DISK("vda", "/a"), FILE_DISK("vda", "/b")}, /* not ours to judge */
        {RBD_DISK("vdb", "p/i", "h"), ""},                /* attached live only */
        {"", RBD_DISK("vda", "p/i", "h")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        AUTO_FREE char *line = line_about(pairs[i][0], pairs[i][1]);
        assert_null(line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_an_old_disk),
        cmocka_unit_test(tells_of_another_cluster),
        cmocka_unit_test(is_silent_about_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
