"""The world that a move changes, as anybody sees it: libvirt by its own module, images by librbd, the guest
by its console, definitions on disk. None of virt-pivot's own words are used."""
import copy
import os
import shutil
import sqlite3
import subprocess
import time
import xml.etree.ElementTree as ET

import check
import libvirt
import rados
import rbd
from ceph_setup import trash
from crash_words import PHASES
from domain_xml import canonical, image_of

LAB_FOLDER = os.path.dirname(os.path.realpath(__file__))
LAB = os.environ["VP_LAB_DIR"]
POOLS = {"old": ("vms", "vms2"), "flash": ("fast", "bulk")}


class Trouble(Exception):
    """Something about the test itself went wrong."""


def run(*command, good=(0,), seconds=120, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=seconds, stdin=subprocess.DEVNULL, check=False, **options)
    if good and done.returncode not in good:
        raise Trouble(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()}")
    return done


def virsh(*command, good=(0,)):
    return run("virsh", "-q", "-c", os.environ["VP_LAB_URI"], *command, good=good)


class Libvirt:
    """A connection that is made anew when the daemon was away."""

    def __init__(self):
        libvirt.registerErrorHandler(lambda *_: None, None)
        self.connection = None

    def alive(self):
        try:
            if not self.connection or not self.connection.isAlive():
                self.connection = libvirt.open(os.environ["VP_LAB_URI"])
            return True
        except libvirt.libvirtError:
            return False

    def domain(self, name):
        """None: there is none."""
        if not wait_for(30, self.alive):
            raise Trouble("libvirtd does not answer")
        try:
            return self.connection.lookupByName(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise


def lab(*command, good=(0,), seconds=120):
    return run(f"{LAB_FOLDER}/lab", *command, good=good, seconds=seconds)


def wait_for(seconds, question):
    """What the question answers at last; it is asked again while that is false."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


class Clusters:
    """Both clusters, as their administrator. An image is CLUSTER/POOL/NAME."""

    def __init__(self):
        self.rados, self.pools = {}, {}
        for name, pools in POOLS.items():
            cluster = rados.Rados(conffile=os.environ[f"VP_LAB_CONF_{name}"],
                                  conf={"rbd_cache": "false", "client_mount_timeout": "20"})
            cluster.connect()
            self.rados[name] = cluster
            for pool in pools:
                self.pools[f"{name}/{pool}"] = cluster.open_ioctx(pool)

    def close(self):
        for pool in self.pools.values():
            pool.close()
        for cluster in self.rados.values():
            cluster.shutdown()

    def open(self, image, **options):
        pool, _, name = image.rpartition("/")
        return rbd.Image(self.pools[pool], name, **options)

    def exists(self, image):
        try:
            with self.open(image, read_only=True):
                return True
        except rbd.ImageNotFound:
            return False

    def watchers(self, image):
        with self.open(image, read_only=True) as handle:
            return [watcher["addr"] for watcher in handle.watchers_list()]

    def features(self, image):
        with self.open(image, read_only=True) as handle:
            return handle.features()

    def list(self, wanted):
        """Images whose name is wanted: {image}."""
        return {f"{pool}/{name}" for pool, handle in self.pools.items()
                for name in rbd.RBD().list(handle) if wanted(name)}

    def trash_of(self, place):
        """The module rbd of Ceph 16 stumbles over the sources of migrations; the program is slow."""
        try:
            return list(rbd.RBD().trash_list(self.pools[place]))
        except IndexError:
            cluster, _, pool = place.partition("/")
            return trash(os.environ[f"VP_LAB_CONF_{cluster}"], pool, "")

    def trash(self, wanted):
        return {f"{place}/{entry['name']}" for place in self.pools
                for entry in self.trash_of(place) if wanted(entry["name"])}

    def purge_trash(self, wanted):
        for place, handle in self.pools.items():
            for entry in self.trash_of(place):
                if wanted(entry["name"]):
                    rbd.RBD().trash_remove(handle, entry["id"], force=True)

    def snapshots(self, image):
        with self.open(image, read_only=True) as handle:
            return [snapshot["name"] for snapshot in handle.list_snaps()]

    def content(self, image):
        """All of it. Not at one moment, and need not be: each block is what it was at some time
        between two looks at the guest's log. A snapshot would disturb what is looked at."""
        with self.open(image, read_only=True) as handle:
            return handle.read(0, handle.size())

    def remove(self, image):
        """Whoever watches it: a client that was killed is believed to live for a while."""
        pool, _, name = image.rpartition("/")
        with self.open(image) as handle:
            for snapshot in list(handle.list_snaps()):
                handle.remove_snap(snapshot["name"])
        def removed():
            try:
                rbd.RBD().remove(self.pools[pool], name)
                return True
            except rbd.ImageBusy:
                return False
        if not wait_for(60, removed):
            raise Trouble(f"{image} stays in use")

    def hasten(self):
        """Watches of the dead last 12 s instead of 30 s."""
        for name in POOLS:
            run("ceph", "-c", os.environ[f"VP_LAB_CONF_{name}"], "tell", "osd.0", "config", "set",
                "osd_client_watch_timeout", "12")


class Guest:
    """A guest of the lab, its state directory and its policy."""

    def __init__(self, clusters, name):
        self.clusters, self.name, self.libvirt = clusters, name, Libvirt()
        self.log_path = f"{LAB}/guests/{name}/serial.log"
        self.folder = f"{LAB}/crash/{name}"
        self.state_folder = f"{self.folder}/state"
        self.policy = f"{self.folder}/policy.yaml"
        self.console = Console()

    def make_folder(self):
        self.empty_state()
        run("rm", "-rf", self.folder)
        uid = int(os.environ["VP_LAB_UID"])
        os.makedirs(self.folder)
        os.chown(self.folder, uid, uid)
        self.empty_state()

    def empty_state(self):
        """The state directory; some rounds have a file system for it."""
        run("umount", "-l", self.state_folder, good=None)
        shutil.rmtree(self.state_folder, ignore_errors=True)
        uid = int(os.environ["VP_LAB_UID"])
        os.makedirs(self.state_folder)
        os.chown(self.state_folder, uid, uid)

    # ---- libvirt

    def ask(self, question, otherwise=None):
        """Of its domain; a transient one may go between any two calls, and so may the daemon."""
        for last in (False, False, True):
            try:
                domain = self.libvirt.domain(self.name)
                return question(domain) if domain else otherwise
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return otherwise
                if last:
                    raise
                self.libvirt.connection = None
        return otherwise

    def xml(self):
        return self.ask(lambda domain: domain.XMLDesc(0))

    def definition(self):
        """The persistent one, or None."""
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        return self.ask(lambda domain: domain.XMLDesc(flags) if domain.isPersistent() else None)

    def autostart(self):
        return self.ask(lambda domain: bool(domain.autostart()))

    def state(self):
        words = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_PAUSED: "paused",
                 libvirt.VIR_DOMAIN_SHUTOFF: "off"}
        return self.ask(lambda domain: words.get(domain.state()[0], "?"), "gone")

    def runs(self):
        return self.state() == "running"

    def live(self):
        """{target: image} of a guest that runs, or is paused."""
        return disks_of(self.ask(lambda domain: domain.XMLDesc(0) if domain.isActive() else None,
                                 None)) or {}

    def saved(self):
        """{target: image} of the persistent definition, or None."""
        return disks_of(self.definition())

    # ---- what it was promised

    def writes(self):
        """Of all disks."""
        return sum(self.console.words(self.read_log(), "vda").last.values())

    def read_log(self):
        try:
            with open(self.log_path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def lost_writes(self, target, image, before=None):
        """What of the log (as it was before, if given) is not in the image: texts."""
        before = self.console.words(before or self.read_log(), target)
        data = self.clusters.content(image)
        return lost_in(data, target, before, self.console.words(self.read_log(), target))

    def goes_on(self, seconds=180):
        """Whether it writes."""
        begun = self.writes()
        return bool(wait_for(seconds, lambda: self.writes() >= begun + 3))

    # ---- what is on stable storage, if libvirt has nothing

    def definition_files(self):
        folder = f"{self.state_folder}/definitions"
        for name in sorted(os.listdir(folder) if os.path.isdir(folder) else []):
            if name.endswith(".xml"):
                with open(f"{folder}/{name}", encoding="utf-8") as file:
                    yield file.read()

    def journal(self, question, *values):
        path = f"{self.state_folder}/journal.db"
        if not os.path.exists(path):
            return []
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return database.execute(question, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            database.close()

    def phase(self):
        """What was begun last, as a word for people."""
        rows = self.journal("SELECT phase, begun FROM moves ORDER BY id DESC LIMIT 1")
        if not rows:
            return "before it"
        phase, begun = rows[0]
        return PHASES[max(phase, begun)]


def disks_of(xml):
    if xml is None:
        return None
    disks = {}
    for disk in ET.fromstring(xml).iterfind("devices/disk"):
        if disk.get("device") == "disk" and disk.find("readonly") is None:
            disks[disk.find("target").get("dev")] = image_of(disk).removeprefix("rbd:")
    return disks


def has_mirror(xml):
    return ET.fromstring(xml).find("devices/disk/mirror") is not None


def is_settled(xml):
    """Whether it names the disks that the guest writes to: QEMU may have left one whose job libvirt
    believes to be ending, for seconds."""
    return not any(mirror.get("ready") in ("pivot", "abort")
                   for mirror in ET.fromstring(xml).iterfind("devices/disk/mirror"))


def but_disks(xml, path):
    """A definition without its disks' sources, as comparable text."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(xml)
    return "".join(canonical(path, True))


class Words(check.Log):
    """check.Log of bytes instead of a file."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self.boots, self.block, self.last = [], 0, {}
        self.writes, self.at, self.failures = 0, {}, []

    def and_more(self, text, disk):
        """Another, of this and what was said after it."""
        more = copy.copy(self)
        more.boots, more.failures = list(self.boots), list(self.failures)
        more.last, more.at = dict(self.last), dict(self.at)
        for line in text.decode("utf-8", "replace").split("\n"):
            more.take(line.rstrip("\r"), disk)
        return more


class Console:
    """What a guest has said, for hours, is asked for again and again: only what is new is parsed."""

    def __init__(self):
        self.known = {}  # disk: [(text, its Words)], the latest

    def words(self, text, disk):
        text = text[:text.rfind(b"\n") + 1]  # else the guest ended in the middle of a line
        known = self.known.setdefault(disk, [(b"", Words())])
        begun, words = max((pair for pair in known if text.startswith(pair[0])),
                           key=lambda pair: len(pair[0]), default=(b"", Words()))
        if begun != text:
            words = words.and_more(text[len(begun):], disk)
            known.append((text, words))
            del known[:-4]
        return words


def lost_in(data, target, before, after):
    lost = list(after.failures)
    for offset, wanted in sorted(before.at.items()):
        piece = data[offset:offset + before.block]
        why = check.problem(piece, ord(target[-1]) - ord("a"), offset, wanted, before, after)
        if why:
            lost.append(f"{target} offset {offset}: {why}")
    if not before.writes:
        lost.append(f"{target}: the guest has written nothing")
    return lost
