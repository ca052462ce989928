"""Running the built virt-pivot-hook, as libvirt does."""
import os
import shutil
import subprocess
import tempfile
import unittest

HOOK = os.environ["HOOK"]
HASTY = os.environ["HASTY"]  # the same with limits of 4 s in all, 1 s for its input and helper
SCENE = os.environ["HOOK_SCENE"]
UUID = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"
POLICY = """version: 1
clusters: {flash: {mons: ['10.1.0.1:3300'], user: libvirt,
                   secret: 2d51d16c-b0ef-4a9f-8938-de099f017a62}}
tiers: {gold: {pool: flash/fast}}
rules: [{name: files, match: {type: [file, block, network]}, tier: gold}]
"""


def file_disk(target, path, kind="raw"):
    return (f"    <disk type='file' device='disk'>\n      <driver name='qemu' type='{kind}'/>\n"
            f"      <source file='{path}'/>\n      <backingStore/>\n"
            f"      <target dev='{target}' bus='virtio'/>\n"
            "    </disk>\n")


def rbd_disk(target, name):
    return ("    <disk type='network' device='disk'>\n      <driver name='qemu' type='raw'/>\n"
            f"      <source protocol='rbd' name='{name}'><host name='10.1.0.1' port='3300'/>"
            f"</source>\n      <target dev='{target}' bus='virtio'/>\n    </disk>\n")


def guest(devices, sizes=None, name="db1"):
    """As libvirt gives it to the hook: without its id, but with what its start has left in it."""
    metadata = "".join(f"<s:disk target='{target}' capacity='{size}' local='yes'/>"
                       for target, size in (sizes or {}).items())
    return (f"<domain type='kvm'>\n  <name>{name}</name>\n  <uuid>{UUID}</uuid>\n"
            f"  <metadata><s:disks xmlns:s='urn:virt-pivot:1:disks'>{metadata}</s:disks>"
            "</metadata>\n  <resource><partition>/machine</partition></resource>\n"
            f"  <devices>\n{devices}  </devices>\n</domain>\n")


LOCAL = guest(file_disk("vda", "/nonexistent/db1.img"), {"vda": 1 << 30})


class TestCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="vp-hook-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        os.chmod(self.folder, 0o755)
        self.state = os.path.join(self.folder, "state")
        self.policy = os.path.join(self.folder, "policy.yaml")
        self.helper = os.path.join(self.folder, "helper")
        os.mkdir(self.state, 0o700)

    def write(self, path, text, mode=0o644):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def give_policy(self, more=""):
        self.write(self.policy, POLICY + more)

    def give_helper(self, script):
        """Its files are $S.NAME, in the state directory, which it may write into."""
        self.write(self.helper, f"#!/bin/sh\nS={self.state}/helper\n{script}\n", 0o755)

    def helper_said(self, name):
        with open(f"{self.state}/helper.{name}", encoding="utf-8") as file:
            return file.read()

    def scene(self, *arguments):
        subprocess.run([SCENE, self.state, *arguments], check=True)

    def environment(self):
        """What libvirt gives its hooks, and where this test's things are."""
        kept = {name: value for name, value in os.environ.items()
                if name.startswith(("ASAN_", "UBSAN_", "LSAN_"))}
        # The hook cannot be traced, and looking for leaks is tracing.
        kept["ASAN_OPTIONS"] = kept.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        return {**kept, "LC_ALL": "C", "PATH": "/usr/bin:/bin", "VIRT_PIVOT_POLICY": self.policy,
                "VIRT_PIVOT_STATE": self.state, "VIRT_PIVOT_HELPER": self.helper}

    def command(self, *arguments, program=HOOK):
        return {"args": [program, *arguments], "env": self.environment()}

    def call(self, operation, xml, name="db1", part="begin", program=HOOK):
        return subprocess.run(**self.command(name, operation, part, "-", program=program),
                              input=xml if isinstance(xml, bytes) else xml.encode(),
                              capture_output=True, timeout=60, check=False)

    def assert_passes(self, done):
        self.assertEqual((0, b""), (done.returncode, done.stdout), done.stderr)

    def assert_refused(self, done, *parts):
        """One line that says so; nothing on stdout."""
        self.assertEqual((1, b""), (done.returncode, done.stdout), done.stderr)
        said = done.stderr.decode()
        self.assertTrue(said.startswith("virt-pivot: domain '"), said)
        self.assertEqual(1, said.count("\n"), said)
        self.assertTrue(said.endswith("\n") and said[:-1].isprintable(), said)
        for part in parts:
            self.assertIn(part, said)


main = unittest.main
