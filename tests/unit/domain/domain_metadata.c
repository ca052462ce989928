/* The sizes in a domain's metadata, the marks of a running guest, and a disk's own element. */
#include "domain_fixture.h"

/* ---- Sizes ---- */

#define SIZES "urn:virt-pivot:1:disks"

static char *domain_of(const char *before, const char *after)
{
    return text_format("<domain><name>d</name>%s<devices><disk><source file='/a'/>"
                       "<target dev='vda'/></disk><disk><source file='/b'/>"
                       "<target dev='vdb'/></disk></devices>%s</domain>",
                       before, after);
}

static void expect_capacities(const char *xml, uint64_t vda, uint64_t vdb)
{
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    if (domain_disk(domain, "vda")->capacity != vda || domain_disk(domain, "vdb")->capacity != vdb)
        fail_msg("%llu and %llu, from %s", (unsigned long long)domain_disk(domain, "vda")->capacity,
                 (unsigned long long)domain_disk(domain, "vdb")->capacity, xml);
}

/* What stands in <metadata>, before and behind the devices. */
static void expect_sizes(const char *metadata, uint64_t vda, uint64_t vdb)
{
    AUTO_FREE char *element = text_format("<metadata>%s</metadata>", metadata);
    AUTO_FREE char *before = domain_of(element, "");
    AUTO_FREE char *after = domain_of("", element);
    expect_capacities(before, vda, vdb);
    expect_capacities(after, vda, vdb);
}

static void reads_sizes(void **state UNUSED)
{
    /* as libvirt stores what it is given without a namespace */
    expect_sizes("<p:disks xmlns:p='" SIZES "'>\n  <p:disk target='vda' capacity='1024'/>\n"
                 "  <p:disk target=\"vdb\" capacity=\"1099511627776\"/>\n</p:disks>",
                 1024, 1ULL << 40);
    /* given with one */
    expect_sizes("<disks xmlns='" SIZES "'><disk target='vda' capacity='512'/></disks>", 512, 0);
    /* and with children in no namespace */
    expect_sizes("<p:disks xmlns:p='" SIZES "'><disk target='vdb' capacity='512'/></p:disks>", 0,
                 512);
    expect_sizes("<disks xmlns='" SIZES "'><disk xmlns='' target='vdb' capacity='512'/></disks>", 0,
                 512);
    /* beside other metadata, the operator's tier among them */
    expect_sizes("<a xmlns='urn:a'><disk target='vda' capacity='512'/></a>"
                 "<p:tier xmlns:p='urn:virt-pivot:1'>gold</p:tier>"
                 "<s:disks xmlns:s='" SIZES "'><s:disk target='vda' capacity='4096'/></s:disks>",
                 4096, 0);
    expect_sizes("", 0, 0);
    expect_capacities("<domain><name>d</name><metadata><s:disks xmlns:s='" SIZES
                      "'><s:disk target='vda' capacity='512'/></s:disks></metadata><devices><disk>"
                      "<target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices>"
                      "<metadata><s:disks xmlns:s='" SIZES "'><s:disk target='vdb' capacity='512'/>"
                      "</s:disks></metadata></domain>",
                      512, 0); /* libvirt takes the first <metadata> too */
}

static void passes_over_what_is_no_size(void **state UNUSED)
{
    static const char *const bad[] = {
        "target='vda' capacity='0'",
        "target='vda' capacity=''",
        "target='vda'",
        "capacity='512'",
        "target='' capacity='512'",
        "target='vdz' capacity='512'",
        "target='vda' capacity='-512'",
        "target='vda' capacity='+512'",
        "target='vda' capacity=' 512'",
        "target='vda' capacity='512 '",
        "target='vda' capacity='0x200'",
        "target='vda' capacity='512.0'",
        "target='vda' capacity='1K'",
        "target='vda' capacity='513'",
        "target='vda' capacity='511'",
        "target='vda' capacity='1000'",
        "target='vda' capacity='9223372036854775808'",  /* 2^63, a multiple of 512 */
        "target='vda' capacity='18446744073709551616'", /* 2^64 */
        "target='vda' capacity='18446744073709552128'", /* 2^64 + 512 */
        "target='vda' capacity='99999999999999999999999999999999999999'",
        "target='vda' x:capacity='512' xmlns:x='u'",
        "x:target='vda' capacity='512' xmlns:x='u'",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_FREE char *alone =
            text_format("<p:disks xmlns:p='" SIZES "'><p:disk %s/></p:disks>", bad[i]);
        expect_sizes(alone, 0, 0);
        /* A good one behind it counts. */
        AUTO_FREE char *followed =
            text_format("<p:disks xmlns:p='" SIZES "'><p:disk %s/><p:disk target='vda' "
                        "capacity='1024'/></p:disks>",
                        bad[i]);
        expect_sizes(followed, 1024, 0);
    }
    expect_sizes("<p:disks xmlns:p='" SIZES
                 "'><p:disk target='vda' capacity='9223372036854775296'/></p:disks>",
                 (1ULL << 63) - 512, 0);
}

static void counts_the_first_valid_size(void **state UNUSED)
{
    expect_sizes("<p:disks xmlns:p='" SIZES "'><p:disk target='vda' capacity='1024'/>"
                 "<p:disk target='vda' capacity='2048'/><disk target='vda' capacity='512'/>"
                 "</p:disks><q:disks xmlns:q='" SIZES "'><q:disk target='vda' capacity='4096'/>"
                 "<q:disk target='vdb' capacity='4096'/></q:disks>",
                 1024, 4096);
}

static void reads_sizes_in_their_place_only(void **state UNUSED)
{
    static const char *const elsewhere[] = {
        "<disks><disk target='vda' capacity='512'/></disks>",
        "<disks xmlns='urn:virt-pivot:1'><disk target='vda' capacity='512'/></disks>",
        "<p:disks xmlns:p='" SIZES "'><q:disk xmlns:q='u' target='vda' capacity='512'/></p:disks>",
        "<p:disks xmlns:p='" SIZES "'><p:size target='vda' capacity='512'/></p:disks>",
        "<p:disks xmlns:p='" SIZES "'><p:a><p:disk target='vda' capacity='512'/></p:a></p:disks>",
        "<p:disk xmlns:p='" SIZES "' target='vda' capacity='512'/>",
        "<a><p:disks xmlns:p='" SIZES "'><p:disk target='vda' capacity='512'/></p:disks></a>",
        "<!-- <p:disks xmlns:p='" SIZES "'><p:disk target='vda' capacity='512'/></p:disks> -->",
        "<p:disks xmlns:p='" SIZES "'><![CDATA[<p:disk target='vda' capacity='512'/>]]></p:disks>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
        expect_sizes(elsewhere[i], 0, 0);
    AUTO_FREE char *outside = domain_of("<p:disks xmlns:p='" SIZES "'><p:disk target='vda' "
                                        "capacity='512'/></p:disks>",
                                        "");
    expect_capacities(outside, 0, 0);
}

/* 200000 elements times 4096 disks would be minutes. */
static void bounds_the_number_of_sizes(void **state UNUSED)
{
    AUTO_BUFFER struct buffer metadata = {0};
    buffer_add(&metadata, "<p:disks xmlns:p='" SIZES "'>");
    for (unsigned i = 0; i < 4095; i++)
        buffer_format(&metadata, "<p:disk target='x%u' capacity='512'/>", i);
    AUTO_FREE char *last =
        text_format("%s<p:disk target='vda' capacity='512'/></p:disks>", metadata.text);
    expect_sizes(last, 512, 0);
    AUTO_FREE char *behind = text_format("%s<p:disk target='y' capacity='512'/><p:disk "
                                         "target='vda' capacity='512'/></p:disks>",
                                         metadata.text);
    expect_sizes(behind, 0, 0);
}

static void writes_sizes(void **state UNUSED)
{
    static const struct disk_capacity sizes[] = {
        {"vda", 1073741824, true, NULL},  {"hostile'<>&\"", 512, false, "/a'b"},
        {"vdb", 0, true, NULL},           {"vdc", 513, true, NULL},
        {"vdd", UINT64_MAX, false, NULL},
    };
    AUTO_FREE char *xml = domain_sizes_xml(sizes, ARRAY_SIZE(sizes));
    assert_string_equal(xml, "<disks><disk target='vda' capacity='1073741824' local='yes'/>"
                             "<disk target='hostile&apos;&lt;&gt;&amp;&quot;' capacity='512' "
                             "source='/a&apos;b'/></disks>");
    AUTO_FREE char *none = domain_sizes_xml(NULL, 0);
    assert_string_equal(none, "<disks></disks>");
    /* Read back as it would stand in a domain. */
    AUTO_FREE char *metadata = text_format("<disks xmlns='" SIZES "'%s", xml + strlen("<disks"));
    expect_sizes(metadata, 1073741824, 0);
}

/* ---- A running guest ---- */

#define PARTITION "<resource><partition>/machine</partition></resource>"
#define DISK(more) "<disk><source file='/a'/>" more "<target dev='vda'/></disk>"

static void tells_a_running_guest(void **state UNUSED)
{
    static const struct {
        const char *attributes, *content;
        bool live, started;
    } cases[] = {
        {" id='3'", "", true, false},
        {" id='0'", "", true, false},
        {" id='-1'", "", false, false},
        {" id=''", "", false, false},
        {" id='3x'", "", false, false},
        {" x:id='3' xmlns:x='u'", "", false, false},
        {"", "", false, false},
        {"", PARTITION "<devices>" DISK("<backingStore/>") "</devices>", false, true},
        {"",
         PARTITION "<devices>" DISK("<backingStore type='file'><source file='/b'/>"
                                    "</backingStore>") "</devices>",
         false, true},
        {" id='1'", PARTITION "<devices>" DISK("<backingStore/>") "</devices>", true, true},
        {"", PARTITION "<devices>" DISK("") "</devices>", false, false},
        {"", "<devices>" DISK("<backingStore/>") "</devices>", false, false},
        {"", "<resource/><devices>" DISK("<backingStore/>") "</devices>", false, false},
        {"",
         PARTITION "<devices>" DISK("<backingStore/>") "<disk type='block'><source dev='/b'/>"
                                                       "<target dev='vdb'/></disk></devices>",
         false, false},
        {"", PARTITION "<devices>" DISK("<x:backingStore xmlns:x='u'/>") "</devices>", false,
         false},
        /* these two never have one */
        {"",
         PARTITION "<devices>" DISK("<backingStore/>") "<disk type='network'><source protocol='rbd'"
                                                       " name='p/i'/><target dev='vdb'/></disk>"
                                                       "<disk device='cdrom'><target dev='sda'/>"
                                                       "</disk></devices>",
         false, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = text_format("<domain%s><name>d</name>%s</domain>",
                                          cases[i].attributes, cases[i].content);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        if (domain->live != cases[i].live || domain->started != cases[i].started)
            fail_msg("live %d, started %d: %s", domain->live, domain->started, xml);
    }
}

/* ---- One disk ---- */

static const char disk_element[] =
    "<disk type='network' device='disk' >\n"
    "      <driver name='qemu' type='raw' cache='none' io='threads' discard='unmap'/>\n"
    "      <!-- ours -->\n"
    "      <source protocol='rbd' name='fast/ns/d-vda'><host name='::1' port='6789'/>"
    "<auth username='u'><secret type='ceph' usage='a &amp; b'/></auth></source>\n"
    "      <q:x xmlns:q='urn:q'/><target dev='v&apos;' bus='virtio'/>\n"
    "    </disk >";

static void cuts_a_disk_out_and_reads_it(void **state UNUSED)
{
    AUTO_FREE char *devices =
        text_format("<disk><target dev='vdx'/></disk>\n    %s\n", disk_element);
    AUTO_FREE char *xml = domain_with(devices);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    AUTO_FREE char *cut = domain_disk_xml(domain, "v'");
    assert_string_equal(cut, disk_element);
    assert_null(domain_disk_xml(domain, "vdz"));

    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *holder = NULL;
    if (disk_parse(cut, &holder, &error) < 0)
        fail_msg("%s", error.message);
    assert_int_equal(holder->disks.count, 1);
    assert_null(holder->name);
    const struct disk *disk = &holder->disks.items[0];
    assert_string_equal(disk->target, "v'");
    assert_string_equal(disk->cache, "none");
    assert_string_equal(disk->io, "threads");
    assert_string_equal(disk->discard, "unmap");
    assert_true(disk_source_same(&disk->source, &domain_disk(domain, "v'")->source));
    assert_string_equal(disk->source.secret_usage, "a & b");
    AUTO_FREE char *again = domain_disk_xml(holder, "v'");
    assert_string_equal(again, disk_element);
}

/* A prefix that is declared further out is not in the element's own text. */
static void reads_a_disk_with_a_foreign_prefix(void **state UNUSED)
{
    CLEANUP(domain_freep)
    struct domain *domain = parse_accepted(
        "<domain xmlns:q='urn:q'><name>d</name><devices><disk q:type='block'><q:source file='/no'/>"
        "<source file='/a' q:file='/no'/><target dev='vda'/></disk></devices></domain>");
    AUTO_FREE char *cut = domain_disk_xml(domain, "vda");
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *holder = NULL;
    if (disk_parse(cut, &holder, &error) < 0)
        fail_msg("%s", error.message);
    assert_string_equal(holder->disks.items[0].type_name, "file");
    assert_string_equal(holder->disks.items[0].source.path, "/a");
}

static void refuses_what_is_no_disk(void **state UNUSED)
{
    static const struct {
        const char *xml, *expected;
    } cases[] = {
        {"", "the document is empty"},
        {"<domain><name>d</name></domain>", "1:1: the root element is <domain>, not <disk>"},
        {"<x:disk xmlns:x='u'><target dev='vda'/></x:disk>", "not <disk>"},
        {"<disk xmlns='u'><target dev='vda'/></disk>", "not <disk>"},
        {"<disk/>", "a disk without <target dev=…>"},
        {"<disk><target dev='a'/></disk><disk><target dev='b'/></disk>", "domain XML 1:"},
        {"<disk><target dev='a'/>", "domain XML 1:"},
        {"<disk><source/><source/><target dev='a'/></disk>", "1:16: a disk with a second <source>"},
        {"<!DOCTYPE disk><disk><target dev='a'/></disk>", "1:1: a DOCTYPE is not accepted"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        struct domain *holder = NULL;
        assert_int_equal(disk_parse(cases[i].xml, &holder, &error), -1);
        assert_null(holder);
        assert_int_equal(error.code, ERROR_INPUT);
        if (!strstr(error.message, cases[i].expected))
            fail_msg("'%s' expected in: %s", cases[i].expected, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(passes_over_what_is_no_size),
        cmocka_unit_test(counts_the_first_valid_size),
        cmocka_unit_test(reads_sizes_in_their_place_only),
        cmocka_unit_test(bounds_the_number_of_sizes),
        cmocka_unit_test(writes_sizes),
        cmocka_unit_test(tells_a_running_guest),
        cmocka_unit_test(cuts_a_disk_out_and_reads_it),
        cmocka_unit_test(reads_a_disk_with_a_foreign_prefix),
        cmocka_unit_test(refuses_what_is_no_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
