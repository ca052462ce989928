#include "domain_fixture.h"

static const struct network_host monitors[] = {
    {.name = (char *)"10.0.0.1", .port = (char *)"6789"},
    {.name = (char *)"fd00::2"},
};

/* What a disk is moved to, unless a case says otherwise. */
static const struct rbd_destination usual = {
    .hosts = monitors,
    .host_count = 2,
    .user = "libvirt",
    .secret_uuid = "2d51d16c-b0ef-4a9f-8938-de099f017a62",
    .pool = "fast",
    .image = "d-vda",
};

/* The usual destination's <source>, at the indent of libvirt's own output. */
#define SOURCE                                                                                     \
    "      <source protocol='rbd' name='fast/d-vda'>\n"                                            \
    "        <host name='10.0.0.1' port='6789'/>\n"                                                \
    "        <host name='fd00::2'/>\n"                                                             \
    "        <auth username='libvirt'>\n"                                                          \
    "          <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\n"                \
    "        </auth>\n"                                                                            \
    "      </source>\n"
#define SOURCE_ON_ONE_LINE                                                                         \
    "<source protocol='rbd' name='fast/d-vda'><host name='10.0.0.1' port='6789'/>"                 \
    "<host name='fd00::2'/><auth username='libvirt'><secret type='ceph' "                          \
    "uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/></auth></source>"
#define TARGET "      <target dev='vda' bus='virtio'/>\n"
#define OPEN "<disk type='network' device='disk'>\n"
#define FILE_OPEN "<disk type='file' device='disk'>\n"
#define CLOSE "    </disk>"

struct rewrite_case {
    const char *name;
    const char *disk;      /* as it is */
    const char *rewritten; /* as it has to be, byte for byte */
    const char *cache, *io, *discard, *detect_zeroes;
    struct iotune iotune;
};

static const struct rewrite_case cases[] = {
    {.name = "as libvirt prints it",
     .disk = FILE_OPEN "      <driver name='qemu' type='raw'/>\n"
                       "      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'/>\n" SOURCE TARGET CLOSE},
    {.name = "everything else of a disk is kept",
     .disk = "<disk type='file' device='disk' model='virtio' snapshot='internal'>\n"
             "      <driver name='qemu' type='qcow2' cache='writeback' error_policy='stop' "
             "rerror_policy='report' io='threads' ioeventfd='on' event_idx='off' "
             "copy_on_read='on' discard='ignore' iothread='1' detect_zeroes='off' queues='4' "
             "queue_size='256' iommu='on' ats='on' packed='on' page_per_vq='on'/>\n"
             "      <source file='/a' startupPolicy='optional' index='1'/>\n"
             "      <blockio logical_block_size='512'/>\n"
             "      <target dev='vda' bus='virtio'/>\n"
             "      <iotune>\n        <read_iops_sec>9</read_iops_sec>\n      </iotune>\n"
             "      <serial>S&amp;1</serial>\n      <wwn>5000c50015ea71ad</wwn>\n"
             "      <boot order='1'/>\n      <alias name='ua-1'/>\n"
             "      <address type='pci' domain='0x0000' bus='0x04' slot='0x00'/>\n" CLOSE,
     .rewritten = "<disk type='network' device='disk' model='virtio' snapshot='internal'>\n"
                  "      <driver name='qemu' type='raw' cache='writeback' error_policy='stop' "
                  "rerror_policy='report' io='threads' ioeventfd='on' event_idx='off' "
                  "copy_on_read='on' discard='ignore' iothread='1' detect_zeroes='off' queues='4' "
                  "queue_size='256' iommu='on' ats='on' packed='on' page_per_vq='on'/>\n" SOURCE
                  "      <blockio logical_block_size='512'/>\n"
                  "      <target dev='vda' bus='virtio'/>\n"
                  "      <iotune>\n        <read_iops_sec>9</read_iops_sec>\n      </iotune>\n"
                  "      <serial>S&amp;1</serial>\n      <wwn>5000c50015ea71ad</wwn>\n"
                  "      <boot order='1'/>\n      <alias name='ua-1'/>\n"
                  "      <address type='pci' domain='0x0000' bus='0x04' slot='0x00'/>\n" CLOSE,
     .iotune = {.total_iops_sec = 5}},
    {.name = "what belongs to the old source goes",
     .disk = FILE_OPEN "      <driver name='qemu' type='qcow2' io='native' "
                       "discard='unmap' discard_no_unref='on'>\n"
                       "        <metadata_cache>\n          <max_size unit='bytes'>1</max_size>\n"
                       "        </metadata_cache>\n      </driver>\n"
                       "      <auth username='old'>\n        <secret type='iscsi' usage='x'/>\n"
                       "      </auth>\n"
                       "      <source file='/a' index='2'>\n"
                       "        <slices>\n          <slice type='storage' offset='0' size='1'/>\n"
                       "        </slices>\n        <seclabel model='dac' relabel='no'/>\n"
                       "        <reservations managed='yes'/>\n      </source>\n"
                       "      <backingStore type='file' index='3'>\n        <format type='raw'/>\n"
                       "        <source file='/b'/>\n        <backingStore/>\n"
                       "      </backingStore>\n"
                       "      <mirror type='file' job='copy'>\n        <source file='/c'/>\n"
                       "      </mirror>\n" TARGET CLOSE,
     .rewritten =
         OPEN "      <driver name='qemu' type='raw' discard='unmap'/>\n" SOURCE TARGET CLOSE},
    {.name = "an empty backingStore, other children of driver",
     .disk = FILE_OPEN "      <driver name='qemu' type='qcow2'>\n"
                       "        <metadata_cache><max_size>1</max_size></metadata_cache>\n"
                       "        <iothreads>\n          <iothread id='1'/>\n        </iothreads>\n"
                       "      </driver>\n"
                       "      <source file='/a'/>\n      <backingStore/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'>\n"
                       "        <iothreads>\n          <iothread id='1'/>\n        </iothreads>\n"
                       "      </driver>\n" SOURCE TARGET CLOSE},
    {.name = "settings go where libvirt prints them",
     .disk = FILE_OPEN "      <driver name='qemu' type='qcow2' error_policy='stop' "
                       "iothread='1' queues='2' packed='on'/>\n"
                       "      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw' cache='none' error_policy='stop' "
                       "io='threads' discard='unmap' iothread='1' detect_zeroes='unmap' "
                       "queues='2' packed='on'/>\n" SOURCE TARGET CLOSE,
     .cache = "none",
     .io = "threads",
     .discard = "unmap",
     .detect_zeroes = "unmap"},
    {.name = "settings replace what is there",
     .disk = FILE_OPEN "      <driver cache=\"writeback\" name = 'qemu'\n  io='io_uring' "
                       "discard='ignore'  detect_zeroes='on' />\n"
                       "      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver cache='none' name = 'qemu' type='raw'\n  io='threads' "
                       "discard='unmap'  detect_zeroes='off' />\n" SOURCE TARGET CLOSE,
     .cache = "none",
     .io = "threads",
     .discard = "unmap",
     .detect_zeroes = "off"},
    {.name = "what already says the same is not touched",
     .disk = "<disk\n type = \"netw&#111;rk\">\n"
             "      <driver type=\"raw\" cache=\"none\" name='a>b'/>\n"
             "      <source protocol='nbd' name='/>'/>\n" TARGET CLOSE,
     .rewritten = "<disk\n type = \"netw&#111;rk\">\n"
                  "      <driver type=\"raw\" cache=\"none\" name='a>b'/>\n" SOURCE TARGET CLOSE,
     .cache = "none"},
    {.name = "io_uring is for files",
     .disk = FILE_OPEN "      <driver io='io_uring'/>\n      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver type='raw'/>\n" SOURCE TARGET CLOSE},
    {.name = "no type attribute, quotes in other attributes",
     .disk = "<disk device='disk' sgio=\"a' type='b\">\n      <driver name='qemu'/>\n"
             "      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten = "<disk type='network' device='disk' sgio=\"a' type='b\">\n"
                  "      <driver name='qemu' type='raw'/>\n" SOURCE TARGET CLOSE},
    {.name = "no driver",
     .disk = FILE_OPEN "      <source file='/a'/>\n" TARGET CLOSE,
     .rewritten =
         OPEN "      <driver name='qemu' type='raw' discard='unmap'/>\n" SOURCE TARGET CLOSE,
     .discard = "unmap"},
    {.name = "no source",
     .disk = FILE_OPEN "      <driver name='qemu' type='raw'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'/>\n" SOURCE TARGET CLOSE},
    {.name = "neither driver nor source",
     .disk = FILE_OPEN TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'/>\n" SOURCE TARGET CLOSE},
    {.name = "on one line",
     .disk = "<disk type='file'><driver name='qemu' type='qcow2'/><source file='/a'/>"
             "<backingStore/><target dev='vda'/></disk>",
     .rewritten = "<disk type='network'><driver name='qemu' type='raw'/>" SOURCE_ON_ONE_LINE
                  "<target dev='vda'/><iotune><total_bytes_sec>7</total_bytes_sec></iotune></disk>",
     .iotune = {.total_bytes_sec = 7}},
    {.name = "on one line, neither driver nor source",
     .disk = "<disk type='block'><target dev='vda'/></disk>",
     .rewritten = "<disk type='network'><driver name='qemu' type='raw'/>" SOURCE_ON_ONE_LINE
                  "<target dev='vda'/></disk>"},
    {.name = "CRLF",
     .disk = "<disk type='file'>\r\n      <driver name='qemu' type='qcow2'/>\r\n"
             "      <source file='/a'>\r\n        <slices/>\r\n      </source>\r\n"
             "      <backingStore/>\r\n      <target dev='vda'/>\r\n    </disk>",
     .rewritten =
         "<disk type='network'>\r\n      <driver name='qemu' type='raw'/>\r\n"
         "      <source protocol='rbd' name='fast/d-vda'>\r\n"
         "        <host name='10.0.0.1' port='6789'/>\r\n        <host name='fd00::2'/>\r\n"
         "        <auth username='libvirt'>\r\n"
         "          <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\r\n"
         "        </auth>\r\n      </source>\r\n      <target dev='vda'/>\r\n    </disk>"},
    {.name = "deeper steps than libvirt's",
     .disk = "<disk type='file'>\n\t<source file='/a'/>\n\t<target dev='vda'/></disk>",
     .rewritten = "<disk type='network'>\n\t<driver name='qemu' type='raw'/>\n"
                  "\t<source protocol='rbd' name='fast/d-vda'>\n"
                  "\t  <host name='10.0.0.1' port='6789'/>\n\t  <host name='fd00::2'/>\n"
                  "\t  <auth username='libvirt'>\n"
                  "\t    <secret type='ceph' uuid='2d51d16c-b0ef-4a9f-8938-de099f017a62'/>\n"
                  "\t  </auth>\n\t</source>\n\t<target dev='vda'/></disk>"},
    {.name = "comments and CDATA that look like elements",
     .disk = FILE_OPEN
     "      <!-- <source file='/no'/> <driver type='x'> -->\n"
     "      <driver name='qemu' type='qcow2'/><!-- > -->\n"
     "      <serial><![CDATA[</disk><source file='/no'/>]]></serial>\n"
     "      <source file='/a'><!-- </source> --></source >\n"
     "      <!-- kept --><backingStore><?pi <source/> ?></backingStore\n>\n" TARGET CLOSE,
     .rewritten = OPEN "      <!-- <source file='/no'/> <driver type='x'> -->\n"
                       "      <driver name='qemu' type='raw'/><!-- > -->\n"
                       "      <serial><![CDATA[</disk><source file='/no'/>]]></serial>\n" SOURCE
                       "      <!-- kept -->\n" TARGET CLOSE},
    {.name = "other namespaces inside the disk",
     .disk = FILE_OPEN "      <x:source xmlns:x='urn:x' file='/no'/>\n"
                       "      <driver xmlns:x='urn:x' x:type='keep' type='qcow2'/>\n"
                       "      <source file='/a'/>\n"
                       "      <backingStore xmlns='urn:y'/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <x:source xmlns:x='urn:x' file='/no'/>\n"
                       "      <driver xmlns:x='urn:x' x:type='keep' type='raw'/>\n" SOURCE
                       "      <backingStore xmlns='urn:y'/>\n" TARGET CLOSE},
    {.name = "iotune is added behind target",
     .disk = FILE_OPEN "      <driver name='qemu' type='raw'/>\n"
                       "      <source file='/a'/>\n" TARGET "      <serial>1</serial>\n" CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'/>\n" SOURCE TARGET "      <iotune>\n"
                       "        <total_bytes_sec>1</total_bytes_sec>\n"
                       "        <read_bytes_sec>2</read_bytes_sec>\n"
                       "        <write_bytes_sec>3</write_bytes_sec>\n"
                       "        <total_iops_sec>4</total_iops_sec>\n"
                       "        <read_iops_sec>5</read_iops_sec>\n"
                       "        <write_iops_sec>6</write_iops_sec>\n"
                       "        <total_bytes_sec_max>18446744073709551615</total_bytes_sec_max>\n"
                       "        <total_iops_sec_max>8</total_iops_sec_max>\n"
                       "      </iotune>\n"
                       "      <serial>1</serial>\n" CLOSE,
     .iotune = {1, 2, 3, 4, 5, 6, 18446744073709551615ULL, 8}},
    {.name = "an empty iotune is filled",
     .disk = FILE_OPEN "      <driver name='qemu' type='raw'/>\n"
                       "      <source file='/a'/>\n      <iotune/>\n" TARGET CLOSE,
     .rewritten = OPEN "      <driver name='qemu' type='raw'/>\n" SOURCE
                       "      <iotune>\n        <total_iops_sec>4</total_iops_sec>\n"
                       "      </iotune>\n" TARGET CLOSE,
     .iotune = {.total_iops_sec = 4}},
};

/* What stands around the disk. Everything in it has to survive, to the byte. */
static const char before_disk[] =
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    "<!-- <disk type='file'><source file='/no'/><target dev='vda'/></disk> -->\n"
    "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
    "  <name>d\xc3\xa4</name>\n"
    "  <description><![CDATA[<devices><disk><target dev='vda'/></disk>]]></description>\n"
    "  <metadata>\n    <n:instance xmlns:n='urn:nova'>\n"
    "      <n:disk type='file'><n:source file='/no'/><n:target dev='vda'/></n:disk>\n"
    "      <disk xmlns='urn:z' type='file'><driver type='qcow2'/><target dev='vda'/></disk>\n"
    "    </n:instance>\n  </metadata>\n"
    "  <devices>\n"
    "    <emulator a=\"1\"  b = '2' >/usr/bin/qemu</emulator   >\n"
    "    <disk type='file' device='cdrom'>\n      <source file='/iso'/>\n"
    "      <target dev='sda' bus='sata'/>\n      <readonly/>\n    </disk>\n"
    "    ";
static const char after_disk[] =
    "\n\n\n    <disk type='file' device='disk'>\n"
    "      <driver name='qemu' type='qcow2' io='native'/>\n      <source file='/b'/>\n"
    "      <backingStore/>\n      <target dev='vdb' bus='virtio'/>\n    </disk>\n"
    "    <interface><source network='vda'/><target dev='vda'/><driver name='vhost'/></interface>\n"
    "  \t</devices>\n"
    "  <qemu:commandline><qemu:arg value='&lt;disk>&#x41;'/></qemu:commandline>\n"
    "</domain>\n<!-- the end -->\n";

static char *rewrite_one(const char *xml, const struct disk_rewrite *rewrite)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    char *rewritten = NULL;
    if (domain_rewrite(domain, rewrite, 1, &rewritten, &error) < 0)
        fail_msg("%s", error.message);
    return rewritten;
}

static void check_case(const struct rewrite_case *test, const char *before, const char *after)
{
    AUTO_FREE char *xml = text_format("%s%s%s", before, test->disk, after);
    AUTO_FREE char *expected = text_format("%s%s%s", before, test->rewritten, after);
    const struct disk_rewrite rewrite = {
        .target = "vda",
        .destination = usual,
        .cache = test->cache,
        .io = test->io,
        .discard = test->discard,
        .detect_zeroes = test->detect_zeroes,
        .iotune = &test->iotune,
    };
    AUTO_FREE char *rewritten = rewrite_one(xml, &rewrite);
    if (strcmp(rewritten, expected) != 0) {
        AUTO_FREE char *diff = text_diff("expected", expected, "rewritten", rewritten);
        fail_msg("%s:\n%s", test->name, diff);
    }
    /* Once more changes nothing: the disk is where it has to be, and says so in the same words. */
    AUTO_FREE char *again = rewrite_one(rewritten, &rewrite);
    assert_string_equal(again, rewritten);
}

static void rewrites_to_the_byte(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        check_case(&cases[i], before_disk, after_disk);
}

static void rewrites_without_white_space_around(void **state UNUSED)
{
    /* The step of indentation is found out from the disk itself, so only the cases on one line are
     * independent of where the disk stands. */
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        if (!strchr(cases[i].disk, '\n'))
            check_case(&cases[i], "<domain><name>d</name><devices>", "</devices></domain>");
}

static void passes_through_without_rewrites(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR struct error error = {0};
        AUTO_FREE char *xml = text_format("%s%s%s", before_disk, cases[i].disk, after_disk);
        AUTO_FREE char *same = NULL;
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_int_equal(domain_rewrite(domain, NULL, 0, &same, &error), 0);
        assert_string_equal(same, xml);
    }
}

static void rewrites_several_disks(void **state UNUSED)
{
    static const char xml[] =
        "<domain><name>d</name><devices><disk type='file'><driver name='qemu' type='raw'/>"
        "<source file='/a'/><target dev='vda'/></disk><disk type='file'><driver name='qemu' "
        "type='raw'/><source file='/b'/><target dev='vdb'/></disk><disk type='file'>"
        "<driver name='qemu' type='raw'/><source file='/c'/><target dev='vdc'/></disk></devices>"
        "</domain>";
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    const struct disk_rewrite rewrites[] = {
        {.target = "vdc", .destination = {.config_file = "/c", .pool = "p", .image = "c"}},
        {.target = "vda", .destination = {.pool = "p", .name_space = "n", .image = "a"}},
    };
    AUTO_FREE char *rewritten = NULL;
    assert_int_equal(domain_rewrite(domain, rewrites, 2, &rewritten, &error), 0);
    assert_string_equal(
        rewritten,
        "<domain><name>d</name><devices><disk type='network'><driver name='qemu' type='raw'/>"
        "<source protocol='rbd' name='p/n/a'/><target dev='vda'/></disk><disk type='file'>"
        "<driver name='qemu' type='raw'/><source file='/b'/><target dev='vdb'/></disk>"
        "<disk type='network'><driver name='qemu' type='raw'/><source protocol='rbd' name='p/c'>"
        "<config file='/c'/></source><target dev='vdc'/></disk></devices></domain>");
}

static void escapes_hostile_names(void **state UNUSED)
{
    static const char xml[] = "<domain><name>d</name><devices><disk><source file='/a'/>"
                              "<target dev='vda'/></disk></devices></domain>";
    const struct network_host host = {.name = (char *)"<h>", .port = (char *)"'"};
    const struct disk_rewrite rewrite = {
        .target = "vda",
        .destination = {.hosts = &host,
                        .host_count = 1,
                        .config_file = "/]]>",
                        .user = "a\"'/><evil>",
                        .secret_usage = "&amp;",
                        .pool = "p%s'",
                        .image = "<!--\xc3\xa4"},
    };
    AUTO_FREE char *rewritten = rewrite_one(xml, &rewrite);
    assert_non_null(strstr(rewritten, "name='p%s&apos;/&lt;!--\xc3\xa4'"));
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(rewritten);
    const struct disk_source *source = &domain->disks.items[0].source;
    assert_string_equal(source->name, "p%s'/<!--\xc3\xa4");
    assert_string_equal(source->auth_user, "a\"'/><evil>");
    assert_string_equal(source->secret_usage, "&amp;");
    assert_string_equal(source->config_file, "/]]>");
    assert_string_equal(source->hosts.items[0].name, "<h>");
    assert_string_equal(source->hosts.items[0].port, "'");
}

/* ---- Refusals ---- */

static void expect_refusal(const struct domain *domain, const struct disk_rewrite *rewrites,
                           size_t count, enum error_code code, const char *expected)
{
    AUTO_ERROR struct error error = {0};
    char *xml = NULL;
    int result = domain_rewrite(domain, rewrites, count, &xml, &error);
    assert_null(xml);
    assert_int_equal(result, -1);
    assert_int_equal(error.code, code);
    if (!strstr(error.message, expected))
        fail_msg("'%s' expected in: %s", expected, error.message);
}

static void refuses_unknown_repeated_and_encrypted_disks(void **state UNUSED)
{
    CLEANUP(domain_freep)
    struct domain *domain =
        parse_accepted("<domain><name>d</name><devices><disk><target dev='vda'/></disk>"
                       "<disk><target dev='vdb'/><encryption format='luks'/></disk></devices>"
                       "</domain>");
    const struct disk_rewrite rewrites[] = {
        {.target = "vda", .destination = usual},
        {.target = "vda", .destination = usual},
        {.target = "nosuch", .destination = usual},
        {.target = "vdb", .destination = usual},
    };
    expect_refusal(domain, rewrites, 2, ERROR_INPUT, "'vda' is to be rewritten twice");
    expect_refusal(domain, rewrites + 1, 2, ERROR_NOT_FOUND, "no disk 'nosuch'");
    expect_refusal(domain, rewrites + 3, 1, ERROR_UNSUPPORTED, "'vdb' is encrypted");
}

static void refuses_bad_destinations(void **state UNUSED)
{
    const struct network_host nowhere = {.port = (char *)"1"};
    const struct network_host control = {.name = (char *)"a\nb"};
    const struct {
        struct rbd_destination destination;
        const char *expected;
    } bad[] = {
        {{.pool = "p"}, "RBD pool or image name"},
        {{.image = "i"}, "RBD pool or image name"},
        {{.pool = "", .image = "i"}, "RBD pool or image name"},
        {{.pool = "p/q", .image = "i"}, "RBD pool or image name"},
        {{.pool = "p", .image = "i/j"}, "RBD pool or image name"},
        {{.pool = "p", .image = "i@s"}, "RBD pool or image name"},
        {{.pool = "p", .name_space = "n/m", .image = "i"}, "RBD pool or image name"},
        {{.pool = "p", .image = "i\x01"}, "RBD pool or image name"},
        {{.pool = "p", .image = "\xff"}, "RBD pool or image name"},
        {{.pool = "p", .image = "i", .user = "u"}, "user, secret"},
        {{.pool = "p", .image = "i", .user = "u", .secret_uuid = "a", .secret_usage = "b"},
         "user, secret"},
        {{.pool = "p", .image = "i", .user = "u\n", .secret_uuid = "a"}, "user, secret"},
        {{.pool = "p", .image = "i", .config_file = ""}, "configuration file"},
        {{.pool = "p", .image = "i", .hosts = &nowhere, .host_count = 1}, "monitor address"},
        {{.pool = "p", .image = "i", .hosts = &control, .host_count = 1}, "monitor address"},
    };
    CLEANUP(domain_freep)
    struct domain *domain = parse_accepted(
        "<domain><name>d</name><devices><disk><target dev='vda'/></disk></devices></domain>");
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        const struct disk_rewrite rewrite = {.target = "vda", .destination = bad[i].destination};
        expect_refusal(domain, &rewrite, 1, ERROR_INPUT, bad[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites_to_the_byte),
        cmocka_unit_test(rewrites_without_white_space_around),
        cmocka_unit_test(passes_through_without_rewrites),
        cmocka_unit_test(rewrites_several_disks),
        cmocka_unit_test(escapes_hostile_names),
        cmocka_unit_test(refuses_unknown_repeated_and_encrypted_disks),
        cmocka_unit_test(refuses_bad_destinations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
