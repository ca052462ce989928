/* Interfaces: what is read of them, and their networks and bridges renamed. */
#include "domain_fixture.h"

/* ---- Reading ---- */

static void reads_every_kind_of_interface(void **state UNUSED)
{
    static const struct {
        const char *interface;
        enum interface_kind kind;
        const char *mac, *source;
    } cases[] = {
        {"<interface type='network'><mac address='52:54:00:AB:cd:0F'/><source network='lan'/>"
         "</interface>",
         INTERFACE_NETWORK, "52:54:00:ab:cd:0f", "lan"},
        /* live XML names the bridge behind the network too */
        {"<interface type='network'><source network='a&amp;b' portid='c7a5fdbd' bridge='virbr0'/>"
         "<target dev='vnet0'/></interface>",
         INTERFACE_NETWORK, NULL, "a&b"},
        {"<interface type='bridge'><source network='lan' bridge='br0'/></interface>",
         INTERFACE_BRIDGE, NULL, "br0"},
        {"<interface type='network'><source bridge='br0'/></interface>", INTERFACE_NETWORK, NULL,
         NULL},
        {"<interface type='bridge'><source bridge=''/><mac address=''/></interface>",
         INTERFACE_BRIDGE, NULL, NULL},
        {"<interface type='bridge'/>", INTERFACE_BRIDGE, NULL, NULL},
        {"<interface type='direct'><source dev='eth0' network='lan' bridge='br0'/></interface>",
         INTERFACE_OTHER, NULL, NULL},
        {"<interface type='vdpa'/>", INTERFACE_OTHER, NULL, NULL},
        {"<interface><source network='lan'/></interface>", INTERFACE_OTHER, NULL, NULL},
        {"<interface x:type='network' xmlns:x='u'><source network='lan'/></interface>",
         INTERFACE_OTHER, NULL, NULL},
        {"<interface type='network'><x:source network='no' xmlns:x='u'/></interface>",
         INTERFACE_NETWORK, NULL, NULL},
        /* which of two counts, depends on libvirt's version */
        {"<interface type='network'><source network='a'/><source network='b'/>"
         "<mac address='a'/><mac address='b'/></interface>",
         INTERFACE_NETWORK, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = domain_with(cases[i].interface);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_int_equal(domain->interfaces.count, 1);
        const struct interface *interface = &domain->interfaces.items[0];
        assert_int_equal(interface->kind, cases[i].kind);
        if (!text_equal(interface->mac, cases[i].mac) ||
            !text_equal(interface->source, cases[i].source))
            fail_msg("%s gives %s, %s", cases[i].interface, interface->mac, interface->source);
    }
}

static void reads_interfaces_of_devices_only(void **state UNUSED)
{
    CLEANUP(domain_freep)
    struct domain *domain = parse_accepted(
        "<domain><name>d</name><interface type='network'><source network='a'/></interface>"
        "<devices><x:interface type='network' xmlns:x='u'><source network='a'/></x:interface>"
        "<interface type='network'><source network='b'/></interface>"
        "<a><interface type='network'/></a>"
        "<interface type='bridge'><source bridge='c'/></interface></devices></domain>");
    assert_int_equal(domain->interfaces.count, 2);
    assert_string_equal(domain->interfaces.items[0].source, "b");
    assert_string_equal(domain->interfaces.items[1].source, "c");
}

static void bounds_interfaces(void **state UNUSED)
{
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml, "<domain><name>d</name><devices>");
    for (unsigned i = 0; i < 4097; i++)
        buffer_add(&xml, "<interface/>");
    buffer_add(&xml, "</devices></domain>");
    parse_refused(xml.text, xml.length, "more than 4096 interfaces");
}

/* ---- Renaming ---- */

#define OPEN                                                                                       \
    "<?xml version='1.0'?>\n<!-- <interface type='network'><source network='lan'/> -->\n"          \
    "<domain type='kvm'>\n  <name>d</name>\n"                                                      \
    "  <metadata><interface xmlns='u' type='network'><source network='lan'/></interface>"          \
    "</metadata>\n  <devices>\n    <disk><source file='/lan'/><target dev='lan'/></disk>\n"
#define CLOSE "\n  </devices>\n</domain>\n"

/* Renames and compares; the result once more with the names that are there now changes nothing. */
static void expect_renamed(const char *xml, const struct network_rename *renames, size_t count,
                           const char *expected)
{
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *renamed = NULL;
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    if (domain_rename_networks(domain, renames, count, &renamed, &error) < 0)
        fail_msg("%s", error.message);
    AUTO_FREE char *diff = text_diff("expected", expected, "renamed", renamed);
    if (*diff)
        fail_msg("%s", diff);
}

static void renames_to_the_byte(void **state UNUSED)
{
    static const struct network_rename renames[] = {
        {NULL, "lan", "prod & test"},
        {NULL, "br0", "o'neill"},
    };
    static const struct {
        const char *interface, *renamed;
    } cases[] = {
        {"<interface type='network'>\n  <mac address='52:54:00:00:00:01'/>\n"
         "  <source network='lan' portgroup='lan' portid='0b' bridge='br0'/>\n"
         "  <target dev='lan'/>\n  <model type='virtio'/>\n</interface>",
         "<interface type='network'>\n  <mac address='52:54:00:00:00:01'/>\n"
         "  <source network='prod &amp; test' portgroup='lan' portid='0b' bridge='br0'/>\n"
         "  <target dev='lan'/>\n  <model type='virtio'/>\n</interface>"},
        {"<interface type='bridge'><source network='lan' bridge='br0'/></interface>",
         "<interface type='bridge'><source network='lan' bridge='o&apos;neill'/></interface>"},
        /* whatever the quotes and the order */
        {"<interface type=\"network\" ><source\n\tbridge='lan' network = \"lan\"  /></interface>",
         "<interface type=\"network\" ><source\n\tbridge='lan' network = \"prod &amp; test\"  />"
         "</interface>"},
        {"<interface type='network'><source x:network='lan' network='l&#97;n' xmlns:x='u'/>"
         "</interface>",
         "<interface type='network'><source x:network='lan' network='prod &amp; test' "
         "xmlns:x='u'/></interface>"},
        {"<interface type='network'><!-- <source network='lan'/> --><source bridge=\"network='lan'"
         "\" network='lan'>\n<address/></source></interface>",
         "<interface type='network'><!-- <source network='lan'/> --><source bridge=\"network='lan'"
         "\" network='prod &amp; test'>\n<address/></source></interface>"},
        /* not this one's name, kind or case */
        {"<interface type='network'><source network='br0'/></interface>",
         "<interface type='network'><source network='o&apos;neill'/></interface>"},
        {"<interface type='network'><source network='LAN' bridge='br0'/></interface>", NULL},
        {"<interface type='direct'><source dev='lan' network='lan' bridge='br0'/></interface>",
         NULL},
        {"<interface type='network'><source network='lan'/><source network='lan'/></interface>",
         NULL},
        {"<interface type='network'><x:source network='lan' xmlns:x='u'/></interface>", NULL},
        {"<interface type='network'/>", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *renamed = cases[i].renamed ? cases[i].renamed : cases[i].interface;
        AUTO_FREE char *xml = text_format("%s%s%s", OPEN, cases[i].interface, CLOSE);
        AUTO_FREE char *expected = text_format("%s%s%s", OPEN, renamed, CLOSE);
        expect_renamed(xml, renames, ARRAY_SIZE(renames), expected);
        expect_renamed(expected, renames, ARRAY_SIZE(renames), expected);
        expect_renamed(xml, NULL, 0, xml);
    }
}

static void renames_by_address(void **state UNUSED)
{
    static const char xml[] =
        OPEN "<interface type='network'><mac address='52:54:00:00:00:aa'/><source network='lan'/>"
             "</interface>\n"
             "<interface type='network'><mac address='52:54:00:00:00:BB'/><source network='lan'/>"
             "</interface>\n"
             "<interface type='network'><source network='lan'/></interface>" CLOSE;
    static const char one[] =
        OPEN "<interface type='network'><mac address='52:54:00:00:00:aa'/><source network='lan'/>"
             "</interface>\n"
             "<interface type='network'><mac address='52:54:00:00:00:BB'/><source network='b'/>"
             "</interface>\n"
             "<interface type='network'><source network='lan'/></interface>" CLOSE;
    const struct network_rename by_address = {"52:54:00:00:00:bB", "lan", "b"};
    expect_renamed(xml, &by_address, 1, one);
    const struct network_rename other_name = {"52:54:00:00:00:bb", "wan", "b"};
    expect_renamed(xml, &other_name, 1, xml);

    /* The first that fits counts, and once: no chain from 'lan' over 'a' to 'z'. */
    static const struct network_rename several[] = {
        {"52:54:00:00:00:aa", "lan", "a"}, {NULL, "a", "z"},     {"52:54:00:00:00:bb", "no", "no"},
        {"52:54:00:00:00:bb", "lan", "b"}, {NULL, "lan", "lan"}, {NULL, "lan", "never"},
    };
    static const char all[] =
        OPEN "<interface type='network'><mac address='52:54:00:00:00:aa'/><source network='a'/>"
             "</interface>\n"
             "<interface type='network'><mac address='52:54:00:00:00:BB'/><source network='b'/>"
             "</interface>\n"
             "<interface type='network'><source network='lan'/></interface>" CLOSE;
    expect_renamed(xml, several, ARRAY_SIZE(several), all);
}

static void same_name_changes_nothing(void **state UNUSED)
{
    static const char xml[] =
        OPEN "<interface type='network'><source network='l&#97;n &gt;\"'/></interface>" CLOSE;
    const struct network_rename same = {NULL, "lan >\"", "lan >\""};
    expect_renamed(xml, &same, 1, xml);
}

static void swaps_names(void **state UNUSED)
{
    static const char xml[] =
        OPEN "<interface type='bridge'><source bridge='br0'/></interface>"
             "<interface type='bridge'><source bridge='br1'/></interface>" CLOSE;
    static const char swapped[] =
        OPEN "<interface type='bridge'><source bridge='br1'/></interface>"
             "<interface type='bridge'><source bridge='br0'/></interface>" CLOSE;
    static const struct network_rename renames[] = {{NULL, "br0", "br1"}, {NULL, "br1", "br0"}};
    expect_renamed(xml, renames, 2, swapped);
}

static void escapes_hostile_names(void **state UNUSED)
{
    AUTO_FREE char *xml =
        domain_with("<interface type='network'><source network=\"l\"/></interface>");
    const struct network_rename rename = {NULL, "l", "'/><evil a=\"&amp;%s\xc3\xa4"};
    AUTO_FREE char *expected = domain_with(
        "<interface type='network'><source network=\"&apos;/&gt;&lt;evil a=&quot;&amp;amp;"
        "%s\xc3\xa4\"/></interface>");
    expect_renamed(xml, &rename, 1, expected);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(expected);
    assert_string_equal(domain->interfaces.items[0].source, rename.to);
}

static void refuses_bad_names(void **state UNUSED)
{
    static const struct network_rename bad[] = {
        {NULL, "", "a"},     {NULL, "a", ""},       {NULL, NULL, "a"},     {NULL, "a", NULL},
        {NULL, "a", "b\nc"}, {NULL, "a\x01b", "c"}, {NULL, "lan", "\xff"},
    };
    AUTO_FREE char *xml =
        domain_with("<interface type='network'><source network='lan'/></interface>");
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR struct error error = {0};
        char *renamed = NULL;
        assert_int_equal(domain_rename_networks(domain, &bad[i], 1, &renamed, &error), -1);
        assert_null(renamed);
        assert_int_equal(error.code, ERROR_INPUT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_interface),
        cmocka_unit_test(reads_interfaces_of_devices_only),
        cmocka_unit_test(bounds_interfaces),
        cmocka_unit_test(renames_to_the_byte),
        cmocka_unit_test(renames_by_address),
        cmocka_unit_test(same_name_changes_nothing),
        cmocka_unit_test(swaps_names),
        cmocka_unit_test(escapes_hostile_names),
        cmocka_unit_test(refuses_bad_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
