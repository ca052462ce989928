#include "journal/faulty_disk.h"

#include "base/cleanup.h"

#include <sqlite3.h>
#include <string.h>

#define VFS_NAME "virt-pivot-test"
#define KILLED 137 /* what a shell calls a process that was killed with SIGKILL */

/* The real file follows in the same block. */
struct file {
    sqlite3_file base;
    struct faulty_disk *disk;
};

static sqlite3_file *real(sqlite3_file *file)
{
    return (sqlite3_file *)((struct file *)(void *)file + 1);
}

static struct faulty_disk *disk_of(sqlite3_file *file)
{
    return ((struct file *)(void *)file)->disk;
}

static int file_close(sqlite3_file *file)
{
    return real(file)->pMethods ? real(file)->pMethods->xClose(real(file)) : SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
    return real(file)->pMethods->xRead(real(file), bytes, count, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
    struct faulty_disk *disk = disk_of(file);
    disk->writes++;
    if (disk->kill_at && disk->writes == disk->kill_at)
        _exit(KILLED);
    if (disk->full || (disk->full_from && disk->writes >= disk->full_from))
        return SQLITE_FULL;
    return real(file)->pMethods->xWrite(real(file), bytes, count, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return real(file)->pMethods->xTruncate(real(file), size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct faulty_disk *disk = disk_of(file);
    disk->syncs++;
    return disk->waits_for_syncs ? real(file)->pMethods->xSync(real(file), flags) : SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real(file)->pMethods->xFileSize(real(file), size);
}

static int file_lock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xLock(real(file), level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    return real(file)->pMethods->xUnlock(real(file), level);
}

static int file_check_lock(sqlite3_file *file, int *result)
{
    return real(file)->pMethods->xCheckReservedLock(real(file), result);
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
    return real(file)->pMethods->xFileControl(real(file), operation, argument);
}

static int file_sector_size(sqlite3_file *file)
{
    return real(file)->pMethods->xSectorSize(real(file));
}

static int file_traits(sqlite3_file *file)
{
    return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    return real(file)->pMethods->xShmMap(real(file), page, size, extend, memory);
}

static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    return real(file)->pMethods->xShmLock(real(file), offset, count, flags);
}

static void file_shm_barrier(sqlite3_file *file)
{
    real(file)->pMethods->xShmBarrier(real(file));
}

static int file_shm_unmap(sqlite3_file *file, int remove)
{
    return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

static const sqlite3_io_methods methods_without_wal = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector_size,
    .xDeviceCharacteristics = file_traits,
};

struct shim {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    struct faulty_disk *disk;
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct shim *shim = vfs->pAppData;
    ((struct file *)(void *)file)->disk = shim->disk;
    int result = shim->real->xOpen(shim->real, name, real(file), flags, out);
    file->pMethods = result != SQLITE_OK     ? NULL
                     : shim->disk->lacks_wal ? &methods_without_wal
                                             : &methods;
    return result;
}

/* Everything but opening goes to the real one, which must be called with itself. */
static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    struct shim *shim = vfs->pAppData;
    shim->disk->forgotten += !sync;
    return shim->real->xDelete(shim->real, name, shim->disk->waits_for_syncs);
}

static int shim_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
    struct shim *shim = vfs->pAppData;
    return shim->real->xAccess(shim->real, name, flags, result);
}

static int shim_full_path(sqlite3_vfs *vfs, const char *name, int room, char *path)
{
    struct shim *shim = vfs->pAppData;
    return shim->real->xFullPathname(shim->real, name, room, path);
}

void faulty_disk_install(struct faulty_disk *disk)
{
    static struct shim shim; /* SQLite keeps a pointer to it */
    faulty_disk_remove();
    shim.real = sqlite3_vfs_find(NULL);
    shim.disk = disk;
    shim.vfs = *shim.real;
    shim.vfs.zName = VFS_NAME;
    shim.vfs.pNext = NULL;
    shim.vfs.pAppData = &shim;
    shim.vfs.szOsFile = (int)sizeof(struct file) + shim.real->szOsFile;
    shim.vfs.xOpen = shim_open;
    shim.vfs.xDelete = shim_delete;
    shim.vfs.xAccess = shim_access;
    shim.vfs.xFullPathname = shim_full_path;
    sqlite3_vfs_register(&shim.vfs, 1);
}

void faulty_disk_remove(void)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(VFS_NAME);
    if (vfs)
        sqlite3_vfs_unregister(vfs);
}
