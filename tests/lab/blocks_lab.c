#include "blocks_lab.h"

#define CHUNK (256 * KIB)

void lab_write(rbd_image_t image, const struct fake_disk *holds)
{
    for (uint64_t at = 0; at < holds->blocks.size; at += CHUNK) {
        size_t length = holds->blocks.size - at < CHUNK ? holds->blocks.size - at : CHUNK;
        size_t from = 0, to = length;
        while (from < to && holds->bytes[at + from] == 0)
            from++;
        while (to > from && holds->bytes[at + to - 1] == 0)
            to--;
        if (from < to)
            assert_int_equal(rbd_write(image, at + from, to - from, holds->bytes + at + from),
                             to - from);
    }
}

struct ceph_open lab_image_open(struct lab *lab, const char *name_space, const char *image)
{
    struct ceph_open open = {.pool = lab_pool(lab, lab->scratch, name_space)};
    assert_int_equal(rbd_open(open.pool, image, &open.image, NULL), 0);
    return open;
}

void lab_image(struct lab *lab, const struct image_spec *spec, const struct fake_disk *holds)
{
    rbd_image_options_t options;
    rbd_image_options_create(&options);
    rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_FEATURES, spec->features);
    if (spec->order)
        rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_ORDER, spec->order);
    if (spec->stripe_unit) {
        rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_STRIPE_UNIT, spec->stripe_unit);
        rbd_image_options_set_uint64(options, RBD_IMAGE_OPTION_STRIPE_COUNT, spec->stripe_count);
    }
    AUTO_POOL rados_ioctx_t pool = lab_pool(lab, lab->scratch, spec->name_space);
    assert_int_equal(rbd_create4(pool, spec->name, spec->size, options), 0);
    rbd_image_options_destroy(options);
    if (!holds)
        return;
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, spec->name_space, spec->name);
    lab_write(open.image, holds);
}

void lab_snapshot(struct lab *lab, const char *image, const char *snapshot)
{
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, image);
    assert_int_equal(rbd_snap_create(open.image, snapshot), 0);
}

void lab_unsnapshot(struct lab *lab, const char *image, const char *snapshot)
{
    AUTO_OPEN struct ceph_open open = lab_image_open(lab, NULL, image);
    assert_int_equal(rbd_snap_remove(open.image, snapshot), 0);
}

static void make_ours(struct ceph_cluster *cluster, const struct ceph_image_name *name,
                      uint64_t size)
{
    AUTO_ERROR struct error error = {0};
    const struct ceph_image_spec spec = {.name = *name,
                                         .size = size,
                                         .object_size = 4 * MIB,
                                         .token = name->image,
                                         .domain_name = "db1",
                                         .target = "vda",
                                         .source = "rbd:old/db1"};
    assert_done(ceph_image_create(cluster, &spec, &error), &error);
}

static void remove_ours(struct ceph_cluster *cluster, const struct ceph_image_name *name)
{
    AUTO_ERROR struct error error = {0};
    assert_done(ceph_image_remove_owned(cluster, name, name->image, 40, &error), &error);
}

void lab_target(struct lab *lab, const char *image, uint64_t size)
{
    const struct ceph_image_name name = lab_name(lab, image);
    make_ours(lab->cluster, &name, size);
}

void lab_untarget(struct lab *lab, const char *image)
{
    const struct ceph_image_name name = lab_name(lab, image);
    remove_ours(lab->cluster, &name);
}

void lab_files(struct lab_files *files, const struct fake_disk *holds)
{
    *files = (struct lab_files){.folder = "/tmp/vp-blocks-XXXXXX"};
    assert_non_null(mkdtemp(files->folder));
    files->raw = text_format("%s/a.raw", files->folder);
    files->qcow2 = text_format("%s/a.qcow2", files->folder);
    FILE *file = fopen(files->raw, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(holds->bytes, 1, holds->blocks.size, file), holds->blocks.size);
    assert_int_equal(fclose(file), 0);
    AUTO_FREE char *convert =
        text_format("qemu-img convert -f raw -O qcow2 %s %s", files->raw, files->qcow2);
    assert_int_equal(system(convert), 0); /* NOLINT(cert-env33-c): a path of our own */
}

void lab_files_remove(struct lab_files *files)
{
    unlink(files->raw);
    unlink(files->qcow2);
    rmdir(files->folder);
    free(files->raw);
    free(files->qcow2);
}

bool lab_other_open(const struct lab *lab, struct lab_other *other)
{
    AUTO_ERROR struct error error = {0};
    struct ceph_login login = lab_login(lab);
    const char *pool = getenv("VP_LAB_OTHER_POOL");
    login.mons = getenv("VP_LAB_OTHER_MONS");
    login.keyring = getenv("VP_LAB_OTHER_KEYRING");
    if (!pool || !login.mons || !login.keyring)
        return false;
    *other = (struct lab_other){.image = text_dup(lab->scratch)};
    other->name = (struct ceph_image_name){.pool = pool, .image = other->image};
    assert_done(ceph_connect(&login, &other->cluster, &error), &error);
    return true;
}

void lab_other_make(struct lab_other *other, uint64_t size)
{
    make_ours(other->cluster, &other->name, size);
}

void lab_other_close(struct lab_other *other)
{
    remove_ours(other->cluster, &other->name);
    ceph_disconnect(other->cluster);
    free(other->image);
}

struct ceph_image_name lab_name(const struct lab *lab, const char *image)
{
    return (struct ceph_image_name){.pool = lab->scratch, .image = image};
}

struct blocks *lab_blocks(struct lab *lab, const char *image, const char *snapshot, bool writable)
{
    AUTO_ERROR struct error error = {0};
    struct blocks *blocks = NULL;
    const struct ceph_image_name name = lab_name(lab, image);
    assert_done(blocks_open_rbd(lab->cluster, &name, snapshot, writable, &blocks, &error), &error);
    return blocks;
}

void assert_same(struct blocks *first, struct blocks *second, struct blocks_comparison *found)
{
    AUTO_ERROR struct error error = {0};
    assert_done(blocks_compare(first, second, NULL, found, &error), &error);
    if (!found->equal)
        fail_msg("%s and %s differ at %llu and in %llu pieces", first->name, second->name,
                 (unsigned long long)found->first_difference, (unsigned long long)found->differing);
    assert_string_equal(found->first.text, found->second.text);
}

struct fake_disk *lab_content(void)
{
    struct fake_disk *disk = fake_disk_new("content", 41 * MIB + 12345, FAKE_BY_THREAD);
    fake_disk_fill(disk, 0, 512);
    fake_disk_fill(disk, 4 * MIB - 100, 200);
    fake_disk_fill(disk, 12 * MIB, 9 * MIB + 77);
    fake_disk_fill(disk, 30 * MIB + 64 * KIB, 64 * KIB);
    fake_disk_fill(disk, 41 * MIB + 12344, 1);
    return disk;
}
