/* A disk's source file, as far as this host has one of that name. It is not trusted: it may be of
 * any kind, and hold anything. */
#include "base/text.h"
#include "hooks/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* ---- size ---- */

static uint64_t big_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* QEMU docs/interop/qcow2.txt: magic, version (2 or 3), …, cluster_bits at 20, size at 24. */
static uint64_t qcow2_capacity(int fd)
{
    unsigned char header[72];
    if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(header, "QFI\xfb", 4) != 0)
        return 0;
    uint64_t version = big_endian(header + 4, 4);
    uint64_t cluster_bits = big_endian(header + 20, 4);
    uint64_t size = big_endian(header + 24, 8);
    if ((version != 2 && version != 3) || cluster_bits < 9 || cluster_bits > 21)
        return 0;
    return size <= INT64_MAX ? size : 0;
}

uint64_t source_file_capacity(const struct disk *disk)
{
    if (disk->source.type != SOURCE_FILE || !disk->source.path)
        return 0;
    struct stat status;
    /* libvirt's own assumption where no format is written is raw, too. */
    if (!disk->format || text_equal(disk->format, "raw")) {
        if (stat(disk->source.path, &status) < 0 || !S_ISREG(status.st_mode))
            return 0;
        return status.st_size > 0 ? (uint64_t)status.st_size : 0;
    }
    if (!text_equal(disk->format, "qcow2"))
        return 0;
    AUTO_CLOSE int fd = open(disk->source.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return 0;
    return qcow2_capacity(fd);
}

/* ---- reach ---- */

/* Those of statfs(2) and linux/magic.h that several hosts may have mounted; libvirt's own list is
 * virFileIsSharedFSType, src/util/virfile.c. FUSE may be anything: GlusterFS, for one. */
static const unsigned shared_file_systems[] = {
    0x00006969, /* NFS */
    0x0000517b, /* SMB */
    0xff534d42, /* CIFS */
    0xfe534d42, /* SMB2 */
    0x00c36400, /* Ceph */
    0x65735546, /* FUSE, virtiofs */
    0x01161970, /* GFS2 */
    0x7461636f, /* OCFS2 */
    0x47504653, /* GPFS */
    0x0bd00bd0, /* Lustre */
    0x19830326, /* BeeGFS */
    0x20030528, /* OrangeFS */
    0x5346414f, /* AFS */
    0x6b414653, /* kAFS */
    0x73757245, /* Coda */
    0x01021997, /* 9P */
    0x61636673, /* ACFS */
    0xa501fcf5, /* VxFS */
    0x51626d6e, /* Quobyte */
    0xaad7aaea, /* PanFS */
    0xbeefdead, /* SNFS */
};

bool file_system_is_shared(unsigned long type)
{
    for (size_t i = 0; i < ARRAY_SIZE(shared_file_systems); i++)
        if ((unsigned)type == shared_file_systems[i])
            return true;
    return false;
}

/* There is nothing of that name. Any other failure leaves it open: we are not allowed to look, or a
 * server does not answer. */
static bool is_absent(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ENAMETOOLONG;
}

enum source_reach source_reach(const struct disk_source *source)
{
    bool is_block = source->type == SOURCE_BLOCK;
    if ((!is_block && source->type != SOURCE_FILE) || !source->path)
        return REACH_NONE;
    struct stat status;
    struct statfs file_system;
    if (stat(source->path, &status) < 0 || statfs(source->path, &file_system) < 0)
        return is_absent(errno) ? REACH_NONE : REACH_SHARED;
    if (S_ISBLK(status.st_mode))
        return REACH_SHARED;
    if (is_block || !S_ISREG(status.st_mode))
        return REACH_NONE;
    return file_system_is_shared((unsigned long)file_system.f_type) ? REACH_SHARED : REACH_LOCAL;
}
