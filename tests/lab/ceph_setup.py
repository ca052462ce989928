#!/usr/bin/python3
"""Configures one single-node Ceph cluster of the lab.

usage: ceph_setup.py files NAME FOLDER PORT   writes ceph.conf and all keyrings
       ceph_setup.py register-osd CONF        as soon as the monitor answers
       ceph_setup.py pools CONF POOL...       makes pools: NAME, NAME/NAMESPACE, NAME:QUOTA
       ceph_setup.py wait-ready CONF          until OSD and manager serve and health is OK
       ceph_setup.py purge CONF PREFIX        removes all images whose name starts so
"""
import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
import time
import uuid

ADMIN_CAPS = {"mon": "allow *", "osd": "allow *", "mgr": "allow *", "mds": "allow *"}
RBD_CAPS = {"mon": "profile rbd", "osd": "profile rbd", "mgr": "profile rbd"}
READ_CAPS = {"mon": "profile rbd", "osd": "profile rbd-read-only", "mgr": "profile rbd-read-only"}

# entity, caps, keyring below the cluster's folder, readable by the lab's user
ENTITIES = (
    ("mon.", {"mon": "allow *"}, "mon.keyring", False),
    ("client.admin", ADMIN_CAPS, "client.admin.keyring", False),
    ("mgr.x", {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
     "mgr/keyring", False),
    ("osd.0", {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
     "osd/keyring", False),
    ("client.libvirt", RBD_CAPS, "client.libvirt.keyring", True),
    ("client.readonly", READ_CAPS, "client.readonly.keyring", True),
)

CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{port}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0

[client]
keyring = {folder}/$name.keyring

[mon]
mon data = {folder}/mon
mon initial members = a
mon allow pool size one = true
mon allow pool delete = true
mon warn on pool no redundancy = false
mon warn on pool pg num not power of two = false
mon data avail warn = 1
mon data avail crit = 1
mgr initial modules = iostat
paxos propose interval = 0.05
paxos min wait = 0.02

[mgr]
mgr data = {folder}/mgr
mgr stats period = 2
mon mgr beacon grace = 120

[osd]
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = 12884901888
bluestore fsck on mount = false
osd memory target = 939524096
osd heartbeat grace = 120
osd snap trim sleep hdd = 0
osd snap trim sleep hybrid = 0
osd snap trim sleep ssd = 0

[mon.a]
[mgr.x]
[osd.0]
"""

DAEMON_CONF = """\
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
log file = {folder}/log/$name.log
log to stderr = false
mon cluster log file = {folder}/log/cluster.log
crash dir = {folder}/crash
"""


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)


def new_key():
    now = time.time()
    return base64.b64encode(struct.pack("<hIIh", 1, int(now), 0, 16) + os.urandom(16)).decode()


def keyring(entity, key, caps=None):
    lines = [f"[{entity}]", f"\tkey = {key}"]
    lines += [f'\tcaps {daemon} = "{cap}"' for daemon, cap in (caps or {}).items()]
    return "\n".join(lines) + "\n"


def make_files(name, folder, port):
    for below in ("mon", "mgr", "osd", "run", "log", "crash"):
        os.makedirs(f"{folder}/{below}")
    conf = CONF.format(fsid=uuid.uuid4(), folder=folder, port=port)
    for section in ("[mon]\n", "[mgr]\n", "[osd]\n"):
        conf = conf.replace(section, section + DAEMON_CONF.format(folder=folder))
    write(f"{folder}/ceph.conf", conf)
    write(f"{folder}/osd_uuid", f"{uuid.uuid4()}\n")
    group = int(os.environ["VP_LAB_UID"])
    every = ""
    for entity, caps, path, shared in ENTITIES:
        key = new_key()
        every += keyring(entity, key, caps)
        write(f"{folder}/{path}", keyring(entity, key), 0o640 if shared else 0o600)
        if shared:
            os.chown(f"{folder}/{path}", 0, group)
        if entity == "client.libvirt":
            write(f"{folder}/client.libvirt.key", key, 0o600)
    # The monitor takes all of these into its database when it is made.
    write(f"{folder}/all.keyring", every, 0o600)
    print(f"cluster {name} on port {port}")


def connect(conf):
    import rados
    cluster = rados.Rados(conffile=conf, conf={"client_mount_timeout": "20"})
    cluster.connect()
    return cluster


def command(cluster, prefix, **arguments):
    request = json.dumps({"prefix": prefix, "format": "json", **arguments})
    code, output, status = cluster.mon_command(request, b"")
    if code:
        raise SystemExit(f"{prefix} {arguments}: {status} ({code})")
    return json.loads(output) if output.strip() else None


def register_osd(conf):
    with open(os.path.dirname(conf) + "/osd_uuid", encoding="ascii") as file:
        osd_uuid = file.read().strip()
    cluster = connect(conf)
    command(cluster, "osd new", uuid=osd_uuid)
    # No pool of its own for the disks' health, and nothing that waits for it.
    command(cluster, "config set", who="mgr", name="mgr/devicehealth/enable_monitoring",
            value="false", force=True)
    command(cluster, "osd set-require-min-compat-client", version="luminous")
    cluster.shutdown()


def make_pools(conf, pools):
    import rbd
    cluster = connect(conf)
    for pool in pools:
        name, _, quota = pool.partition(":")
        name, _, namespace = name.partition("/")
        if not cluster.pool_exists(name):
            command(cluster, "osd pool create", pool=name, pg_num=8)
            command(cluster, "osd pool application enable", pool=name, app="rbd")
        if quota:
            command(cluster, "osd pool set-quota", pool=name, field="max_bytes", val=quota)
        if namespace:
            with cluster.open_ioctx(name) as ioctx:
                rbd.RBD().namespace_create(ioctx, namespace)
    cluster.shutdown()


def mute(cluster, health):
    """Debian 13's manager cannot load its Python modules; none is needed here."""
    for code in ("MGR_MODULE_DEPENDENCY", "MGR_MODULE_ERROR"):
        if code in health["checks"] and not health["checks"][code].get("muted"):
            command(cluster, "health mute", code=code, sticky=True)


def wait_ready(conf):
    cluster = connect(conf)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        health = command(cluster, "health", detail="detail")
        pools = command(cluster, "df")["pools"]
        mute(cluster, health)
        managed = command(cluster, "mgr dump")["available"]
        if (health["status"] == "HEALTH_OK" and managed and pools
                and all(pool["stats"]["max_avail"] > 0 for pool in pools)):
            cluster.shutdown()
            return
        time.sleep(0.2)
    raise SystemExit(f"{conf}: not healthy: {json.dumps(health)}")


def patiently(rbd, function, *arguments):
    """The watch of a client that was killed lasts half a minute."""
    end = time.monotonic() + 40
    while True:
        try:
            return function(*arguments)
        except rbd.ImageBusy:
            if time.monotonic() > end:
                raise
            time.sleep(1)


def end_migrations(rbd, ioctx, prefix):
    """A source is removed with its target."""
    for name in rbd.RBD().list(ioctx):
        if name.startswith(prefix):
            with contextlib.suppress(rbd.InvalidArgument):
                patiently(rbd, rbd.RBD().migration_abort, ioctx, name)


def trash(conf, pool, namespace):
    """The Python module of Ceph 16 does not know of the sources of migrations in it."""
    place = pool + ("/" + namespace if namespace else "")
    text = subprocess.run(["rbd", "-c", conf, "trash", "ls", "--all", "--format", "json", place],
                          check=True, capture_output=True, text=True).stdout
    return json.loads(text or "[]")


def purge_images(rbd, ioctx, entries, prefix):
    for entry in entries:
        if entry["name"].startswith(prefix):
            rbd.RBD().trash_remove(ioctx, entry["id"], force=True)
    for name in rbd.RBD().list(ioctx):
        if name.startswith(prefix):
            with rbd.Image(ioctx, name) as image:
                for snap in list(image.list_snaps()):
                    if image.is_protected_snap(snap["name"]):
                        image.unprotect_snap(snap["name"])
                    image.remove_snap(snap["name"])
            patiently(rbd, rbd.RBD().remove, ioctx, name)


def purge(conf, prefix):
    import rbd
    cluster = connect(conf)
    places = []
    for pool in cluster.list_pools():
        ioctx = cluster.open_ioctx(pool)
        for namespace in [""] + list(rbd.RBD().namespace_list(ioctx)):
            place = cluster.open_ioctx(pool)
            place.set_namespace(namespace)
            places.append((place, pool, namespace))
        ioctx.close()
    for place, _, _ in places:
        end_migrations(rbd, place, prefix)
    for place, pool, namespace in places:
        purge_images(rbd, place, trash(conf, pool, namespace), prefix)
        place.close()
    cluster.shutdown()


def main(arguments):
    verb, rest = arguments[0], arguments[1:]
    if verb == "files":
        make_files(*rest)
    elif verb == "register-osd":
        register_osd(*rest)
    elif verb == "pools":
        make_pools(rest[0], rest[1:])
    elif verb == "wait-ready":
        wait_ready(*rest)
    elif verb == "purge":
        purge(*rest)
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
