/* An image file as the disk that it is to a guest. */
#include "files/private.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a qcow2 file, big-endian (QEMU, docs/interop/qcow2.txt). */
struct qcow2_header {
    char magic[4];
    uint32_t version;
    uint64_t backing_file_offset;
    uint32_t backing_file_size, cluster_bits;
    uint64_t size;
};

static int read_qcow2(int fd, const char *path, struct file_disk *disk, struct error *error)
{
    struct qcow2_header header = {0};
    if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.magic, "QFI\xfb", sizeof(header.magic)) != 0)
        return error_set(error, ERROR_INPUT, "%s is no qcow2 image", path);
    disk->size = be64toh(header.size);
    disk->cannot_hide = be32toh(header.version) < 3 && header.backing_file_offset != 0;
    return 0;
}

int files_disk(const char *path, const char *format, struct file_disk *disk, struct error *error)
{
    *disk = (struct file_disk){0};
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return files_fail(path, "opened to see its size", errno, error);
    if (strcmp(format ? format : "", "qcow2") == 0)
        return read_qcow2(fd, path, disk, error);
    off_t size = format && strcmp(format, "raw") == 0 ? lseek(fd, 0, SEEK_END) : 0;
    disk->size = size > 0 ? (uint64_t)size : 0;
    return 0;
}
