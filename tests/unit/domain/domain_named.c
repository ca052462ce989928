/* Every place that a domain's XML names: nothing of a chain, a mirror or a data file is missed. */
#include "domain_fixture.h"

#define MOST 6

static void expect(const char *devices, const char *const *expected)
{
    AUTO_FREE char *xml = domain_with(devices);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    CLEANUP(named_sources_clear) struct named_sources sources = {0};
    domain_named_sources(domain, &sources);
    for (size_t i = 0; i < sources.count; i++) {
        const struct named_source *at = &sources.items[i];
        AUTO_FREE char *where = disk_source_describe(&at->source);
        AUTO_FREE char *text =
            text_format("%s %s %s %s", at->target, where, at->format ? at->format : "-",
                        at->is_told ? "told" : "");
        assert_true(i < MOST && expected[i]);
        assert_string_equal(text, expected[i]);
    }
    assert_true(sources.count == MOST || !expected[sources.count]);
}

static void a_definition(void **state UNUSED)
{
    static const char *const expected[MOST] = {"vda /a qcow2 ", "vdb rbd:p/i raw ",
                                               "hdc /cd.iso raw "};
    expect("<disk type='file'><driver type='qcow2'/><source file='/a'/><target dev='vda'/></disk>"
           "<disk type='network'><driver type='raw'/><source protocol='rbd' name='p/i'/>"
           "<target dev='vdb'/></disk>"
           "<disk type='file' device='cdrom'><target dev='hda'/></disk>"
           "<disk type='file' device='cdrom'><driver type='raw'/><source file='/cd.iso'/>"
           "<target dev='hdc'/></disk>",
           expected);
}

static void a_running_chain(void **state UNUSED)
{
    static const char *const expected[MOST] = {"vda /a qcow2 told", "vda /data raw ",
                                               "vda /b qcow2 told", "vda rbd:p/i raw told"};
    expect("<disk type='file'><driver type='qcow2'/><source file='/a'>"
           "<dataStore type='file'><format type='raw'/><source file='/data'/></dataStore></source>"
           "<backingStore type='file'><format type='qcow2'/><source file='/b'/>"
           "<backingStore type='network'><format type='raw'/>"
           "<source protocol='rbd' name='p/i'/><backingStore/></backingStore></backingStore>"
           "<target dev='vda'/></disk>",
           expected);
}

static void mirrors(void **state UNUSED)
{
    static const char *const expected[MOST] = {"vda /a - ", "vda /m qcow2 told", "vda /n raw ",
                                               "vdb /b - ", "vdb /old - "};
    expect("<disk type='file'><source file='/a'/>"
           "<mirror type='file' job='copy'><format type='qcow2'/><source file='/m'/>"
           "<backingStore type='file'><format type='raw'/><source file='/n'/></backingStore>"
           "</mirror><target dev='vda'/></disk>"
           "<disk type='file'><source file='/b'/><mirror file='/old' ready='yes'/>"
           "<target dev='vdb'/></disk>",
           expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_definition),
        cmocka_unit_test(a_running_chain),
        cmocka_unit_test(mirrors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
