"""The hook loads neither libvirt nor Ceph: it starts in no time, and cannot call them."""
import os
import re
import subprocess
import unittest

HOOK = os.environ["HOOK"]
FOREIGN = re.compile(r"lib(virt|rados|rbd|ceph)", re.IGNORECASE)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class Links(unittest.TestCase):
    def test_needed(self):
        section = output_of("readelf", "-d", HOOK)
        needed = re.findall(r"\(NEEDED\).*\[(.+)\]", section)
        self.assertTrue(any(name.startswith("libxml2") for name in needed), section)
        self.assertEqual([], [name for name in needed if FOREIGN.match(name)])

    def test_what_those_need(self):
        listing = output_of("ldd", HOOK)
        names = [line.split()[0] for line in listing.splitlines()]
        self.assertTrue(any(name.startswith("libc.so") for name in names), listing)
        self.assertEqual([], [name for name in names if FOREIGN.match(name)])

    def test_symbols(self):
        symbols = output_of("readelf", "--dyn-syms", "--wide", HOOK)
        self.assertIn("xmlFree", symbols)
        self.assertIsNone(re.search(r"\b(vir[A-Z]\w+|rados_\w+|rbd_\w+)", symbols))


if __name__ == "__main__":
    unittest.main()
