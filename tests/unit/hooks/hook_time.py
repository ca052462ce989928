"""Limits of time, in a build of the hook that has short ones."""
import os
import subprocess
import time
import unittest

import virt_pivot_hook as vp
from virt_pivot_hook import LOCAL


class Time(vp.TestCase):
    def setUp(self):
        super().setUp()
        self.give_policy()

    def seconds(self, least, most, function):
        begin = time.monotonic()
        result = function()
        self.assertTrue(least <= time.monotonic() - begin <= most)
        return result

    def test_a_helper_that_hangs(self):
        self.give_helper('echo $$ >"$S.pid"; sleep 100')
        done = self.seconds(0.9, 15, lambda: self.call("migrate", LOCAL, program=vp.HASTY))
        self.assert_refused(done, "not made within 1 seconds")
        self.assertFalse(os.path.exists(f"/proc/{self.helper_said('pid').strip()}"))

    def test_a_helper_that_hangs_may_be_passed_over(self):
        self.give_policy("on_error: pass\n")
        self.give_helper("sleep 100")
        self.assert_passes(self.seconds(0.9, 15,
                                        lambda: self.call("migrate", LOCAL, program=vp.HASTY)))

    def wait_with_open_stdin(self, operation):
        with subprocess.Popen(**self.command("db1", operation, "begin", "-", program=vp.HASTY),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdin.write(b"<domain>")
            process.stdin.flush()
            process.wait(10)
            return process.returncode, process.stdout.read(), process.stderr.read()

    def test_input_that_does_not_end(self):
        code, out, err = self.seconds(0.9, 15, lambda: self.wait_with_open_stdin("migrate"))
        self.assertEqual((1, b""), (code, out))
        self.assertIn(b"did not arrive within 1 seconds", err)

    def test_restore_with_input_that_does_not_end(self):
        self.scene("ledger", vp.UUID, vp.file_disk("vda", "/a"), vp.rbd_disk("vda", "fast/c"))
        code, out, err = self.seconds(0.9, 15, lambda: self.wait_with_open_stdin("restore"))
        self.assertEqual((1, b""), (code, out))
        self.assertIn(b"did not arrive within 1 seconds", err)

    def test_output_that_nobody_takes(self):
        """Nothing of ours waits for that: the limit of the whole process ends it."""
        self.give_helper("exit 0")
        large = LOCAL.replace("</domain>", "<!--" + "x" * (1 << 20) + "--></domain>")
        with subprocess.Popen(**self.command("db1", "migrate", "begin", "-", program=vp.HASTY),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdin.write(large.encode())
            process.stdin.close()
            self.seconds(3, 20, lambda: process.wait(20))
            self.assertEqual(1, process.returncode)
            said = process.stderr.read().decode()
        self.assertIn("gave up after 4 seconds", said)
        self.assertIn("goes on at its source", said)
        self.assertEqual(1, said.count("\n"))


if __name__ == "__main__":
    unittest.main()
