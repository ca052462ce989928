"""Incoming migrations: what status, history, check, recover and cancel make of moves that have no
process of their own."""
import os
import subprocess

import virt_pivot
from virt_pivot import Agent, Scene

NO_LIBVIRT = "qemu+unix:///system?socket=/nonexistent/socket"
OLD = "old/vms/db1-vda (vda), old/vms/db1-vdb (vdb)"
NEW = "flash/fast/db1-vda (vda), flash/fast/db1-vdb (vdb)"


class TestCase(virt_pivot.TestCase):
    def vp(self, *arguments, **options):
        return super().vp("-c", NO_LIBVIRT, *arguments, **options)

    def move(self, verb="status"):
        return self.vp("--format", "json", verb).json["moves"][0]


class Status(TestCase):
    def test_before_its_guest_is_here(self):
        with Scene(self.state, "db1", "incoming") as scene, Agent(self.state) as agent:
            agent.do("lock")
            result = self.vp("status")
            self.assert_exit(0, result)
            self.assertIn(f"move {scene.id}: waits for its guest, which libvirt migrates here\n",
                          result.out)
            self.assertRegex(result.out, r"(?m)^1 +db1 +vda +copying +- ")
            self.assertNotIn("process gone", result.out)
            self.assertNotIn("old/vms", result.out)
            move = self.move()
            self.assertEqual((move["kind"], move["outcome"], move["process"]),
                             ("incoming", "waits for its guest", None))

    def test_without_an_agent_the_guest_may_be_here_and_nobody_has_seen_it(self):
        with Scene(self.state, "db1", "incoming"):
            out = self.vp("status").out
        self.assertIn("waits for its guest, and no agent runs", out)
        self.assertIn(f"still names {OLD}", out)
        self.assertIn("'virt-pivot recover'", out)

    def test_the_guest_is_here_and_its_definition_is_stale(self):
        with Scene(self.state, "db1", "incoming") as scene:
            scene.do("arrive")
            for agent in (False, True):
                with self.subTest(agent=agent), Agent(self.state) as player:
                    if agent:
                        player.do("lock")
                    result = self.vp("status", "db1")
                    self.assert_exit(0, result)
                    self.assertIn(f"move 1: ATTENTION: the guest is on {NEW}, and the persistent "
                                  f"definition still names {OLD}; it is put right by the agent or "
                                  "'virt-pivot recover'", result.out)
                    self.assertNotIn("process gone", result.out)
            self.assertEqual(self.move()["outcome"], "definition not settled")
            scene.end("finish")
        self.assertIn("no move is under way", self.vp("status").err)

    def test_while_its_images_are_made_it_is_under_way_and_then_left(self):
        with Scene(self.state, "db1", "broken"):
            self.assertEqual(self.move()["outcome"], "under way")
            self.assertNotIn("images were not made", self.vp("status").out)
        self.assertEqual(self.move()["outcome"], "left unfinished")
        out = self.vp("status").out
        self.assertIn("its images were not made to the end", out)
        self.assertNotIn("process gone", out)

    def test_one_that_needs_an_operator(self):
        with Scene(self.state, "db1", "incoming") as scene:
            scene.end("fail")
        out = self.vp("status").out
        self.assertIn("needs you: the target vanished", out)
        self.assertNotIn("waits for its guest", out)
        self.assertEqual(self.move()["outcome"], "needs operator")

    def watch(self):
        process = subprocess.Popen(
            [virt_pivot.PROGRAM, "--state", self.state, "status", "--watch"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=virt_pivot.environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_watch_ends_with_the_last_who_could_change_anything(self):
        with Scene(self.state, "db1", "incoming") as scene:
            _, err = self.watch().communicate(timeout=10)  # no agent: nobody will
            self.assertEqual(err, "")
            with Agent(self.state) as agent:
                agent.do("lock")
                process = self.watch()
                for _ in range(2):  # two blocks
                    while "waits for its guest" not in process.stdout.readline():
                        self.assertIsNone(process.poll())
                scene.end("finish")
                _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertIn("move 1 of domain 'db1': moved", err)


class History(TestCase):
    def test_kinds_and_outcomes(self):
        for domain, end in (("db1", "finish"), ("db3", "fail")):
            with Scene(self.state, domain, "incoming") as scene:
                scene.end(end)
        with Scene(self.state, "db2") as scene:
            scene.end("finish")
        with Scene(self.state, "db4", "incoming"):
            header, *rows = self.vp("history").out.splitlines()
        kind = slice(header.index("KIND"), header.index("BEGUN"))
        outcome = slice(header.index("OUTCOME"), header.index("COPIED"))
        self.assertEqual([(row[kind].strip(), row[outcome].strip()) for row in rows],
                         [("arrived by migration", "moved"), ("by migration", "needs operator"),
                          ("live move", "moved"),
                          ("by migration", "waits for its guest (copying)")])

    def test_story(self):
        with Scene(self.state, "db1", "incoming") as scene:
            scene.end("finish")
        out = self.vp("history", "1").out
        self.assertIn("kind        arrived by migration\n", out)
        self.assertNotIn("strategy", out)  # that is of QEMU's mirror
        self.assertNotIn("definition  saved", out)
        self.assertRegex(out, r"copying +libvirt copies\n")
        move = self.vp("--format", "json", "history", "1").json
        self.assertEqual((move["kind"], move["outcome"], move["definition"]),
                         ("incoming", "moved", None))


class Wishes(TestCase):
    def test_nobody_here_copies(self):
        with Scene(self.state, "db1", "incoming"):
            for arguments in (("throttle", "db1", "1MiB"), ("pause", "db1"), ("resume", "db1")):
                with self.subTest(arguments=arguments):
                    result = self.vp(*arguments)
                    self.assert_exit(1, result)
                    self.assertIn("which libvirt carries out", result.err)
                    self.assertIn("virsh domjobabort db1", result.err)
        move = self.move()
        self.assertEqual((move["paused"], move["bandwidth"]), (False, None))

    def test_cancel_without_libvirt(self):
        with Scene(self.state, "db1", "incoming"):
            result = self.vp("cancel", "db1")
        self.assert_exit(1, result)
        self.assertIn("nobody here runs it", result.err)
        self.assertFalse(self.move()["cancel_asked"])


class Recover(TestCase):
    """On libvirt's test driver, where there is no db1."""

    def vp(self, *arguments, **options):
        return virt_pivot.TestCase.vp(self, "-c", "test:///default", *arguments, **options)

    def test_one_that_is_on_its_way_is_neither_recovered_nor_dead(self):
        with Scene(self.state, "db1", "incoming"):
            for arguments in (("recover",), ("recover", "db1")):
                with self.subTest(arguments=arguments):
                    result = self.vp(*arguments)
                    self.assert_exit(3, result)
                    self.assertIn("move 1: domain 'db1' is still on its way; look again",
                                  result.err)
                    self.assertIn("1 move is under way, and none is dead", result.err)
            self.assertEqual(self.move()["phase"], "copying")

    def test_a_live_move_of_another_connection_is_not_touched(self):
        with Scene(self.state, "db1"):
            pass
        result = self.vp("recover")
        self.assert_exit(1, result)
        self.assertIn("was begun on qemu:///system, and this is test:///default", result.err)

    def test_cancel_of_one_that_is_on_its_way(self):
        with Scene(self.state, "db1", "incoming"):
            result = self.vp("cancel", "db1")
            self.assert_exit(1, result)
            self.assertIn("is still on its way", result.err)
            self.assertIn("virsh domjobabort db1", result.err)


class Check(TestCase):
    def lines(self, uri=NO_LIBVIRT):
        policy = os.path.join(self.folder, "policy.yaml")
        with open(policy, "w", encoding="utf-8") as file:
            file.write("version: 1\n")
        result = virt_pivot.TestCase.vp(self, "-c", uri, "--policy", policy, "check", "--format",
                                        "json")
        return {check["subject"]: check for check in result.json["checks"]}

    def assert_unsettled(self, line):
        self.assertEqual(line["status"], "error")
        self.assertIn(f"a start from its definition would use {OLD} instead of {NEW}",
                      line["text"])
        self.assertIn("db1", line["text"])

    def test_where_libvirt_says_nothing_it_is_an_error(self):
        with Scene(self.state, "db1", "incoming"):
            self.assert_unsettled(self.lines()["move 1"])

    def test_on_its_way_while_libvirt_knows_no_such_domain(self):
        with Scene(self.state, "db1", "incoming"):
            line = self.lines("test:///default")["move 1"]
        self.assertEqual(line["status"], "ok")
        self.assertIn("waits for domain 'db1'", line["text"])

    def test_the_guest_is_here_and_no_agent_has_seen_it(self):
        with Scene(self.state, "db1", "incoming"):
            uuid = self.move()["uuid"]
            node = os.path.join(self.folder, "node.xml")
            with open(node, "w", encoding="utf-8") as file:
                file.write(f"<node><domain type='test'><name>db1</name><uuid>{uuid}</uuid>"
                           "<memory>131072</memory><os><type>hvm</type></os></domain></node>")
            self.assert_unsettled(self.lines("test://" + node)["move 1"])

    def test_arrived(self):
        with Scene(self.state, "db1", "incoming") as scene:
            scene.do("arrive")
            for uri in (NO_LIBVIRT, "test:///default"):
                line = self.lines(uri)["move 1"]
                self.assert_unsettled(line)
                self.assertIn("'virt-pivot recover'", line["hint"])

    def test_one_that_needs_an_operator(self):
        with Scene(self.state, "db1", "incoming") as scene:
            scene.end("fail")
        line = self.lines()["move 1"]
        self.assert_unsettled(line)
        self.assertIn("the target vanished", line["text"])
        self.assertEqual(line["hint"], "bring it back")

    def test_while_its_images_are_made(self):
        with Scene(self.state, "db1", "broken"):
            self.assertEqual(self.lines()["move 1"]["status"], "ok")
        line = self.lines()["move 1"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("'virt-pivot recover'", line["hint"])


if __name__ == "__main__":
    virt_pivot.main()
