/* Round trip through libvirt itself: a domain is defined in libvirt's test driver (no daemon, all
 * in this process), dumped, rewritten by us, defined again and dumped again. The second dump has to
 * be what we wrote, to the byte: then quoting, order and indentation are libvirt's own.
 *
 * The shapes are the fuzzer's corpus, which libvirt does not accept as a whole; what it does accept
 * must be enough to mean something. */
#include "domain_fixture.h"

#include <dirent.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#define CORPUS SOURCE_DIR "/tests/fuzz/domain/corpus"
#define ENOUGH 15

static void keep_quiet(void *data UNUSED, virErrorPtr error UNUSED)
{
}

static void close_connection(virConnectPtr *connection)
{
    if (*connection)
        virConnectClose(*connection);
}

static char *read_whole(const char *path)
{
    AUTO_FCLOSE FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    AUTO_BUFFER struct buffer text = {0};
    char part[4096];
    size_t length = 0;
    while ((length = fread(part, 1, sizeof(part), file)) > 0)
        buffer_add_slice(&text, part, length);
    return buffer_take(&text);
}

/* The test driver takes type='test' only. */
static char *for_test_driver(const char *xml)
{
    const char *root = strstr(xml, "<domain");
    const char *type = root ? strstr(root, "type=") : NULL;
    const char *value_end = type ? strchr(type + 6, type[5]) : NULL;
    if (!value_end)
        return NULL;
    return text_format("%.*stype='test'%s", (int)(type - xml), xml, value_end + 1);
}

/* Defined and dumped; NULL when libvirt refuses it. */
static char *defined_and_dumped(virConnectPtr connection, const char *xml)
{
    virDomainPtr domain = virDomainDefineXML(connection, xml);
    if (!domain)
        return NULL;
    char *dump = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    virDomainUndefine(domain);
    virDomainFree(domain);
    return dump;
}

static const struct network_host monitors[] = {
    {.name = (char *)"ceph-1.example", .port = (char *)"6789"},
    {.name = (char *)"fd00::2"},
};
static const struct iotune limits = {.total_bytes_sec = 1 << 20, .total_iops_sec = 500};

/* Two sets of settings, so that each attribute is once inserted and once left alone. */
static const struct disk_rewrite settings[] = {
    {.destination = {.hosts = monitors,
                     .host_count = 2,
                     .config_file = "/etc/ceph/a&b.conf",
                     .user = "o'neill",
                     .secret_uuid = "2d51d16c-b0ef-4a9f-8938-de099f017a62",
                     .pool = "fast",
                     .image = "image"},
     .cache = "none",
     .io = "threads",
     .discard = "unmap",
     .detect_zeroes = "unmap",
     .iotune = &limits},
    {.destination = {.hosts = monitors,
                     .host_count = 1,
                     .user = "libvirt",
                     .secret_usage = "client <libvirt>",
                     .pool = "fast",
                     .name_space = "tenant",
                     .image = "image"}},
    {.destination = {.config_file = "/c", .pool = "fast", .image = "image"}, .discard = "ignore"},
};

/* Rewrites every disk that may be; returns how many. */
static size_t rewrite_disks(const char *xml, const struct disk_rewrite *setting, char **rewritten)
{
    AUTO_ERROR struct error error = {0};
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    AUTO_FREE struct disk_rewrite *rewrites =
        memory_new(domain->disks.count, sizeof(struct disk_rewrite));
    size_t count = 0;
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        if (disk->device != DEVICE_DISK || disk->encrypted)
            continue;
        rewrites[count] = *setting;
        rewrites[count++].target = disk->target;
    }
    if (domain_rewrite(domain, rewrites, count, rewritten, &error) < 0)
        fail_msg("%s", error.message);
    return count;
}

static size_t check_file(virConnectPtr connection, const char *path)
{
    AUTO_FREE char *text = read_whole(path);
    assert_non_null(text);
    AUTO_FREE char *xml = for_test_driver(text);
    AUTO_FREE char *dump = xml ? defined_and_dumped(connection, xml) : NULL;
    if (!dump)
        return 0;
    size_t checked = 0;
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        AUTO_FREE char *rewritten = NULL;
        size_t disks = rewrite_disks(dump, &settings[i], &rewritten);
        AUTO_FREE char *back = defined_and_dumped(connection, rewritten);
        if (!back)
            fail_msg("%s: libvirt refuses what was written: %s\n%s", path, virGetLastErrorMessage(),
                     rewritten);
        AUTO_FREE char *diff = text_diff("written", rewritten, "libvirt", back);
        if (*diff)
            fail_msg("%s:\n%s", path, diff);
        checked += disks > 0;
    }
    return checked > 0;
}

/* ---- What libvirt makes of our metadata and of other networks ---- */

static const char two_networks[] =
    "<domain type='test'><name>d</name><memory>1024</memory><os><type>hvm</type></os><devices>"
    "<disk type='file'><source file='/a'/><target dev='vda' bus='virtio'/></disk>"
    "<disk type='file'><source file='/b'/><target dev='vdb' bus='virtio'/></disk>"
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan' "
    "portgroup='lan'/></interface>"
    "<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/>"
    "</interface></devices></domain>";

static virConnectPtr test_driver(void)
{
    virSetErrorFunc(NULL, keep_quiet);
    virConnectPtr connection = virConnectOpen("test:///default");
    if (!connection) {
        print_message("skipped: this libvirt has no test driver (%s)\n", virGetLastErrorMessage());
        skip();
    }
    return connection;
}

static void set_metadata(virDomainPtr domain, const char *xml, const char *key, const char *uri)
{
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, key, uri,
                             VIR_DOMAIN_AFFECT_LIVE) < 0)
        fail_msg("%s", virGetLastErrorMessage());
}

static struct domain *read_live(virDomainPtr domain)
{
    AUTO_FREE char *xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_SECURE);
    assert_non_null(xml);
    return parse_accepted(xml);
}

static void libvirt_keeps_sizes(void **state UNUSED)
{
    CLEANUP(close_connection) virConnectPtr connection = test_driver();
    virDomainPtr guest = virDomainCreateXML(connection, two_networks, 0);
    assert_non_null(guest);
    const struct disk_capacity sizes[] = {{"vda", 1 << 30, true, NULL}, {"vdb", 512, false, NULL}};
    AUTO_FREE char *first = domain_sizes_xml(sizes, 2);
    AUTO_FREE char *second = domain_sizes_xml(sizes, 1);
    set_metadata(guest, first, "pivot-disks", DOMAIN_SIZES_NAMESPACE);
    set_metadata(guest, "<tier>gold</tier>", "pivot", DOMAIN_METADATA_NAMESPACE);
    CLEANUP(domain_freep) struct domain *both = read_live(guest);
    assert_true(both->live);
    assert_int_equal(domain_disk(both, "vda")->capacity, 1 << 30);
    assert_int_equal(domain_disk(both, "vdb")->capacity, 512);
    assert_true(domain_disk(both, "vda")->local);
    assert_false(domain_disk(both, "vdb")->local);
    assert_string_equal(both->tier_label, "gold");
    /* Set again, it is replaced as a whole; the tier stays. */
    set_metadata(guest, second, "pivot-disks", DOMAIN_SIZES_NAMESPACE);
    CLEANUP(domain_freep) struct domain *one = read_live(guest);
    assert_int_equal(domain_disk(one, "vda")->capacity, 1 << 30);
    assert_int_equal(domain_disk(one, "vdb")->capacity, 0);
    assert_string_equal(one->tier_label, "gold");
    virDomainDestroy(guest);
    virDomainFree(guest);
}

static void libvirt_prints_renamed_networks(void **state UNUSED)
{
    CLEANUP(close_connection) virConnectPtr connection = test_driver();
    static const struct network_rename renames[] = {
        {NULL, "br0", "br \"one\""},
        {"52:54:00:00:00:01", "lan", "prod & 'test' <\xc3\xa4>"},
    };
    AUTO_FREE char *dump = defined_and_dumped(connection, two_networks);
    assert_non_null(dump);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(dump);
    AUTO_ERROR struct error error = {0};
    AUTO_FREE char *renamed = NULL;
    if (domain_rename_networks(domain, renames, 2, &renamed, &error) < 0)
        fail_msg("%s", error.message);
    assert_string_not_equal(renamed, dump);
    AUTO_FREE char *back = defined_and_dumped(connection, renamed);
    AUTO_FREE char *diff = text_diff("written", renamed, "libvirt", back ? back : "");
    if (*diff)
        fail_msg("%s", diff);
}

static void libvirt_prints_what_was_written(void **state UNUSED)
{
    CLEANUP(close_connection) virConnectPtr connection = test_driver();
    DIR *corpus = opendir(CORPUS);
    assert_non_null(corpus);
    size_t checked = 0;
    for (const struct dirent *entry = readdir(corpus); entry; entry = readdir(corpus)) {
        AUTO_FREE char *path = text_format("%s/%s", CORPUS, entry->d_name);
        if (entry->d_name[0] != '.')
            checked += check_file(connection, path);
    }
    closedir(corpus);
    print_message("%zu domains made the round trip\n", checked);
    assert_true(checked >= ENOUGH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(libvirt_prints_what_was_written),
        cmocka_unit_test(libvirt_keeps_sizes),
        cmocka_unit_test(libvirt_prints_renamed_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
