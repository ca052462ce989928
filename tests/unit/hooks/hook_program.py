"""Exit statuses, stdout, stderr and descriptors, whatever is wrong."""
import os
import subprocess
import unittest

import virt_pivot_hook as vp
from virt_pivot_hook import LOCAL, UUID, file_disk, guest, rbd_disk

HARMLESS = [("reconnect", "begin"), ("attach", "begin"), ("prepare", "begin"),
            ("start", "begin"), ("started", "begin"), ("stopped", "end"), ("release", "end"),
            ("migrate", "end"), ("restore", "end"), ("migrate", ""), ("", ""),
            ("nonsense", "begin"), ("MIGRATE", "begin")]


class Harmless(vp.TestCase):
    """Operations in which we could kill a guest: nothing is looked at, nothing is said."""

    def all_pass(self, xml=LOCAL):
        for operation, part in HARMLESS:
            with self.subTest(operation=operation, part=part):
                done = self.call(operation, xml, part=part)
                self.assert_passes(done)
                self.assertEqual(b"", done.stderr)

    def test_all_is_well(self):
        self.give_policy()
        self.all_pass()

    def test_no_policy_no_state(self):
        os.rmdir(self.state)
        self.all_pass()

    def test_broken_policy(self):
        self.give_policy("nonsense: true\n")
        self.all_pass()

    def test_unreadable_policy(self):
        os.mkdir(self.policy, 0)
        self.all_pass()

    def test_broken_journal(self):
        self.give_policy()
        self.write(self.state + "/journal.db", "this is no database")
        self.all_pass()

    def test_state_is_a_file(self):
        os.rmdir(self.state)
        self.write(self.state, "x")
        self.all_pass()

    def test_inputs(self):
        self.give_policy()
        for xml in ("", "garbage", "<domain>", b"\0\xff\xfe", b"x" * (20 << 20)):
            self.all_pass(xml)

    def test_closed_descriptors(self):
        self.give_policy()
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            for operation, part in HARMLESS:
                done = subprocess.run(
                    ["/bin/sh", "-c", f'"$0" "$@" {closed}', vp.HOOK, "db1", operation, part, "-"],
                    env=self.environment(), capture_output=True, check=False, timeout=30,
                    stdin=subprocess.DEVNULL)
                self.assert_passes(done)
                self.assertEqual(b"", done.stderr)

    def test_few_arguments(self):
        self.give_policy()
        full = ["db1", "migrate", "begin"]
        for count in range(3):
            done = subprocess.run(**self.command(*full[:count]), input=LOCAL.encode(),
                                  capture_output=True, check=False, timeout=30)
            self.assert_passes(done)
            self.assertEqual(b"", done.stderr)


class Migrate(vp.TestCase):
    def setUp(self):
        super().setUp()
        self.give_policy()
        self.give_helper('cat >"$S.input"; exit 0')

    def test_rewrites(self):
        done = self.call("migrate", LOCAL)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(b"", done.stderr)
        before, rest = LOCAL.split("    <disk", 1)
        _, after = rest.split("</disk>", 1)
        out = done.stdout.decode()
        self.assertTrue(out.startswith(before) and out.endswith("</disk>" + after), out)
        self.assertIn("name='fast/db1-vda'", out)
        self.assertNotIn("/nonexistent", out)

    def test_passes_what_is_there(self):
        done = self.call("migrate", guest(rbd_disk("vda", "fast/db1-vda")))
        self.assert_passes(done)
        self.assertEqual(b"", done.stderr)

    def test_refusals_say_where_the_guest_is(self):
        done = self.call("migrate", guest(file_disk("vda", "/nonexistent/db1.img")))
        self.assert_refused(done, "domain 'db1'", "the guest goes on at its source", "vda", "size")

    def test_refuses_broken_policies(self):
        self.give_policy("nonsense: true\n")
        self.assert_refused(self.call("migrate", LOCAL), "policy.yaml:", "goes on at its source")

    def test_refuses_policies_that_cannot_be_read(self):
        os.remove(self.policy)
        os.symlink("policy.yaml", self.policy)
        self.assert_refused(self.call("migrate", LOCAL), "policy.yaml")

    def test_no_policy(self):
        os.remove(self.policy)
        self.assert_passes(self.call("migrate", LOCAL))

    def test_refuses_bad_inputs(self):
        for xml in ("", "garbage", "<domain>", b"\0\xff\xfe", b"x" * (17 << 20)):
            self.assert_refused(self.call("migrate", xml))

    def test_on_error_pass(self):
        self.give_policy("on_error: pass\n")
        for xml in ("garbage", guest(file_disk("vda", "/nonexistent/db1.img"))):
            done = self.call("migrate", xml)
            self.assert_passes(done)
            self.assertIn(b"passes unchanged", done.stderr)

    def test_a_helper_that_is_not_there(self):
        os.remove(self.helper)
        self.assert_refused(self.call("migrate", LOCAL), "cannot run")

    def test_the_helper_s_words_are_made_one_line(self):
        self.give_helper("printf 'virt-pivot: error: a\\033[31mb\\007\\302\\233c\\td\\n' >&2; exit 1")
        self.assert_refused(self.call("migrate", LOCAL), "b")

    def test_names_from_outside(self):
        self.give_policy("nonsense: true\n")
        for name in ("a\nvirt-pivot: domain 'x': all is well", "\033[2J", "x" * 100000):
            done = self.call("migrate", LOCAL, name=name)
            self.assert_refused(done)
            self.assertLess(len(done.stderr), 2100)

    def test_no_state_directory(self):
        os.rmdir(self.state)
        self.give_helper("exit 0")
        done = self.call("migrate", LOCAL)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"fast/db1-vda", done.stdout)


class Restore(vp.TestCase):
    OLD = guest(file_disk("vda", "/images/a.img"))

    def moved(self, old, new, *more):
        self.scene("ledger", UUID, old, new, *more)

    def test_redirects(self):
        self.moved(file_disk("vda", "/images/a.img"), rbd_disk("vda", "fast/c"))
        done = self.call("restore", self.OLD)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual(b"", done.stderr)
        self.assertIn(b"name='fast/c'", done.stdout)

    def test_no_journal(self):
        self.assert_passes(self.call("restore", self.OLD))
        self.assertEqual([], os.listdir(self.state))

    def test_no_state_directory(self):
        os.rmdir(self.state)
        self.assert_passes(self.call("restore", self.OLD))
        self.assertFalse(os.path.exists(self.state))

    def test_refuses_retired(self):
        self.moved(file_disk("vda", "/images/a.img"), "-", "retired")
        self.assert_refused(self.call("restore", self.OLD), "the saved state is untouched", "vda",
                            "virsh save-image-edit")

    def test_refuses_broken_journals(self):
        self.write(self.state + "/journal.db", "this is no database" * 100)
        self.assert_refused(self.call("restore", self.OLD), "the saved state is untouched")

    def test_broken_policy(self):
        self.give_policy("nonsense: true\n")
        self.moved(file_disk("vda", "/images/a.img"), rbd_disk("vda", "fast/c"))
        done = self.call("restore", self.OLD)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(b"name='fast/c'", done.stdout)


class Descriptors(vp.TestCase):
    def setUp(self):
        super().setUp()
        self.give_policy()

    def test_nothing_leaks_into_the_helper(self):
        self.give_helper('ls -l /proc/self/fd >"$S.fds"; exit 0')
        spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
        os.dup2(spare[0], 200)
        done = subprocess.run(**self.command("db1", "migrate", "begin", "-"), input=LOCAL.encode(),
                              capture_output=True, check=False, timeout=30,
                              pass_fds=[*spare, 200])
        for fd in (*spare, 200):
            os.close(fd)
        self.assertEqual(0, done.returncode, done.stderr)
        names = [line.split(" -> ") for line in self.helper_said("fds").splitlines()
                 if " -> " in line]
        fds = {int(left.split()[-1]): target for left, target in names}
        # ls's own: stdout in a file, 3 for the folder that it lists, 255 some shells' script.
        self.assertEqual({0, 1, 2, 3}, {fd for fd in fds if fd != 10 and fd != 255})
        self.assertIn("memfd:", fds[0])
        self.assertTrue(fds[2].startswith("pipe:"), fds)
        self.assertTrue(fds[3].startswith("/proc/"), fds)

    def test_nobody_holds_stdout_and_stderr_afterwards(self):
        """libvirt waits for the end of both."""
        self.give_helper("setsid sleep 30 & sleep 30 & exit 0")
        with subprocess.Popen(**self.command("db1", "migrate", "begin", "-"),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            out, err = process.communicate(LOCAL.encode(), timeout=10)
        self.assertEqual((0, b""), (process.returncode, err))
        self.assertIn(b"fast/db1-vda", out)

    def test_no_stdout_to_write_to(self):
        """What cannot be said must not be taken for 'unchanged'."""
        self.give_helper("exit 0")
        for closed in (">&-", "<&- >&-", ">/dev/full"):
            done = subprocess.run(
                ["/bin/sh", "-c", f'"$0" "$@" {closed}', vp.HOOK, "db1", "migrate", "begin", "-"],
                env=self.environment(), input=LOCAL.encode(), capture_output=True, check=False,
                timeout=30)
            self.assertEqual(1, done.returncode, (closed, done.stderr))

    def test_nobody_reads_stdout(self):
        self.give_helper("exit 0")
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(**self.command("db1", "migrate", "begin", "-"), input=LOCAL.encode(),
                              stdout=writer, stderr=subprocess.PIPE, check=False, timeout=30)
        os.close(writer)
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertIn(b"cannot write", done.stderr)

    def test_no_stderr_to_complain_to(self):
        self.give_policy("nonsense: true\n")
        done = subprocess.run(
            ["/bin/sh", "-c", '"$0" "$@" 2>&-', vp.HOOK, "db1", "migrate", "begin", "-"],
            env=self.environment(), input=LOCAL.encode(), capture_output=True, check=False,
            timeout=30)
        self.assertEqual((1, b""), (done.returncode, done.stdout))


if __name__ == "__main__":
    unittest.main()
