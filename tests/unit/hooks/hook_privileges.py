"""Root becomes the owner of the state directory, and never root again."""
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

if os.geteuid() != 0:
    print("skipped: only root can give up root")
    sys.exit(77)

import virt_pivot_hook as vp  # pylint: disable=wrong-import-position
from virt_pivot_hook import LOCAL  # pylint: disable=wrong-import-position

OWNER, GROUP, NOBODY = 54321, 54322, 65534


class Privileges(vp.TestCase):
    def setUp(self):
        super().setUp()
        self.give_policy()
        self.out = tempfile.mkdtemp(prefix="vp-hook-out-")
        self.addCleanup(shutil.rmtree, self.out)
        os.chmod(self.out, 0o777)
        self.write(self.helper, "#!/bin/sh\ncat /proc/self/status >" + self.out + "/status\n"
                   "ulimit -c >" + self.out + "/core\nexit 0\n", 0o755)

    def status_in_helper(self):
        done = subprocess.run(**self.command("db1", "migrate", "begin", "-"), input=LOCAL.encode(),
                              capture_output=True, check=False, timeout=30,
                              extra_groups=[0, 4, 6])
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"fast/db1-vda", done.stdout)
        with open(self.out + "/status", encoding="utf-8") as file:
            return dict(line.rstrip("\n").split(":", 1) for line in file)

    def assert_is(self, status, user, group):
        self.assert_is_user(status, user, group)
        self.assert_stays(status)

    def assert_is_user(self, status, user, group):
        self.assertEqual([str(user)] * 4, status["Uid"].split())
        self.assertEqual([str(group)] * 4, status["Gid"].split())
        self.assertEqual([], status["Groups"].split())
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(0, int(status[capabilities], 16), capabilities)

    def assert_stays(self, status):
        self.assertEqual("1", status["NoNewPrivs"].strip())
        with open(self.out + "/core", encoding="utf-8") as file:
            self.assertEqual("0", file.read().strip())

    def test_the_owner_of_the_state_directory(self):
        os.chown(self.state, OWNER, GROUP)
        self.assert_is(self.status_in_helper(), OWNER, GROUP)
        found = os.stat(self.out + "/status")
        self.assertEqual((OWNER, GROUP), (found.st_uid, found.st_gid))
        self.assertEqual(0, found.st_mode & 0o077)

    def test_the_hook_itself(self):
        """While it waits for the domain: nobody but root may look into it."""
        os.chown(self.state, OWNER, GROUP)
        with subprocess.Popen(**self.command("db1", "migrate", "begin", "-"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            for _ in range(500):
                with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
                    status = dict(line.rstrip("\n").split(":", 1) for line in file)
                if status["NoNewPrivs"].strip() == "1":
                    break
                time.sleep(0.01)
            time.sleep(0.1)
            self.assert_is_user(status, OWNER, GROUP)
            self.assertEqual(0, os.stat(f"/proc/{process.pid}/mem").st_uid)
            process.communicate(LOCAL.encode(), timeout=30)
            self.assertEqual(0, process.returncode)

    def test_no_state_directory(self):
        os.rmdir(self.state)
        self.assert_is(self.status_in_helper(), NOBODY, NOBODY)

    def test_state_is_no_directory(self):
        os.rmdir(self.state)
        self.write(self.state, "x")
        self.assert_is(self.status_in_helper(), NOBODY, NOBODY)

    def test_root_is_the_owner(self):
        status = self.status_in_helper()
        self.assertEqual(["0"] * 4, status["Uid"].split())
        self.assert_stays(status)

    def test_what_is_queued_is_the_owner_s(self):
        os.chown(self.state, OWNER, GROUP)
        nbd = ("<disk type='network' device='disk'><driver name='qemu' type='raw'/><source "
               "protocol='nbd' name='x'><host name='10.0.0.9' port='10809'/></source>"
               "<target dev='vda' bus='virtio'/></disk>")
        self.assert_passes(self.call("migrate", vp.guest(nbd)))
        files = [os.path.join(self.state, "queue", name)
                 for name in os.listdir(self.state + "/queue")]
        self.assertEqual(1, len([path for path in files if path.endswith(".json")]), files)
        for path in (self.state + "/queue", *files):
            found = os.stat(path)
            self.assertEqual((OWNER, GROUP), (found.st_uid, found.st_gid), path)
            self.assertEqual(0, found.st_mode & 0o077, path)

    def test_a_policy_that_the_owner_may_not_read(self):
        os.chown(self.state, OWNER, GROUP)
        os.chmod(self.policy, 0o600)
        self.assert_refused(self.call("migrate", LOCAL), "Permission denied")
        for operation in ("reconnect", "prepare", "started"):
            self.assert_passes(self.call(operation, LOCAL))

    def test_a_journal_that_the_owner_may_not_read(self):
        self.scene("ledger", vp.UUID, vp.file_disk("vda", "/a"), vp.rbd_disk("vda", "fast/c"))
        os.chown(self.state, OWNER, GROUP)  # its files stay root's
        self.assert_refused(self.call("restore", LOCAL), "saved state is untouched")

    def test_restore_as_the_owner(self):
        self.scene("ledger", vp.UUID, vp.file_disk("vda", "/nonexistent/db1.img"),
                   vp.rbd_disk("vda", "fast/c"))
        for path, _, names in os.walk(self.state):
            for name in (path, *(os.path.join(path, name) for name in names)):
                os.chown(name, OWNER, GROUP)
        done = self.call("restore", LOCAL)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"fast/c", done.stdout)


if __name__ == "__main__":
    unittest.main()
