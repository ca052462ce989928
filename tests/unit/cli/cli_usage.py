"""What a mistyped command line meets: exit status 2, a hint, nothing touched, nothing on stdout."""
import os

import virt_pivot
from virt_pivot import run

ONE_DOMAIN = ("plan", "move", "pause", "resume", "cancel")


class Usage(virt_pivot.TestCase):
    def assert_usage(self, message, hint, *arguments):
        result = self.vp(*arguments)
        self.assert_exit(2, result)
        self.assertEqual(result.out, "")
        self.assertRegex(result.err, message)
        self.assertRegex(result.err, r"(?m)^virt-pivot: hint: .*" + hint)
        self.assertFalse(os.path.exists(self.state))

    def test_no_verb(self):
        self.assert_usage("a verb is missing", "--help")

    def test_a_misspelt_verb(self):
        self.assert_usage("no verb 'moove'", "did you mean 'move'", "moove", "db1")
        self.assert_usage("no verb 'stauts'", "did you mean 'status'", "stauts")
        self.assert_usage("no verb 'throtle'", "did you mean 'throttle'", "throtle", "a", "b")
        self.assert_usage("no verb 'historyy'", "did you mean 'history'", "historyy")

    def test_a_word_that_is_like_no_verb(self):
        self.assert_usage("no verb 'defenestrate'", "'virt-pivot --help'", "defenestrate")

    def test_unknown_options(self):
        self.assert_usage("unknown or ambiguous option '--nonsense'", "status --help", "status",
                          "--nonsense")
        self.assert_usage("unknown or ambiguous option", "'virt-pivot --help'", "--nonsense",
                          "status")
        # An option of another verb is none of this one.
        self.assert_usage("unknown or ambiguous option '--watch'", "cancel --help", "cancel", "db1",
                          "--watch")

    def test_missing_arguments_of_options(self):
        self.assert_usage("an argument is missing after '--tier'", "plan --help", "plan", "db1",
                          "--tier")

    def test_format(self):
        self.assert_usage("--format is plain or json, not 'xml'", "--help", "--format", "xml",
                          "status")

    def test_number_of_arguments(self):
        for verb in ONE_DOMAIN:
            with self.subTest(verb=verb):
                self.assert_usage(f"'{verb}' takes: DOMAIN", f"{verb} --help", verb)
                self.assert_usage(f"'{verb}' takes: DOMAIN", f"{verb} --help", verb, "a", "b")
        self.assert_usage("'throttle' takes: DOMAIN RATE", "throttle --help", "throttle", "db1")
        self.assert_usage("'check' takes: no arguments", "check --help", "check", "db1")
        self.assert_usage("'status' takes", "status --help", "status", "a", "b")
        self.assert_usage("'history' takes", "history --help", "history", "1", "2")

    def test_queue_goes_with_neither_detach_nor_dry_run(self):
        for other in ("--detach", "--dry-run"):
            with self.subTest(other=other):
                self.assert_usage(f"--queue cannot go with {other}", "move --help", "move", "db1",
                                  "--queue", other)

    def test_rates(self):
        for rate in ("fast", "10XB", "", "1e400", "99999999999999999999"):
            with self.subTest(rate=rate):
                self.assert_usage("virt-pivot: error: '", "200MiB", "throttle", "db1", rate)
        self.assert_usage("unknown or ambiguous option", "throttle --help", "throttle", "db1", "-5")

    def test_quiet_silences_no_error(self):
        self.assertIn("no verb", self.vp("--quiet", "nonsense").err)

    def test_options_are_taken_before_and_behind_the_verb(self):
        before = run("--state", self.state, "--format", "json", "status")
        behind = run("status", "--state", self.state, "--format", "json")
        self.assertEqual((before.code, before.out), (0, behind.out))
        self.assertEqual(before.json, {"moves": [], "requests": [],
                                       "agent": {"running": False, "pid": None}})

    def test_version(self):
        result = run("--version")
        self.assert_exit(0, result)
        self.assertRegex(result.out, r"\Avirt-pivot \d+\.\d+\.\d+\n\Z")

    def test_without_a_policy_nothing_is_touched(self):
        for verb in ("plan", "move"):
            with self.subTest(verb=verb):
                result = self.vp("--policy", os.path.join(self.folder, "none"), verb, "db1")
                self.assert_exit(2, result)
                self.assertFalse(os.path.exists(self.state))


if __name__ == "__main__":
    virt_pivot.main()
