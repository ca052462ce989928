#include "virt/private.h"

int virt_volume_path(struct virt *virt, const char *pool, const char *volume, char **path,
                     struct error *error)
{
    CLEANUP(virStoragePoolFreep)
    virStoragePoolPtr holder = virStoragePoolLookupByName(virt->connection, pool);
    if (!holder)
        return virt_error(virt, error, "storage pool '%s'", pool);
    CLEANUP(virStorageVolFreep)
    virStorageVolPtr found = virStorageVolLookupByName(holder, volume);
    if (!found)
        return virt_error(virt, error, "volume '%s' of storage pool '%s'", volume, pool);
    *path = virStorageVolGetPath(found);
    return *path ? 0
                 : virt_error(virt, error, "the path of volume '%s' of storage pool '%s'", volume,
                              pool);
}
