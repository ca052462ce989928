#!/usr/bin/python3
"""Checks a guest's acknowledged writes against an image of its disk.

usage: check.py GUEST DISK IMAGE-NAME LOG-BEFORE LOG-AFTER RAW-FILE

LOG-BEFORE and LOG-AFTER are the guest's console before and after the moment that
RAW-FILE shows. Every write acknowledged in LOG-BEFORE must be there, or a later write
at the same offset: one of LOG-AFTER, or the one that was under way at its end.
Prints one line of result, and up to ten of what is lost.
"""
import functools
import os
import re
import struct
import sys
from array import array

MAGIC = 0x31504D4154535056
MASK = (1 << 64) - 1
HEADER = struct.Struct("<6Q")
UP = re.compile(r"^VP-UP boot=([0-9a-f]{16}) block=(\d+) disks=\S+$")
WRITE = re.compile(r"^W (\d+) (vd[a-z]) (\d+) ok$")
FAILURE = re.compile(r"^(?:WRITE|READ)-FAIL \d+ (vd[a-z]) |^VP-MISSING (vd[a-z])")


def mix(value):
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


@functools.lru_cache(maxsize=1 << 14)
def content(boot, disk, offset, sequence, length):
    """The block as guest/stamp.h makes it."""
    mixed = mix(mix(mix(mix(boot) ^ disk) ^ offset) ^ sequence)
    start, step = mixed >> 2, (mix(mixed) >> 24) | 1
    header = HEADER.pack(MAGIC, boot, disk, offset, sequence, length)
    first, count = HEADER.size // 8, length // 8
    words = array("Q", range(start + first * step, start + count * step, step))
    if sys.byteorder == "big":
        words.byteswap()
    return header + words.tobytes()


class Log:
    """What the console says about one disk."""

    def __init__(self, path, disk):
        self.boots = []  # in order
        self.block = 0
        self.last = {}  # boot: its last acknowledged sequence, of any disk
        self.writes = 0
        self.at = {}  # offset: (boot, sequence) last acknowledged
        self.failures = []
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                if line.endswith("\n"):  # else the guest ended in the middle of it
                    self.take(line.rstrip("\r\n"), disk)

    def take(self, line, disk):
        if match := UP.match(line):
            boot = int(match[1], 16)
            self.boots.append(boot)
            self.last[boot] = 0
            self.block = int(match[2])
        elif (match := WRITE.match(line)) and self.boots:
            boot, sequence = self.boots[-1], int(match[1])
            self.last[boot] = max(self.last[boot], sequence)
            if match[2] == disk:
                self.writes += 1
                self.at[int(match[3])] = (boot, sequence)
        elif (match := FAILURE.match(line)) and disk in match.groups():
            self.failures.append(line)


def problem(data, disk_index, offset, wanted, before, after):
    """Why the data at an offset is not what it must be, or None."""
    boot, sequence = wanted
    want = f"write {sequence} of boot {before.boots.index(boot) + 1}"
    if len(data) < before.block:
        return f"{want}: the image ends before it"
    if data == content(boot, disk_index, offset, sequence, before.block):
        return None
    magic, found_boot, _, _, found_sequence, _ = HEADER.unpack_from(data)
    if magic != MAGIC or found_boot not in after.boots:
        return f"{want}: holds no stamp of this guest"
    found = f"write {found_sequence} of boot {after.boots.index(found_boot) + 1}"
    if data != content(found_boot, disk_index, offset, found_sequence, before.block):
        return f"{want}: holds a damaged or misplaced {found}"
    if (after.boots.index(found_boot), found_sequence) < (after.boots.index(boot), sequence):
        return f"{want}: holds the older {found}"
    if found_sequence > after.last[found_boot] + 1:
        return f"{want}: holds {found}, which is yet to come"
    return None


def check(guest, disk, name, before_path, after_path, raw_path):
    before, after = Log(before_path, disk), Log(after_path, disk)
    lost = []
    file = os.open(raw_path, os.O_RDONLY)
    for offset, wanted in sorted(before.at.items()):
        data = os.pread(file, before.block, offset)
        why = problem(data, ord(disk[-1]) - ord("a"), offset, wanted, before, after)
        if why:
            lost.append(f"offset {offset}: {why}")
    os.close(file)
    print(f"{guest} {disk} {name}: {before.writes} acknowledged writes, {len(before.at)} offsets, "
          f"{len(lost)} lost, {len(after.failures)} failed guest I/O")
    for line in lost[:10] + after.failures[:10]:
        print(f"  {line}")
    return 1 if lost or after.failures or not before.writes else 0


if __name__ == "__main__":
    if len(sys.argv) != 7:
        raise SystemExit(__doc__)
    sys.exit(check(*sys.argv[1:]))
