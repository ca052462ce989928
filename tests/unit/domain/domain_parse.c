#include "domain_fixture.h"

#include <fcntl.h>

/* ---- Everything that is read ---- */

static const char live_xml[] =
    "<domain type='kvm' id='3' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
    "  <name>db &amp; web</name>\n"
    "  <uuid>2D51D16C-b0ef-4a9f-8938-de099f017a62</uuid>\n"
    "  <metadata>\n"
    "    <m:info xmlns:m='urn:x'><m:disk><target dev='zz'/></m:disk></m:info>\n"
    "    <p:tier xmlns:p='urn:virt-pivot:1'>\n      gold </p:tier>\n"
    "  </metadata>\n"
    "  <os>\n    <nvram template='/t'>/var/lib/nvram/db.fd</nvram>\n  </os>\n"
    "  <devices>\n"
    "    <disk type='file' device='disk' snapshot='internal'>\n"
    "      <driver name='qemu' type='qcow2' cache='none' io='native' discard='unmap'"
    " detect_zeroes='on'/>\n"
    "      <source file='/img/a&apos;b.qcow2' index='3'>\n"
    "        <slices><slice type='storage' offset='0' size='4096'/></slices>\n"
    "      </source>\n"
    "      <backingStore type='file' index='4'>\n"
    "        <format type='qcow2'/>\n"
    "        <source file='/img/base2'/>\n"
    "        <backingStore type='file' index='5'>\n"
    "          <format type='raw'/><source file='/img/base1'/><backingStore/>\n"
    "        </backingStore>\n"
    "      </backingStore>\n"
    "      <mirror type='network' job='copy' ready='yes'>\n"
    "        <format type='raw'/>\n"
    "        <source protocol='rbd' name='fast/db-vda' index='6'>\n"
    "          <host name='10.0.0.1' port='6789'/>\n"
    "          <auth username='libvirt'><secret type='ceph' uuid='u-1'/></auth>\n"
    "        </source>\n"
    "      </mirror>\n"
    "      <target dev='vda' bus='virtio'/>\n"
    "      <iotune><total_iops_sec>100</total_iops_sec></iotune>\n"
    "      <serial>S-1</serial>\n"
    "      <alias name='virtio-disk0'/>\n"
    "    </disk>\n"
    "    <disk type='file' device='cdrom'>\n"
    "      <target dev='sda' bus='sata'/>\n      <readonly/>\n"
    "    </disk>\n"
    "    <disk type='block' device='lun'>\n"
    "      <source dev='/dev/sdb'/>\n      <target dev='sdb' bus='scsi' removable='on'/>\n"
    "      <iotune/>\n      <shareable/>\n      <transient/>\n"
    "    </disk>\n"
    "    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>\n"
    "  </devices>\n"
    "  <qemu:commandline><qemu:arg value='-foo'/></qemu:commandline>\n"
    "</domain>\n";

static void reads_the_domain(void **state UNUSED)
{
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(live_xml);
    assert_string_equal(domain->xml, live_xml);
    assert_int_equal(domain->xml_length, strlen(live_xml));
    assert_string_equal(domain->name, "db & web");
    assert_string_equal(domain->uuid, "2d51d16c-b0ef-4a9f-8938-de099f017a62");
    assert_string_equal(domain->type, "kvm");
    assert_string_equal(domain->tier_label, "gold");
    assert_string_equal(domain->nvram, "/var/lib/nvram/db.fd");
    assert_true(domain->has_tpm_emulator);
    assert_false(domain->tpm_persistent);
    assert_int_equal(domain->disks.count, 3);
    assert_ptr_equal(domain_disk(domain, "sdb"), &domain->disks.items[2]);
    assert_null(domain_disk(domain, "zz"));
}

static void reads_a_live_disk(void **state UNUSED)
{
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(live_xml);
    const struct disk *disk = domain_disk(domain, "vda");
    assert_string_equal(disk->bus, "virtio");
    assert_string_equal(disk->type_name, "file");
    assert_string_equal(disk->device_name, "disk");
    assert_int_equal(disk->device, DEVICE_DISK);
    assert_int_equal(disk->source.type, SOURCE_FILE);
    assert_string_equal(disk->source.path, "/img/a'b.qcow2");
    assert_string_equal(disk->format, "qcow2");
    assert_string_equal(disk->cache, "none");
    assert_string_equal(disk->io, "native");
    assert_string_equal(disk->discard, "unmap");
    assert_string_equal(disk->detect_zeroes, "on");
    assert_string_equal(disk->serial, "S-1");
    assert_string_equal(disk->alias, "virtio-disk0");
    assert_int_equal(disk->backing_depth, 2);
    assert_true(disk->has_slices);
    assert_true(disk->has_iotune);
    assert_string_equal(disk->iotune_xml, "<iotune><total_iops_sec>100</total_iops_sec></iotune>");
    assert_false(disk->readonly || disk->shareable || disk->transient || disk->encrypted ||
                 disk->removable);
    assert_true(disk->has_mirror);
    assert_true(disk->mirror_ready);
    assert_string_equal(disk->mirror_ready_text, "yes");
    assert_string_equal(disk->mirror_source.name, "fast/db-vda");
    assert_string_equal(disk->mirror_source.auth_user, "libvirt");
    assert_string_equal(disk->mirror_source.secret_uuid, "u-1");
    assert_string_equal(disk->mirror_source.hosts.items[0].port, "6789");
}

static void reads_flags(void **state UNUSED)
{
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(live_xml);
    const struct disk *cdrom = domain_disk(domain, "sda");
    assert_int_equal(cdrom->device, DEVICE_CDROM);
    assert_int_equal(cdrom->source.type, SOURCE_NONE);
    assert_true(cdrom->readonly);
    assert_null(cdrom->format);
    assert_null(cdrom->alias);
    assert_false(cdrom->has_mirror);
    assert_int_equal(cdrom->mirror_source.type, SOURCE_NONE);
    const struct disk *lun = domain_disk(domain, "sdb");
    assert_int_equal(lun->device, DEVICE_LUN);
    assert_true(lun->shareable && lun->transient && lun->removable);
    assert_false(lun->has_iotune);
    assert_int_equal(lun->source.type, SOURCE_BLOCK);
    assert_string_equal(lun->source.path, "/dev/sdb");
}

/* ---- Sources ---- */

static void reads_every_kind_of_source(void **state UNUSED)
{
    static const struct {
        const char *disk;
        enum source_type type;
        const char *described;
    } cases[] = {
        {"<disk><source file='/a'/>%s</disk>", SOURCE_FILE, "/a"},
        {"<disk type='file'><source file=''/>%s</disk>", SOURCE_NONE, "no source"},
        {"<disk type='file'><source startupPolicy='optional'/>%s</disk>", SOURCE_NONE, "no source"},
        {"<disk type='network'>%s</disk>", SOURCE_NONE, "no source"},
        {"<disk type='block'><source dev='/dev/x'/>%s</disk>", SOURCE_BLOCK, "/dev/x"},
        {"<disk type='volume'><source pool='p' volume='v'/>%s</disk>", SOURCE_VOLUME, "volume p/v"},
        {"<disk type='dir'><source dir='/d'/>%s</disk>", SOURCE_OTHER, "/d"},
        {"<disk type='vhostuser'><source type='unix' path='/s'/>%s</disk>", SOURCE_VHOST_USER,
         "/s"},
        {"<disk type='nvme'><source type='pci' managed='yes' namespace='1'/>%s</disk>",
         SOURCE_OTHER, "unknown source"},
        {"<disk type='network'><source protocol='rbd' name='p/n/i'><snapshot name='s'/></source>"
         "%s</disk>",
         SOURCE_NETWORK, "rbd:p/n/i@s"},
        {"<disk type='network'><source protocol='nbd' name='e'><host name='::1' port='1'/>"
         "</source>%s</disk>",
         SOURCE_NETWORK, "nbd://[::1]:1/e"},
        {"<disk type='network'><source protocol='nbd'><host transport='unix' socket='/n'/>"
         "</source>%s</disk>",
         SOURCE_NETWORK, "nbd+unix:///?socket=/n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *disk = text_format(cases[i].disk, "<target dev='vda' bus='virtio'/>");
        AUTO_FREE char *xml = domain_with(disk);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        const struct disk_source *source = &domain->disks.items[0].source;
        AUTO_FREE char *described = disk_source_describe(source);
        assert_string_equal(described, cases[i].described);
        assert_int_equal(source->type, cases[i].type);
    }
}

static void finds_auth_in_either_place(void **state UNUSED)
{
    static const char *const disks[] = {
        "<disk type='network'><source protocol='rbd' name='p/i'><auth username='u'>"
        "<secret type='ceph' usage='x y'/></auth></source><target dev='vda'/></disk>",
        "<disk type='network'><auth username='u'><secret type='ceph' usage='x y'/></auth>"
        "<source protocol='rbd' name='p/i'/><target dev='vda'/></disk>",
        /* in both: the source's own counts */
        "<disk type='network'><auth username='v'><secret type='ceph' uuid='z'/></auth>"
        "<source protocol='rbd' name='p/i'><auth username='u'><secret usage='x y'/></auth>"
        "</source><target dev='vda'/></disk>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(disks); i++) {
        AUTO_FREE char *xml = domain_with(disks[i]);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        const struct disk *disk = &domain->disks.items[0];
        assert_string_equal(disk->source.auth_user, "u");
        assert_string_equal(disk->source.secret_usage, "x y");
        assert_null(disk->source.secret_uuid);
        assert_null(disk->bus);
    }
}

static void knows_iothreads(void **state UNUSED)
{
    static const char controllers[] =
        "<controller type='scsi' index='0'><driver queues='2'/></controller>"
        "<controller type='scsi' index='1'><driver iothread='1'/></controller>"
        "<controller type='sata' index='2'/>";
    static const struct {
        const char *children;
        bool has_iothread;
    } cases[] = {
        {"<driver name='qemu'/><target dev='a' bus='virtio'/>", false},
        {"<driver iothread='1'/><target dev='a' bus='virtio'/>", true},
        {"<driver><iothreads><iothread id='1'/></iothreads></driver><target dev='a'/>", true},
        {"<target dev='a' bus='scsi'/><address type='drive' controller='0'/>", false},
        {"<target dev='a' bus='scsi'/><address type='drive' controller='1'/>", true},
        {"<target dev='a' bus='sata'/><address type='drive' controller='1'/>", false},
        {"<target dev='a' bus='scsi'/><address type='drive' controller='2'/>", false},
        {"<target dev='a' bus='scsi'/>", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *devices = text_format("<disk>%s</disk>%s", cases[i].children, controllers);
        AUTO_FREE char *xml = domain_with(devices);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        if (domain->disks.items[0].has_iothread != cases[i].has_iothread)
            fail_msg("%s", cases[i].children);
    }
}

static void knows_limits_of_the_disk(void **state UNUSED)
{
    static const struct {
        const char *children;
        bool has_iotune;
    } cases[] = {
        {"", false},
        {"<iotune/>", false},
        {"<iotune> <!-- <total_iops_sec> --></iotune>", false},
        {"<iotune><total_iops_sec>1</total_iops_sec></iotune>", true},
        {"<throttlefilters><throttlefilter group='g'/></throttlefilters>", true},
        {"<throttlefilters/>", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *disk = text_format("<disk><target dev='a'/>%s</disk>", cases[i].children);
        AUTO_FREE char *xml = domain_with(disk);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_int_equal(domain->disks.items[0].has_iotune, cases[i].has_iotune);
    }
}

static void finds_encryption_in_either_place(void **state UNUSED)
{
    static const struct {
        const char *disk;
        bool encrypted;
    } cases[] = {
        {"<disk><source file='/a'><encryption format='luks'/></source><target dev='a'/></disk>",
         true},
        {"<disk><source file='/a'/><target dev='a'/><encryption format='luks'/></disk>", true},
        {"<disk><source file='/a'/><target dev='a'/><x:encryption xmlns:x='u'/></disk>", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = domain_with(cases[i].disk);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_int_equal(domain->disks.items[0].encrypted, cases[i].encrypted);
    }
}

static void reads_a_mirror_that_is_not_ready(void **state UNUSED)
{
    static const struct {
        const char *mirror, *ready_text, *path;
        bool ready;
    } cases[] = {
        {"<mirror type='file' job='copy'><source file='/c'/></mirror>", NULL, "/c", false},
        {"<mirror type='file' job='copy' ready='abort'><source file='/c'/></mirror>", "abort", "/c",
         false},
        {"<mirror type='block' job='copy' ready='pivot'><source dev='/c'/></mirror>", "pivot", "/c",
         false},
        {"<mirror file='/c' format='raw' ready='yes'/>", "yes", "/c", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *disk =
            text_format("<disk><source file='/a'/>%s<target dev='a'/></disk>", cases[i].mirror);
        AUTO_FREE char *xml = domain_with(disk);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        const struct disk *read = &domain->disks.items[0];
        assert_true(read->has_mirror);
        assert_int_equal(read->mirror_ready, cases[i].ready);
        assert_true(text_equal(read->mirror_ready_text, cases[i].ready_text));
        assert_string_equal(read->mirror_source.path, cases[i].path);
    }
}

/* ---- Labels, firmware, TPMs, identity ---- */

static void finds_the_tier_label(void **state UNUSED)
{
    static const struct {
        const char *metadata, *label;
    } cases[] = {
        {"<metadata><tier xmlns='urn:virt-pivot:1'>gold</tier></metadata>", "gold"},
        {"<metadata><a><b xmlns:p='urn:virt-pivot:1'><p:tier>\n x y \t</p:tier></b></a></metadata>",
         "x y"},
        {"<metadata><tier xmlns='urn:virt-pivot:1'><![CDATA[a<b]]></tier></metadata>", "a<b"},
        {"<metadata><tier xmlns='urn:virt-pivot:1'> </tier></metadata>", NULL},
        {"<metadata><tier>gold</tier></metadata>", NULL},
        {"<metadata><tier xmlns='urn:virt-pivot:2'>gold</tier></metadata>", NULL},
        {"<metadata><!-- <tier xmlns='urn:virt-pivot:1'>gold</tier> --></metadata>", NULL},
        {"<tier xmlns='urn:virt-pivot:1'>gold</tier>", NULL},
        {"<x:metadata xmlns:x='urn:y'><tier xmlns='urn:virt-pivot:1'>g</tier></x:metadata>", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = text_format("<domain><name>d</name>%s</domain>", cases[i].metadata);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        if (!text_equal(domain->tier_label, cases[i].label))
            fail_msg("%s gives %s", cases[i].metadata, domain->tier_label);
    }
}

static void finds_the_nvram(void **state UNUSED)
{
    static const struct {
        const char *os, *path;
    } cases[] = {
        {"<os><nvram>/n</nvram></os>", "/n"},
        {"<os><nvram type='file' template='/t'><source file='/n'/></nvram></os>", "/n"},
        {"<os><nvram type='block'><source dev='/dev/n'/></nvram></os>", "/dev/n"},
        {"<os><nvram template='/t'/></os>", NULL},
        {"<os/>", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = text_format("<domain><name>d</name>%s</domain>", cases[i].os);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_true(text_equal(domain->nvram, cases[i].path));
    }
}

static void knows_persistent_tpms(void **state UNUSED)
{
#define EMULATED "<tpm><backend type='emulator'/></tpm>"
#define PERSISTENT "<tpm><backend type='emulator' persistent_state='yes'/></tpm>"
#define PASSED_THROUGH "<tpm><backend type='passthrough'/></tpm>"
    static const struct {
        const char *devices;
        bool emulated, persistent;
    } cases[] = {
        {"", false, false},
        {PASSED_THROUGH, false, false},
        {EMULATED, true, false},
        {PERSISTENT, true, true},
        {PERSISTENT PASSED_THROUGH, true, true},
        {PERSISTENT EMULATED, true, false},
        {EMULATED PERSISTENT, true, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *xml = domain_with(cases[i].devices);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_int_equal(domain->has_tpm_emulator, cases[i].emulated);
        assert_int_equal(domain->tpm_persistent, cases[i].persistent);
    }
}

static void brings_uuids_into_one_form(void **state UNUSED)
{
    static const char *const forms[] = {
        "2d51d16c-b0ef-4a9f-8938-de099f017a62",
        " 2D51D16CB0EF4A9F8938DE099F017A62\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        AUTO_FREE char *xml =
            text_format("<domain><uuid>%s</uuid><name>d</name></domain>", forms[i]);
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
        assert_string_equal(domain->uuid, "2d51d16c-b0ef-4a9f-8938-de099f017a62");
        assert_null(domain->type);
    }
}

static void leaves_other_namespaces_alone(void **state UNUSED)
{
    CLEANUP(domain_freep)
    struct domain *domain = parse_accepted(
        "<domain xmlns:o='urn:o'><name>d</name><o:name>e</o:name><devices>"
        "<o:disk><target dev='vda'/></o:disk><disk xmlns='urn:p'><target dev='vdb'/></disk>"
        "<disk><o:source file='/no'/><source file='/yes' o:file='/no'/><o:readonly/>"
        "<target dev='vdc'/></disk></devices></domain>");
    assert_int_equal(domain->disks.count, 1);
    assert_string_equal(domain->disks.items[0].target, "vdc");
    assert_string_equal(domain->disks.items[0].source.path, "/yes");
    assert_false(domain->disks.items[0].readonly);
}

static void accepts_what_libvirt_accepts(void **state UNUSED)
{
    static const char *const accepted[] = {
        "<?xml version='1.0' encoding='UTF-8'?>\n<domain><name>d</name></domain>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><domain><name>d</name></domain>",
        "\xef\xbb\xbf<domain><name>d</name></domain>",
        "<!-- <a> -->\n<?pi <b?><domain><name>d</name></domain><!-- end -->",
        "<domain><name>d</name><q:unbound/></domain>",
        "<domain><name>\xc3\xa4</name><!-- a=b < c > d --></domain>",
        "<domain ><name\n>d</name\t></domain\n>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        CLEANUP(domain_freep) struct domain *domain = parse_accepted(accepted[i]);
        assert_non_null(domain->name);
    }
}

/* ---- Refusals ---- */

static void refuses_with_a_place(void **state UNUSED)
{
    static const struct {
        const char *xml, *expected;
    } cases[] = {
        {"", "the document is empty"},
        {" \n\t", "the document is empty"},
        {"domain", "1:1: not XML"},
        {"<domain>\n<name>d</name>\n</domian>", "3:"},
        {"<domain><name>d</name>", "1:"},
        {"<domain><name>d</name></domain><domain/>", "1:"},
        {"<domain><name a='1' a='2'>d</name></domain>", "redefined"},
        {"<domain><name>\xff</name></domain>", "not valid UTF-8"},
        {"<domain><name>a&#1;b</name></domain>", "1:"},
        {"<domain><name>&nosuch;</name></domain>", "nosuch"},
        {"<devices/>", "1:1: the root element is <devices>, not <domain>"},
        {"<domain xmlns='urn:x'><name>d</name></domain>", "not <domain>"},
        {"<d:domain xmlns:d='urn:x'><name>d</name></d:domain>", "not <domain>"},
        {"\n <domain/>", "2:2: a domain without <name>"},
        {"<domain><name/></domain>", "a domain without <name>"},
        {"<domain><name>d</name><uuid>12</uuid></domain>", "1:23: '12' is not a UUID"},
        {"<domain><name>d</name><uuid>2d51d16c-b0ef-4a9f-8938-de099f017a62f</uuid></domain>",
         "is not a UUID"},
        {"<domain><name>d</name>\n<devices>\n  <disk/></devices></domain>",
         "3:3: a disk without <target dev=…>"},
        {"<domain><name>d</name><devices><disk><target dev=''/></disk></devices></domain>",
         "a disk without <target dev=…>"},
        {"<domain><name>d</name><devices>\n<disk><target dev='a'/></disk>\n"
         "<disk><target dev='a'/></disk></devices></domain>",
         "3:1: a second disk with the target 'a'"},
        {"<domain><name>d</name><devices><disk device='tape'><target dev='a'/></disk></devices>"
         "</domain>",
         "the unknown device 'tape'"},
        {"<domain><name>d</name><devices><disk><source file='/a'/>\n<source file='/b'/>"
         "<target dev='a'/></disk></devices></domain>",
         "2:1: a disk with a second <source>"},
        {"<domain><name>d</name><devices><disk><driver/><driver/><target dev='a'/></disk>"
         "</devices></domain>",
         "a disk with a second <driver>"},
        {"<domain><name>d</name><devices><disk><target dev='a'/><target dev='b'/></disk>"
         "</devices></domain>",
         "a disk with a second <target>"},
        {"<domain><name>d</name><devices/><devices/></domain>", "a second <devices>"},
        {"<!DOCTYPE domain>\n<domain><name>d</name></domain>", "1:1: a DOCTYPE is not accepted"},
        {"<!-- x -->\n<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>\n"
         "<domain><name>&b;</name></domain>",
         "2:1: a DOCTYPE is not accepted"},
        {"<!DOCTYPE d SYSTEM 'file:///etc/passwd'><domain><name>d</name></domain>",
         "a DOCTYPE is not accepted"},
        {"<?xml version='1.0' encoding='ISO-8859-1'?><domain><name>d</name></domain>",
         "1:31: the encoding is not UTF-8"},
        {"<?xml version='1.0' encoding='UTF-7'?><domain><name>d</name></domain>",
         "the encoding is not UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        parse_refused(cases[i].xml, strlen(cases[i].xml), cases[i].expected);
}

static void refuses_other_encodings(void **state UNUSED)
{
    static const char nul[] = "<domain><name>d</name>\n\0</domain>";
    parse_refused(nul, sizeof(nul) - 1, "2:1: a NUL character");
    static const char utf16[] = "\xff\xfe<\0d\0/\0>\0";
    parse_refused(utf16, sizeof(utf16) - 1, "a NUL character");
    parse_refused("\x4c\x6f\xa7\x94", 4, "not valid UTF-8");
}

/* opening repeated, then closing repeated. */
static char *nested(size_t depth)
{
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml, "<domain><name>d</name>");
    for (size_t i = 1; i < depth; i++)
        buffer_add(&xml, "<a>");
    for (size_t i = 1; i < depth; i++)
        buffer_add(&xml, "</a>");
    buffer_add(&xml, "</domain>");
    return buffer_take(&xml);
}

static char *with_repeated(const char *before, const char *repeated, size_t count,
                           const char *after)
{
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml, before);
    for (size_t i = 0; i < count; i++)
        buffer_format(&xml, repeated, i);
    buffer_add(&xml, after);
    return buffer_take(&xml);
}

static void bounds_depth(void **state UNUSED)
{
    AUTO_FREE char *deepest = nested(250);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(deepest);
    assert_string_equal(domain->name, "d");
    AUTO_FREE char *too_deep = nested(251);
    parse_refused(too_deep, strlen(too_deep), "nested too deeply");
    AUTO_FREE char *hostile = nested(100000);
    parse_refused(hostile, strlen(hostile), "nested too deeply");
}

static void bounds_namespaces(void **state UNUSED)
{
    AUTO_FREE char *one_after_another =
        with_repeated("<domain><name>d</name>",
                      "<a:x xmlns:a='u' xmlns='' xmlns:b='v%zu'><a:y/></a:x>", 2000, "</domain>");
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(one_after_another);
    assert_string_equal(domain->name, "d");
    AUTO_FREE char *two_each =
        with_repeated("<domain><name>d</name>", "<a xmlns:n%1$zu='u' xmlns:m%1$zu='v'>", 129, "");
    parse_refused(two_each, strlen(two_each), "too many namespaces");
}

static void bounds_counts(void **state UNUSED)
{
    AUTO_FREE char *elements = with_repeated("<domain><name>d</name>", "<a/>", 200000, "</domain>");
    parse_refused(elements, strlen(elements), "too many elements");
    AUTO_FREE char *attributes = with_repeated("<domain", " a%zu=''", 257, "/>");
    parse_refused(attributes, strlen(attributes), "too many attributes");
    AUTO_FREE char *disks =
        with_repeated("<domain><name>d</name><devices>", "<disk><target dev='d%zu'/></disk>", 4097,
                      "</devices></domain>");
    parse_refused(disks, strlen(disks), "more than 4096 disks");

    AUTO_FREE char *allowed =
        with_repeated("<domain><name>d</name><!-- ", "=", 5000, " --><x a='=='>=</x></domain>");
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(allowed);
    assert_string_equal(domain->name, "d");
}

/* A domain of exactly this size, filled up with comments. */
static char *domain_of_size(size_t size)
{
    static const char root[] = "<domain><name>d</name></domain>";
    AUTO_FREE char *filling = memory_new(65536 + 1, 1);
    memset(filling, 'x', 65536);
    AUTO_BUFFER struct buffer xml = {0};
    buffer_add(&xml, root);
    while (size - xml.length > 65536 + 14)
        buffer_format(&xml, "<!--%s-->", filling);
    buffer_format(&xml, "<!--%.*s-->", (int)(size - xml.length - 7), filling);
    return buffer_take(&xml);
}

static void bounds_size(void **state UNUSED)
{
    AUTO_FREE char *largest = domain_of_size(DOMAIN_XML_MAX_BYTES);
    assert_int_equal(strlen(largest), DOMAIN_XML_MAX_BYTES);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(largest);
    assert_string_equal(domain->name, "d");
    AUTO_FREE char *too_large = domain_of_size(DOMAIN_XML_MAX_BYTES + 1);
    parse_refused(too_large, strlen(too_large), "the limit is 16777216");
}

static void says_nothing_on_stderr(void **state UNUSED)
{
    FILE *caught = tmpfile();
    assert_non_null(caught);
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    dup2(fileno(caught), STDERR_FILENO);
    static const char *const bad[] = {
        "<domain><x:a/><name>&z;</name>",
        "<!DOCTYPE a [<!ENTITY % b SYSTEM 'c'> %b;]><a/>",
        "<domain xmlns='::'><name>",
        "<domain><?xml?></domain>",
        "<domain a=b>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        AUTO_ERROR struct error error = {0};
        struct domain *domain = NULL;
        if (domain_parse(bad[i], strlen(bad[i]), &domain, &error) == 0)
            domain_free(domain);
    }
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    fseek(caught, 0, SEEK_END);
    long length = ftell(caught);
    fclose(caught);
    assert_int_equal(length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_domain),
        cmocka_unit_test(reads_a_live_disk),
        cmocka_unit_test(reads_flags),
        cmocka_unit_test(reads_every_kind_of_source),
        cmocka_unit_test(finds_auth_in_either_place),
        cmocka_unit_test(knows_iothreads),
        cmocka_unit_test(knows_limits_of_the_disk),
        cmocka_unit_test(finds_encryption_in_either_place),
        cmocka_unit_test(reads_a_mirror_that_is_not_ready),
        cmocka_unit_test(finds_the_tier_label),
        cmocka_unit_test(finds_the_nvram),
        cmocka_unit_test(knows_persistent_tpms),
        cmocka_unit_test(brings_uuids_into_one_form),
        cmocka_unit_test(leaves_other_namespaces_alone),
        cmocka_unit_test(accepts_what_libvirt_accepts),
        cmocka_unit_test(refuses_with_a_place),
        cmocka_unit_test(refuses_other_encodings),
        cmocka_unit_test(bounds_depth),
        cmocka_unit_test(bounds_namespaces),
        cmocka_unit_test(bounds_counts),
        cmocka_unit_test(bounds_size),
        cmocka_unit_test(says_nothing_on_stderr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
