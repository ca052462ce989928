/* The sizes of a running guest's disks in its metadata: the XML of a migration tells the hook of
 * the destination nothing else of them. */
#include "agent/private.h"

#include <mntent.h>
#include <sys/stat.h>

#define SECTOR 512
/* A libvirt that took them and does not show them is not asked in a circle. */
#define REWRITE_SECONDS 600

DEFINE_VECTOR(capacities, struct disk_capacity);

static void capacities_clear(struct capacities *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((char *)list->items[i].source);
    free(list->items);
}

/* What a migration could take onto RBD. */
static bool may_move(const struct disk *disk)
{
    switch (disk->source.type) {
    case SOURCE_FILE:
    case SOURCE_BLOCK:
    case SOURCE_NETWORK:
    case SOURCE_VOLUME:
        return disk->device == DEVICE_DISK && !disk->readonly && !disk->shareable &&
               !disk->transient;
    default:
        return false;
    }
}

/* ---- local files ---- */

/* Those that no other host can have mounted, and that libvirt takes for local as well
 * (virFileIsSharedFSType): such a file it copies along, or does not migrate. What is not here may
 * be shared. */
static bool is_local_type(const char *type)
{
    static const char *const local[] = {"ext2",  "ext3",  "ext4",     "xfs", "btrfs",
                                        "zfs",   "f2fs",  "bcachefs", "jfs", "reiserfs",
                                        "tmpfs", "ramfs", "overlay"};
    for (size_t i = 0; i < ARRAY_SIZE(local); i++)
        if (text_equal(type, local[i]))
            return true;
    return false;
}

static bool is_below(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 &&
           (path[length] == '/' || path[length] == '\0' || (length && folder[length - 1] == '/'));
}

/* By the table of mounts, which needs no right and waits for no server that is away. */
static bool is_mounted_locally(const char *path)
{
    char text[8192];
    struct mntent mount;
    size_t longest = 0;
    bool local = false;
    FILE *table = setmntent("/proc/self/mounts", "re");
    while (table && getmntent_r(table, &mount, text, sizeof(text))) {
        size_t length = strlen(mount.mnt_dir);
        if (length < longest || !is_below(path, mount.mnt_dir))
            continue;
        longest = length; /* of two in one place the later one covers the other */
        local = is_local_type(mount.mnt_type);
    }
    if (table)
        endmntent(table);
    return local;
}

/* A file that only this host can see. Where this user may not look it is not known: then no. */
static bool is_local(const struct disk_source *source)
{
    if (source->type != SOURCE_FILE || !source->path || !is_mounted_locally(source->path))
        return false;
    AUTO_FREE char *path = realpath(source->path, NULL);
    struct stat status;
    return path && is_mounted_locally(path) && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ---- sizes ---- */

static int measure(struct agent *agent, const struct guest *guest, const struct domain *domain,
                   struct capacities *sizes, bool *differ, struct error *error)
{
    for (size_t i = 0; i < domain->disks.count; i++) {
        const struct disk *disk = &domain->disks.items[i];
        struct virt_disk_size size = {0};
        if (may_move(disk) &&
            virt_disk_size(agent->virt, guest->uuid, disk->target, &size, error) < 0)
            return -1;
        /* As QEMU shows it to the guest: whole sectors (bdrv_getlength). */
        uint64_t bytes = (size.capacity + SECTOR - 1) / SECTOR * SECTOR;
        bool local = bytes && is_local(&disk->source);
        *differ |= bytes != disk->capacity || local != disk->local;
        if (bytes)
            *capacities_add(sizes) = (struct disk_capacity){disk->target, bytes, local,
                                                            disk_source_describe(&disk->source)};
    }
    *differ |= sizes->count != domain->sizes; /* of a disk that is not there any more */
    return 0;
}

int sizes_keep(struct agent *agent, struct guest *guest, const struct domain *domain,
               struct error *error)
{
    CLEANUP(capacities_clear) struct capacities sizes = {0};
    bool differ = false;
    if (guest->job) /* metadata cannot be set meanwhile */
        return 0;
    if (measure(agent, guest, domain, &sizes, &differ, error) < 0)
        return -1;
    if (!differ)
        return 0;
    AUTO_FREE char *xml = domain_sizes_xml(sizes.items, sizes.count);
    if (text_equal(xml, guest->sizes) && agent->now < guest->sizes_at + REWRITE_SECONDS)
        return 0;
    if (virt_set_live_metadata(agent->virt, guest->uuid, DOMAIN_SIZES_NAMESPACE, "pivot-disks", xml,
                               error) < 0)
        return -1;
    say(&agent->voice, SAY_DEBUG, "domain %s: the sizes of %zu disk%s are in its metadata",
        guest->name, sizes.count, sizes.count == 1 ? "" : "s");
    free(guest->sizes);
    guest->sizes = STEAL(xml);
    guest->sizes_at = agent->now;
    return 0;
}
