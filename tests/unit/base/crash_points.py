"""Every call that changes the world has a crash point before and after it (base/crash.h), and no
function of libvirt, librbd or librados is called of which it is not said here whether it does.

usage: crash_points.py SOURCE-DIR
"""
import pathlib
import re
import sys

# What another process would see: in libvirt, in a cluster, in a folder. Not fsync and the like: the
# death of a process loses nothing that was written.
CHANGES = set("""
    virDomainDefineXMLFlags virDomainUndefineFlags virDomainSetAutostart virDomainSetMetadata
    virDomainSetBlockIoTune virDomainSuspend virDomainResume
    virDomainBlockCopy virDomainBlockJobAbort virDomainBlockJobSetSpeed
    rbd_create4 rbd_remove rbd_rename rbd_resize2 rbd_update_features rbd_rebuild_object_map
    rbd_metadata_set rbd_metadata_remove rbd_lock_acquire rbd_lock_release
    rbd_snap_create rbd_snap_create2 rbd_snap_remove rbd_snap_rename rbd_snap_protect rbd_snap_unprotect
    rbd_trash_move rbd_trash_remove rbd_trash_restore
    rbd_aio_write2 rbd_aio_discard rbd_aio_write_zeroes rbd_flatten
    rbd_copy rbd_copy4 rbd_copy_with_progress4 rbd_deep_copy rbd_deep_copy_with_progress
    rbd_migration_prepare rbd_migration_execute rbd_migration_execute_with_progress
    rbd_migration_commit rbd_migration_commit_with_progress
    rbd_migration_abort rbd_migration_abort_with_progress
    rados_write_op_operate rados_remove rados_write_full
    rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat link linkat symlink symlinkat
    ftruncate pwrite syscall
""".split())

# Only some of their uses change anything: by what they are told.
EITHER = set("rados_exec rados_mon_command rados_notify2".split())

READS = re.compile("|".join("""
    virConnect(?!Create|Domain\\w*Save)\\w+ virEvent\\w+ virTyped\\w+ virSave\\w*Error virGetLastError
    virFree\\w* virSetErrorFunc virInitialize virDomainFree virDomainLookup\\w+ virDomainGet\\w+
    virDomainIs\\w+ virDomainHas\\w+ virDomainBlockStats\\w* virDomainListGetStats
    virDomainStatsRecordListFree virDomainSnapshotNum virDomainListAll\\w+ virSecretLookup\\w+
    virSecretGet\\w+ virStoragePoolLookup\\w+ virStorageVolLookup\\w+ virStorageVolGet\\w+
    virStorage(Pool|Vol)Free virStoragePoolGet\\w+
    rbd_open\\w* rbd_close rbd_get_\\w+ rbd_stat rbd_version rbd_list\\w* rbd_\\w+_list\\w*
    rbd_\\w+_cleanup rbd_\\w+_get rbd_image_options_\\w+ rbd_metadata_get rbd_snap_get_\\w+
    rbd_snap_spec_cleanup rbd_namespace_exists rbd_mirror_image_get_\\w+ rbd_lock_get_owners\\w*
    rbd_is_exclusive_lock_owner rbd_diff_iterate\\w* rbd_snap_set\\w* rbd_migration_status\\w*
    rbd_aio_read\\w* rbd_aio_flush rbd_aio_release rbd_aio_get_return_value rbd_aio_wait\\w*
    rbd_aio_create_completion rbd_read\\w* rbd_flush rbd_invalidate_cache
    rados_create\\w* rados_connect rados_shutdown rados_conf_\\w+ rados_cluster_\\w+ rados_read
    rados_ioctx_\\w+ rados_buffer_free rados_pool_\\w+ rados_get_\\w+ rados_set_\\w+_full_try
    rados_release_\\w+ rados_write_op_(create|write_full|remove|cmpext|omap_cmp|omap_set)
    rados_read_op\\w+ rados_omap_get_\\w+ rados_stat\\w* rados_wait_for_latest_osdmap
""".split()))

API = re.compile(r"\b(vir[A-Z]\w+|rbd_\w+|rados_\w+|" +
                 "|".join(sorted(name for name in CHANGES
                                 if not re.match("vir|rbd_|rados_|syscall", name)))
                 + r"|syscall(?=\(SYS_(?:rename|unlink|link|mkdir|rmdir)))\s*\(")
OWN = re.compile(r"^[a-z][\w \t]*[ *]((?:vir[A-Z]|rbd_|rados_)\w+)\(", re.MULTILINE)


def without_comments(text):
    """Comments and strings as blanks, lines as they are."""
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|^[ \t]*#define[^\n]*',
                  lambda match: re.sub(r"[^\n]", " ", match[0]), text,
                  flags=re.DOTALL | re.MULTILINE)


def main(top):
    texts = {path: without_comments(path.read_text(encoding="utf-8"))
             for folder in ("helper", "policy", "hooks")
             for path in sorted((top / folder).rglob("*.c"))}
    own = {name for text in texts.values() for name in OWN.findall(text)}
    wrong, found = [], 0
    for path, text in texts.items():
        for match in API.finditer(text):
            name, line = match[1], text.count("\n", 0, match.start()) + 1
            if name in own or name in EITHER:
                continue
            where = f"{path.relative_to(top)}:{line}: {name}"
            if name in CHANGES:
                found += 1
                if not re.search(r"\bCRASH_AROUND\(\s*$", text[:match.start()]):
                    wrong.append(f"{where} changes the world: CRASH_AROUND({name}(...))")
            elif not READS.fullmatch(name):
                wrong.append(f"{where}: does it change the world? Say so in {__file__}")
    print(*wrong, sep="\n")
    print(f"{found} calls that change the world, {len(wrong)} problems")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
