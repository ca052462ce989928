#!/usr/bin/python3
"""Reads libvirt domain definitions.

usage: domain_xml.py written-disks < XML   DISK=IMAGE of each disk that the lab's guest writes to
       domain_xml.py image DISK < XML      IMAGE of that disk
       domain_xml.py diff [--but-disk-sources] FILE FILE
                                           what differs; exit code 1 if anything does
       domain_xml.py get XPATH < XML       text or attribute (PATH/@NAME), one line each
"""
import difflib
import os
import sys
import xml.etree.ElementTree as ET


def cluster_of(source):
    host, config = source.find("host"), source.find("config")
    if host is None and config is not None:
        return os.path.basename(os.path.dirname(config.get("file")))  # ceph/NAME/ceph.conf
    port = host.get("port")
    for name, value in os.environ.items():
        if name.startswith("VP_LAB_PORT_") and value == port:
            return name[len("VP_LAB_PORT_"):]
    raise SystemExit(f"no cluster on port {port}")


def image_of(disk):
    """The image in the notation of verify.sh."""
    source = disk.find("source")
    if source.get("protocol") == "rbd":
        return f"rbd:{cluster_of(source)}/{source.get('name')}"
    if source.get("protocol") == "nbd":
        host, export = source.find("host"), source.get("name", "")
        if host.get("transport") == "unix":
            return f"nbd+unix:///{export}?socket={host.get('socket')}"
        return f"nbd://{host.get('name')}:{host.get('port')}/{export}"
    if disk.get("type") == "volume":
        return f"{os.environ['VP_LAB_DIR']}/{source.get('pool').replace('lab', 'pool')}" \
               f"/{source.get('volume')}"
    return source.get("file") or source.get("dev")


def written_disks(domain):
    for disk in domain.iterfind("devices/disk"):
        target = disk.find("target").get("dev")
        if (disk.get("device") == "disk" and disk.find("readonly") is None
                and disk.find("shareable") is None):
            print(f"{target}={image_of(disk)}")


def image(domain, target):
    for disk in domain.iterfind("devices/disk"):
        if disk.find("target").get("dev") == target:
            print(image_of(disk))
            return 0
    raise SystemExit(f"no disk {target}")


def drop_disk_sources(domain):
    """Removes what a move may change: where the data is and how it is reached."""
    for disk in domain.iterfind("devices/disk"):
        disk.attrib.pop("type", None)
        for name in ("type", "cache", "io", "discard", "detect_zeroes"):
            disk.find("driver").attrib.pop(name, None)
        for name in ("source", "auth", "backingStore", "mirror"):
            for element in disk.findall(name):
                disk.remove(element)


def canonical(path, but_disk_sources):
    tree = ET.fromstring(ET.canonicalize(from_file=path, strip_text=True))
    if but_disk_sources:
        drop_disk_sources(tree)
    ET.indent(tree)
    return ET.tostring(tree, encoding="unicode").splitlines(keepends=True)


def diff(before, after, but_disk_sources=False):
    lines = list(difflib.unified_diff(canonical(before, but_disk_sources),
                                      canonical(after, but_disk_sources), before, after, n=2))
    sys.stdout.writelines(line if line.endswith("\n") else line + "\n" for line in lines)
    return 1 if lines else 0


def get(domain, path):
    path, _, attribute = path.partition("/@")
    for element in domain.iterfind(path):
        value = element.get(attribute) if attribute else element.text
        if value is not None:
            print(value)


def main(arguments):
    if arguments[:1] == ["written-disks"]:
        return written_disks(ET.parse(sys.stdin).getroot())
    if arguments[:1] == ["image"] and len(arguments) == 2:
        return image(ET.parse(sys.stdin).getroot(), arguments[1])
    if arguments[:2] == ["diff", "--but-disk-sources"] and len(arguments) == 4:
        return diff(*arguments[2:], but_disk_sources=True)
    if arguments[:1] == ["diff"] and len(arguments) == 3:
        return diff(*arguments[1:])
    if arguments[:1] == ["get"] and len(arguments) == 2:
        return get(ET.parse(sys.stdin).getroot(), arguments[1])
    raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
