#include "domain_fixture.h"

/* A source from the <source> element's text. */
static struct disk_source source_from(const char *type, const char *source)
{
    AUTO_FREE char *disk =
        text_format("<disk type='%s'>%s<target dev='vda'/></disk>", type, source);
    AUTO_FREE char *xml = domain_with(disk);
    CLEANUP(domain_freep) struct domain *domain = parse_accepted(xml);
    struct disk_source copy;
    disk_source_copy(&copy, &domain->disks.items[0].source);
    return copy;
}

#define RBD(children) "<source protocol='rbd' name='p/i'>" children "</source>"
#define NBD(children) "<source protocol='nbd' name='e'>" children "</source>"

static void compares_sources(void **state UNUSED)
{
    static const struct {
        const char *type, *a, *b;
        bool same;
    } cases[] = {
        {"file", "<source file='/a'/>", "<source file='/a' index='1'/>", true},
        {"file", "<source file='/a'/>", "<source file='/b'/>", false},
        {"file", "<source file='/a'/>", "", false},
        {"file", "", "", true},
        {"block", "<source dev='/a'/>", "<source dev='/a'/>", true},
        {"volume", "<source pool='p' volume='v'/>", "<source pool='p' volume='v'/>", true},
        {"volume", "<source pool='p' volume='v'/>", "<source pool='q' volume='v'/>", false},
        {"nvme", "<source type='pci'/>", "<source type='pci'/>", false},
        {"network", RBD(""), RBD(""), true},
        {"network", RBD(""), NBD(""), false},
        {"network", RBD(""), "<source protocol='rbd' name='p/j'/>", false},
        {"network", RBD("<snapshot name='s'/>"), RBD(""), false},
        /* hosts: one in common is enough */
        {"network", RBD("<host name='a' port='1'/>"), RBD("<host name='a' port='1'/>"), true},
        {"network", RBD("<host name='a'/><host name='b'/>"), RBD("<host name='B'/>"), true},
        {"network", RBD("<host name='a'/>"), RBD("<host name='b'/>"), false},
        {"network", RBD("<host name='a'/>"), RBD(""), false},
        {"network", RBD("<host name='fd00::1'/>"), RBD("<host name='FD00:0::1'/>"), true},
        {"network", RBD("<host name='fd00::1'/>"), RBD("<host name='fd00::2'/>"), false},
        /* ports: the default one may be left out */
        {"network", RBD("<host name='a'/>"), RBD("<host name='a' port='6789'/>"), true},
        {"network", RBD("<host name='a' port='3300'/>"), RBD("<host name='a'/>"), true},
        {"network", RBD("<host name='a'/>"), RBD("<host name='a' port='13300'/>"), false},
        {"network", RBD("<host name='a' port='1'/>"), RBD("<host name='a' port='2'/>"), false},
        {"network", NBD("<host name='a'/>"), NBD("<host name='a' port='10809'/>"), true},
        {"network", NBD("<host name='a'/>"), NBD("<host name='a' port='6789'/>"), false},
        {"network", NBD("<host transport='unix' socket='/s'/>"),
         NBD("<host transport='unix' socket='/s'/>"), true},
        {"network", NBD("<host transport='unix' socket='/s'/>"), NBD("<host name='a'/>"), false},
        /* without hosts the configuration file tells the cluster */
        {"network", RBD("<config file='/x'/>"), RBD("<config file='/x'/>"), true},
        {"network", RBD("<config file='/x'/>"), RBD("<config file='/y'/>"), false},
        {"network", RBD("<config file='/etc/ceph/ceph.conf'/>"), RBD(""), true},
        {"network", RBD("<host name='a'/><config file='/x'/>"), RBD("<host name='a'/>"), true},
        /* auth does not count */
        {"network", RBD("<auth username='u'/>"), RBD("<auth username='v'/>"), true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(disk_source_clear) struct disk_source a = source_from(cases[i].type, cases[i].a);
        CLEANUP(disk_source_clear) struct disk_source b = source_from(cases[i].type, cases[i].b);
        if (disk_source_same(&a, &b) != cases[i].same || disk_source_same(&b, &a) != cases[i].same)
            fail_msg("%s and %s are %sthe same", cases[i].a, cases[i].b,
                     cases[i].same ? "not " : "");
    }
}

static void tells_types_apart(void **state UNUSED)
{
    CLEANUP(disk_source_clear) struct disk_source file = source_from("file", "<source file='/a'/>");
    CLEANUP(disk_source_clear)
    struct disk_source block = source_from("block", "<source dev='/a'/>");
    assert_false(disk_source_same(&file, &block));
}

static void copies_everything(void **state UNUSED)
{
    CLEANUP(disk_source_clear)
    struct disk_source source =
        source_from("network", RBD("<host name='a' port='1'/><host transport='unix' socket='/s'/>"
                                   "<snapshot name='s'/><config file='/c'/>"
                                   "<auth username='u'><secret type='ceph' uuid='i'/></auth>"));
    CLEANUP(disk_source_clear) struct disk_source copy = {0};
    disk_source_copy(&copy, &source);
    disk_source_clear(&source);
    assert_int_equal(copy.type, SOURCE_NETWORK);
    assert_string_equal(copy.protocol, "rbd");
    assert_string_equal(copy.name, "p/i");
    assert_string_equal(copy.snapshot, "s");
    assert_string_equal(copy.config_file, "/c");
    assert_string_equal(copy.auth_user, "u");
    assert_string_equal(copy.secret_uuid, "i");
    assert_int_equal(copy.hosts.count, 2);
    assert_string_equal(copy.hosts.items[0].name, "a");
    assert_string_equal(copy.hosts.items[0].port, "1");
    assert_string_equal(copy.hosts.items[1].socket, "/s");
    assert_int_equal(source.type, SOURCE_NONE);
    assert_null(source.name);
}

static void describes_sources(void **state UNUSED)
{
    static const struct {
        const char *type, *source, *described;
    } cases[] = {
        {"network", RBD("<host name='a'/>"), "rbd:p/i"},
        {"network", NBD("<host name='h' port='10809'/>"), "nbd://h:10809/e"},
        {"network", NBD("<host name='h'/>"), "nbd://h/e"},
        {"network", NBD("<host transport='unix' socket='/s'/>"), "nbd+unix:///e?socket=/s"},
        {"network",
         "<source protocol='iscsi' name='iqn.x:y/1'><host name='h' port='3260'/></source>",
         "iscsi://h:3260/iqn.x:y/1"},
        {"network", "<source protocol='https' name='/a'><host name='h'/></source>", "https://h/a"},
        {"file", "<source file='/a b'/>", "/a b"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(disk_source_clear)
        struct disk_source source = source_from(cases[i].type, cases[i].source);
        AUTO_FREE char *described = disk_source_describe(&source);
        assert_string_equal(described, cases[i].described);
    }
}

static void splits_rbd_names(void **state UNUSED)
{
    static const struct {
        const char *name;
        bool split;
        const char *pool, *name_space, *image;
    } cases[] = {
        {"pool/image", true, "pool", NULL, "image"},
        {"pool/space/image", true, "pool", "space", "image"},
        {"pool/space/a/b", true, "pool", "space", "a/b"},
        {"pool//image", true, "pool", NULL, "image"},
        {"pool/", true, "pool", NULL, ""},
        {"image", false, NULL, NULL, NULL},
        {"", false, NULL, NULL, NULL},
        {NULL, false, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *pool = NULL;
        AUTO_FREE char *name_space = NULL;
        AUTO_FREE char *image = NULL;
        assert_int_equal(rbd_name_split(cases[i].name, &pool, &name_space, &image), cases[i].split);
        assert_true(text_equal(pool, cases[i].pool));
        assert_true(text_equal(name_space, cases[i].name_space));
        assert_true(text_equal(image, cases[i].image));
    }
}

static void turns_a_destination_into_a_source(void **state UNUSED)
{
    const struct network_host hosts[] = {{.name = "m", .port = "6789"}};
    struct rbd_destination destination = {
        .hosts = hosts,
        .host_count = 1,
        .user = "u",
        .secret_usage = "x",
        .pool = "p",
        .image = "i",
    };
    CLEANUP(disk_source_clear) struct disk_source source = {0};
    rbd_destination_source(&destination, &source);
    assert_string_equal(source.name, "p/i");
    assert_string_equal(source.secret_usage, "x");
    assert_null(source.secret_uuid);
    CLEANUP(disk_source_clear)
    struct disk_source shown = source_from("network", RBD("<host name='M'/><host name='n'/>"));
    assert_true(disk_source_same(&source, &shown));

    destination.name_space = "n";
    CLEANUP(disk_source_clear) struct disk_source spaced = {0};
    rbd_destination_source(&destination, &spaced);
    assert_string_equal(spaced.name, "p/n/i");
    assert_false(disk_source_same(&spaced, &shown));
}

static void renders_a_block_copy_destination(void **state UNUSED)
{
    const struct network_host hosts[] = {{.name = "m&m", .port = "6789"}, {.socket = "/s"}};
    const struct rbd_destination destination = {
        .hosts = hosts,
        .host_count = 2,
        .config_file = "/c",
        .user = "o'neill",
        .secret_uuid = "u-1",
        .pool = "p",
        .name_space = "n",
        .image = "<i>",
    };
    AUTO_FREE char *xml = rbd_destination_disk_xml(&destination, "vda", "virtio");
    assert_string_equal(xml, "<disk type='network' device='disk'>\n"
                             "  <driver name='qemu' type='raw'/>\n"
                             "  <source protocol='rbd' name='p/n/&lt;i&gt;'>\n"
                             "    <host name='m&amp;m' port='6789'/>\n"
                             "    <host transport='unix' socket='/s'/>\n"
                             "    <config file='/c'/>\n"
                             "    <auth username='o&apos;neill'>\n"
                             "      <secret type='ceph' uuid='u-1'/>\n"
                             "    </auth>\n"
                             "  </source>\n"
                             "  <target dev='vda' bus='virtio'/>\n"
                             "</disk>\n");
}

/* There and back again: what a source is turned into names the same image, in the same words. */
static void turns_a_source_into_a_destination(void **state UNUSED)
{
    static const struct {
        const char *source, *pool, *name_space, *image;
    } cases[] = {
        {"<source protocol='rbd' name='p/i'/>", "p", NULL, "i"},
        {"<source protocol='rbd' name='p/n/i'><host name='a' port='1'/><host name='b'/>"
         "<auth username='u'><secret type='ceph' uuid='x'/></auth></source>",
         "p", "n", "i"},
        {"<source protocol='rbd' name='p//i'><config file='/c'/><auth username='u'>"
         "<secret type='ceph' usage='x'/></auth></source>",
         "p", NULL, "i"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(disk_source_clear)
        struct disk_source source = source_from("network", cases[i].source);
        CLEANUP(rbd_parts_clear) struct rbd_parts parts;
        assert_true(rbd_destination_of_source(&source, &parts));
        const struct rbd_destination *destination = &parts.destination;
        assert_string_equal(destination->pool, cases[i].pool);
        assert_true(text_equal(destination->name_space, cases[i].name_space));
        assert_string_equal(destination->image, cases[i].image);
        assert_int_equal(destination->host_count, source.hosts.count);
        assert_ptr_equal(destination->hosts, source.hosts.items);

        CLEANUP(disk_source_clear) struct disk_source back = {0};
        rbd_destination_source(destination, &back);
        assert_true(text_equal(back.auth_user, source.auth_user));
        assert_true(text_equal(back.secret_uuid, source.secret_uuid));
        assert_true(text_equal(back.secret_usage, source.secret_usage));
        assert_true(text_equal(back.config_file, source.config_file));
        free(source.name); /* "p//i" is written "p/i" */
        source.name = text_dup(back.name);
        assert_true(disk_source_same(&back, &source));
    }
}

static void other_sources_are_no_destination(void **state UNUSED)
{
    static const struct {
        const char *type, *source;
    } cases[] = {
        {"file", "<source file='p/i'/>"},
        {"network", ""},
        {"network", "<source protocol='nbd' name='p/i'/>"},
        {"network", "<source protocol='rbd'/>"},
        {"network", "<source protocol='rbd' name=''/>"},
        {"network", "<source protocol='rbd' name='i'/>"},
        {"network", "<source protocol='rbd' name='/i'/>"},
        {"network", "<source protocol='rbd' name='p/'/>"},
        {"network", "<source protocol='rbd' name='p/n/'/>"},
        {"network", "<source protocol='rbd' name='p/i'><snapshot name='s'/></source>"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(disk_source_clear)
        struct disk_source source = source_from(cases[i].type, cases[i].source);
        struct rbd_parts parts;
        memset(&parts, 0xff, sizeof(parts));
        if (rbd_destination_of_source(&source, &parts))
            fail_msg("taken: %s", cases[i].source);
        assert_null(parts.pool);
        rbd_parts_clear(&parts); /* harmless */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_sources),
        cmocka_unit_test(tells_types_apart),
        cmocka_unit_test(copies_everything),
        cmocka_unit_test(describes_sources),
        cmocka_unit_test(splits_rbd_names),
        cmocka_unit_test(turns_a_destination_into_a_source),
        cmocka_unit_test(turns_a_source_into_a_destination),
        cmocka_unit_test(other_sources_are_no_destination),
        cmocka_unit_test(renders_a_block_copy_destination),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
