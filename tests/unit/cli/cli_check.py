"""`check` without libvirt and without Ceph: what it says then, and its exit status."""
import os
import socket
import time

import virt_pivot
from virt_pivot import Scene

NO_LIBVIRT = "qemu+unix:///system?socket=/nonexistent/socket"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Check(virt_pivot.TestCase):
    def policy(self, text):
        path = os.path.join(self.folder, "policy.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def valid_policy(self, extra="", port=None):
        return self.policy(f"""version: 1
clusters:
  flash: {{mons: ["127.0.0.1:{port or free_port()}"], user: libvirt, secret: s{extra}}}
tiers:
  gold: {{pool: flash/fast}}
rules:
  - {{match: {{}}, tier: gold}}
""")

    def check(self, policy, *arguments):
        return self.vp("-c", NO_LIBVIRT, "--policy", policy, "check", *arguments)

    def lines(self, policy):
        checks = self.check(policy, "--format", "json").json["checks"]
        return {check["subject"]: check for check in checks}

    def test_a_wrong_policy_is_2_and_the_rest_is_looked_at_all_the_same(self):
        policy = self.policy("version: 1\nclustres: {}\n")
        result = self.check(policy)
        self.assert_exit(2, result)
        first, hint, *rest = result.out.splitlines()
        self.assertRegex(first, rf"^error +policy +{policy}:2:1: ")
        self.assertRegex(hint, "^         hint: .*clusters")
        self.assertRegex("\n".join(rest), r"(?m)^error +libvirt +cannot connect")
        self.assertRegex("\n".join(rest), r"(?m)^ok +librbd +version \d")
        self.assertIn("the policy's among them", result.err)

    def test_no_policy_is_2(self):
        self.assert_exit(2, self.check(os.path.join(self.folder, "none.yaml")))

    def test_json(self):
        report = self.check(self.valid_policy(), "--format", "json").json
        self.assertEqual(set(report), {"checks", "errors", "warnings"})
        for check in report["checks"]:
            self.assertEqual(set(check), {"status", "subject", "text", "hint"})
            self.assertIn(check["status"], ("ok", "warning", "error"))
        statuses = [check["status"] for check in report["checks"]]
        self.assertEqual((report["errors"], report["warnings"]),
                         (statuses.count("error"), statuses.count("warning")))

    def test_without_libvirt(self):
        policy = self.valid_policy()
        self.assert_exit(1, self.check(policy))
        lines = self.lines(policy)
        self.assertEqual(lines["policy"]["status"], "ok")
        self.assertIn(policy, lines["policy"]["text"])
        self.assertEqual(lines["libvirt"]["status"], "error")
        # Its key is out of reach: nothing is known of the cluster.
        self.assertEqual(lines["cluster flash"]["status"], "warning")
        self.assertIn("not examined", lines["cluster flash"]["text"])

    def test_a_dead_cluster_takes_no_more_than_10_seconds_and_is_named(self):
        keyring = os.path.join(self.folder, "keyring")
        with open(keyring, "w", encoding="utf-8") as file:
            file.write("[client.libvirt]\n\tkey = AQAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAA==\n")
        os.chmod(keyring, 0o600)
        with socket.socket() as silent:  # accepts, and never says a word
            silent.bind(("127.0.0.1", 0))
            silent.listen(8)
            port = silent.getsockname()[1]
            policy = self.valid_policy(f", keyring: {keyring}", port)
            start = time.monotonic()
            lines = self.lines(policy)
            self.assertLess(time.monotonic() - start, 13)
        self.assertEqual(lines["cluster flash"]["status"], "error")
        self.assertIn(f"127.0.0.1:{port}", lines["cluster flash"]["text"])
        self.assertEqual(lines["keyring flash"]["status"], "ok")

    def test_keyrings(self):
        keyring = os.path.join(self.folder, "keyring")
        policy = self.valid_policy(f", keyring: {keyring}")
        line = self.lines(policy)["keyring flash"]
        self.assertEqual(line["status"], "error")
        self.assertIn(keyring, line["text"])
        with open(keyring, "w", encoding="utf-8") as file:
            file.write("[client.libvirt]\n\tkey = AQAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAA==\n")
        os.chmod(keyring, 0o644)
        line = self.lines(policy)["keyring flash"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("everybody", line["text"])

    def test_unfinished_moves(self):
        policy = self.valid_policy()
        with Scene(self.state):
            line = self.lines(policy)["move 1"]
            self.assertEqual(line["status"], "ok")
            self.assertIn("under way", line["text"])
        line = self.lines(policy)["move 1"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("virt-pivot recover", line["hint"])
        with Scene(self.state, "db2") as scene:
            scene.end("fail")
        line = self.lines(policy)["move 2"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("the target vanished", line["text"])
        self.assertEqual(line["hint"], "bring it back")

    def test_state_is_not_made(self):
        self.check(self.valid_policy())
        self.assertFalse(os.path.exists(self.state))

    def test_a_broken_journal_is_an_error(self):
        os.mkdir(self.state, 0o700)
        with open(os.path.join(self.state, "journal.db"), "wb") as file:
            file.write(b"this is not a database at all, not by any means\n" * 100)
        line = self.lines(self.valid_policy())["journal"]
        self.assertEqual(line["status"], "error")


if __name__ == "__main__":
    virt_pivot.main()
