"""status, throttle, pause, resume, cancel and history, on journals made by cli_scene."""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import virt_pivot
from virt_pivot import Scene

MIB = 1 << 20


class NothingThere(virt_pivot.TestCase):
    def test_without_a_journal(self):
        self.assert_exit(0, self.vp("status"))
        self.assertIn("no move is under way", self.vp("status").err)
        self.assert_exit(0, self.vp("status", "--watch"))
        for arguments in (("status",), ("status", "--watch")):
            nothing = {"moves": [], "requests": [], "agent": {"running": False, "pid": None}}
            self.assertEqual(self.vp(*arguments, "--format", "json").json, nothing)
        self.assert_exit(3, self.vp("status", "db1"))
        self.assert_exit(3, self.vp("status", "--watch", "db1"))
        self.assert_exit(0, self.vp("history"))
        self.assertEqual(self.vp("history", "--format", "json").json, {"moves": []})
        self.assert_exit(3, self.vp("throttle", "db1", "1MiB"))
        for verb in ("pause", "resume", "cancel"):
            self.assert_exit(3, self.vp(verb, "db1"))
        self.assertFalse(os.path.exists(self.state))

    def test_other_domains_do_not_count(self):
        with Scene(self.state, "db1"):
            for arguments in (("status", "db2"), ("cancel", "db2"), ("history", "db2")):
                with self.subTest(arguments=arguments):
                    self.assert_exit(3, self.vp(*arguments))


class Status(virt_pivot.TestCase):
    def test_a_line_a_disk(self):
        with Scene(self.state) as scene:
            result = self.vp("status")
            self.assert_exit(0, result)
            header, vda, vdb = result.out.splitlines()
            self.assertEqual(header.split()[:4], ["MOVE", "DOMAIN", "DISK", "PHASE"])
            self.assertEqual(vda.split(), f"{scene.id} db1 vda copying 25 % 256 MiB of 1 GiB "
                             "64 MiB/s 2 MiB/s 13 s 1.9 ms (was 1.2)".split())
            self.assertEqual(vdb.split(), f"{scene.id} db1 vdb copying - - - - - -".split())
            self.assertEqual(result.err, "")

    def test_json(self):
        with Scene(self.state) as scene:
            moves = self.vp("--format", "json", "status", "db1").json["moves"]
            self.assertEqual(len(moves), 1)
            move = moves[0]
            self.assertEqual(move["id"], int(scene.id))
            self.assertEqual(move["kind"], "live")
            self.assertEqual(move["outcome"], "under way")
            self.assertEqual(move["process"], scene.process.pid)
            self.assertEqual((move["phase"], move["step"]), ("copying", "mirroring"))
            self.assertEqual((move["paused"], move["cancel_asked"], move["bandwidth"]),
                             (False, False, None))
            vda, vdb = move["disks"]
            self.assertEqual((vda["copied"], vda["total"], vda["rate"], vda["dirty_rate"]),
                             (256 * MIB, 1024 * MIB, 64 * MIB, 2 * MIB))
            self.assertEqual((vda["percent"], vda["eta_seconds"]), (25, 13))
            self.assertEqual((vda["latency_before_ms"], vda["latency_now_ms"]), (1.2, 1.9))
            self.assertEqual((vda["source"], vda["destination"], vda["tier"], vda["rule"]),
                             ("old/vms/db1-vda", "flash/fast/db1-vda", "gold", "databases"))
            self.assertEqual(vda["place"], "on its source")
            for key in ("copied", "total", "percent", "rate", "eta_seconds", "latency_now_ms"):
                self.assertIsNone(vdb[key], key)

    def test_json_where_numbers_have_a_comma(self):
        made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8",
                               os.path.join(self.folder, "de_DE.UTF-8")],
                              capture_output=True, check=False)
        if made.returncode > 1 or not os.path.isdir(os.path.join(self.folder, "de_DE.UTF-8")):
            self.skipTest("this machine cannot make a German locale")
        german = {"LOCPATH": self.folder, "LC_ALL": "de_DE.UTF-8",
                  "ASAN_OPTIONS": "detect_leaks=0"}  # glibc keeps what it makes of LOCPATH
        with Scene(self.state):
            move = self.vp("--format", "json", "status", "db1", **german).json["moves"][0]
            self.assertEqual(move["disks"][0]["latency_now_ms"], 1.9)
            self.assertIn("1.9 ms", self.vp("status", **german).out)

    def test_by_uuid(self):
        with Scene(self.state):
            uuid = self.vp("--format", "json", "status").json["moves"][0]["uuid"]
            self.assert_exit(0, self.vp("status", uuid))

    def test_a_dead_process(self):
        with Scene(self.state) as scene:
            pass
        result = self.vp("status")
        self.assert_exit(0, result)
        self.assertIn(f"move {scene.id}: process gone: 'virt-pivot recover'", result.out)
        self.assertNotIn("MiB/s", result.out)
        move = self.vp("--format", "json", "status").json["moves"][0]
        self.assertEqual((move["outcome"], move["process"]), ("process gone", None))
        self.assertIsNone(move["disks"][0]["rate"])

    def test_a_dead_process_that_copied_by_itself(self):
        with Scene(self.state, "db1", "offline") as scene:
            pass
        result = self.vp("status")
        self.assert_exit(0, result)
        self.assertIn(f"move {scene.id}: process gone: 'virt-pivot recover --resume db1' goes on "
                      "with its copy; 'virt-pivot recover' takes it back", result.out)

    def test_wishes_are_shown(self):
        with Scene(self.state):
            self.assert_exit(0, self.vp("pause", "db1"))
            self.assert_exit(0, self.vp("throttle", "db1", "20MiB/s"))
            result = self.vp("status")
            self.assertRegex(result.out, r"(?m)^move 1: paused; bandwidth 20 MiB/s$")
            self.assertIn(" paused ", result.out)
            self.assertNotIn(" 12 s", result.out)  # no end is in sight
            move = self.vp("--format", "json", "status").json["moves"][0]
            self.assertEqual((move["paused"], move["bandwidth"]), (True, 20 * MIB))

    def test_one_that_needs_an_operator(self):
        with Scene(self.state) as scene:
            scene.end("fail")
        result = self.vp("status")
        self.assertIn("needs you: the target vanished", result.out)
        self.assertIn("hint: bring it back", result.out)

    def test_a_finished_move_is_not_under_way(self):
        with Scene(self.state) as scene:
            scene.end("finish")
        self.assertIn("no move is under way", self.vp("status").err)


class Watch(virt_pivot.TestCase):
    def start(self, *arguments):
        process = subprocess.Popen(
            [virt_pivot.PROGRAM, "--state", self.state, "status", "--watch", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=virt_pivot.environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_until_all_have_ended(self):
        with Scene(self.state) as scene:
            process = self.start()
            for _ in range(2):  # two blocks
                while "PHASE" not in process.stdout.readline():
                    self.assertIsNone(process.poll())
            scene.end("finish")
            _, err = process.communicate(timeout=10)
            self.assertEqual(process.returncode, 0)
            self.assertIn(f"move {scene.id} of domain 'db1': moved", err)

    def test_ctrl_c(self):
        with Scene(self.state):
            process = self.start("db1")
            process.stdout.readline()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
            self.assertEqual(process.returncode, 0)

    def test_a_move_whose_process_dies(self):
        with Scene(self.state):
            process = self.start()
            process.stdout.readline()
        out, _ = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertIn("process gone: 'virt-pivot recover'", out)

    def test_nobody_reads_any_more(self):
        with Scene(self.state):
            process = self.start()
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.wait(timeout=10), 0)


class Wishes(virt_pivot.TestCase):
    def test_throttle(self):
        with Scene(self.state):
            result = self.vp("throttle", "db1", "50MiB")
            self.assert_exit(0, result)
            self.assertEqual(result.out, "")
            self.assertIn("asked for at most 50 MiB/s for each disk", result.err)
            for lifted in ("0", "unlimited"):
                self.assert_exit(0, self.vp("throttle", "db1", lifted))
                move = self.vp("--format", "json", "status").json["moves"][0]
                self.assertEqual(move["bandwidth"], 0)

    def test_pause_and_resume(self):
        with Scene(self.state):
            self.assert_exit(3, self.vp("resume", "db1"))
            self.assert_exit(0, self.vp("pause", "db1"))
            self.assert_exit(3, self.vp("pause", "db1"))
            self.assert_exit(0, self.vp("resume", "db1"))
            move = self.vp("--format", "json", "status").json["moves"][0]
            self.assertFalse(move["paused"])

    def test_quiet(self):
        with Scene(self.state):
            self.assertEqual(self.vp("--quiet", "pause", "db1").err, "")

    def test_a_dead_process_heeds_nothing(self):
        with Scene(self.state):
            pass
        for arguments in (("throttle", "db1", "1MiB"), ("pause", "db1"), ("resume", "db1"),
                          ("cancel", "db1")):
            with self.subTest(arguments=arguments):
                result = self.vp(*arguments)
                self.assert_exit(1, result)
                self.assertIn("is gone", result.err)
                self.assertIn("'virt-pivot recover db1'", result.err)
        move = self.vp("--format", "json", "status").json["moves"][0]
        self.assertEqual((move["paused"], move["cancel_asked"], move["bandwidth"]),
                         (False, False, None))

    def test_after_the_pivot_has_begun(self):
        with Scene(self.state) as scene:
            scene.do("ready")
            scene.do("pivot")
            for arguments in (("throttle", "db1", "1MiB"), ("pause", "db1"), ("cancel", "db1")):
                with self.subTest(arguments=arguments):
                    self.assert_exit(1, self.vp(*arguments))
            late = self.vp("cancel", "db1").err
            self.assertIn("too late", late)
            self.assertIn(f"'virt-pivot undo {scene.id}'", late)
            move = self.vp("--format", "json", "status").json["moves"][0]
            self.assertFalse(move["cancel_asked"])

    def test_one_that_needs_an_operator(self):
        with Scene(self.state) as scene:
            scene.end("fail")
        result = self.vp("cancel", "db1")
        self.assert_exit(4, result)
        self.assertIn("the target vanished", result.err)


class Cancel(virt_pivot.TestCase):
    def test_waits_until_it_is_undone(self):
        with Scene(self.state) as scene:
            scene.say("obey")
            result = self.vp("cancel", "db1")
            self.assert_exit(0, result)
            self.assertIn("was undone: everything is as it was", result.err)
            self.assertEqual(self.vp("--format", "json", "history").json["moves"][0]["outcome"],
                             "undone")

    def test_no_wait(self):
        with Scene(self.state):
            result = self.vp("cancel", "db1", "--no-wait")
            self.assert_exit(0, result)
            move = self.vp("--format", "json", "status").json["moves"][0]
            self.assertTrue(move["cancel_asked"])
            result = self.vp("pause", "db1")
            self.assert_exit(1, result)
            self.assertIn("is being undone", result.err)

    def when_asked(self, action):
        """Does it as soon as the wish to cancel is in the journal."""
        def wait():
            end = time.monotonic() + 30
            while not self.vp("--format", "json", "status").json["moves"][0]["cancel_asked"]:
                assert time.monotonic() < end
            action()
        thread = threading.Thread(target=wait)
        thread.start()
        self.addCleanup(thread.join)

    def test_too_late(self):
        with Scene(self.state) as scene:
            self.when_asked(lambda: scene.end("finish"))
            result = self.vp("cancel", "db1")
            self.assert_exit(1, result)
            self.assertIn("too late", result.err)
            self.assertIn("moved", result.err)

    def test_the_process_dies_meanwhile(self):
        with Scene(self.state) as scene:
            self.when_asked(scene.kill)
            result = self.vp("cancel", "db1")
            self.assert_exit(1, result)
            self.assertIn("'virt-pivot recover db1'", result.err)

    def test_it_needs_an_operator_meanwhile(self):
        with Scene(self.state) as scene:
            self.when_asked(lambda: scene.end("fail"))
            result = self.vp("cancel", "db1")
            self.assert_exit(4, result)
            self.assertIn("bring it back", result.err)


class History(virt_pivot.TestCase):
    """All on one journal: nothing here writes to it, but for a move of its own."""

    @classmethod
    def setUpClass(cls):
        # pylint: disable=consider-using-with
        folder = tempfile.TemporaryDirectory(prefix="vp-cli-")
        cls.addClassCleanup(folder.cleanup)
        cls.shared = os.path.join(folder.name, "state")
        with Scene(cls.shared, "db1") as scene:
            scene.end("finish")
        with Scene(cls.shared, "db2") as scene:
            scene.end("part")
        with Scene(cls.shared, "db3") as scene:
            scene.say("obey")
            virt_pivot.run("--state", cls.shared, "cancel", "db3")
        with Scene(cls.shared, "db4"):
            pass

    def setUp(self):
        super().setUp()
        self.state = self.shared

    def test_list(self):
        result = self.vp("history")
        self.assert_exit(0, result)
        header, *rows = result.out.splitlines()
        self.assertEqual(header.split(),
                         ["MOVE", "DOMAIN", "KIND", "BEGUN", "TOOK", "OUTCOME", "COPIED", "DISKS"])
        self.assertEqual([row.split()[:2] for row in rows],
                         [["1", "db1"], ["2", "db2"], ["3", "db3"], ["4", "db4"]])
        for row, outcome in zip(rows, ("moved ", "moved in part ", "undone ",
                                       "process gone (copying) ")):
            self.assertIn(outcome, row)
            self.assertIn("256 MiB  vda → flash/fast/db1-vda, vdb → flash/fast/db1-vdb", row)

    def test_of_one_domain(self):
        result = self.vp("history", "db2")
        self.assert_exit(0, result)
        self.assertEqual(len(result.out.splitlines()), 2)
        self.assertIn("db2", result.out)

    def test_story(self):
        result = self.vp("history", "1")
        self.assert_exit(0, result)
        for expected in ("Move 1 of domain db1 (", "kind        live move\n",
                         "outcome     moved\n",
                         "strategy    dance (undefining it loses nothing)",
                         "definition  saved as " + self.state + "/definitions/db1-",
                         "contents    not asked for", "disk vda: old/vms/db1-vda → flash/fast/db1-vda",
                         "on its target, tier gold by rule 'databases', copied 256 MiB, "
                         "latency 1.9 ms, before 1.2 ms"):
            self.assertIn(expected, result.out)
        header, *lines = result.out.split("\n\n")[1].splitlines()
        column = slice(header.index("STEP"), header.index("DETAIL"))
        words = [line[column].strip() for line in lines]
        self.assertEqual(words, ["planned", "locked", "source prepared", "target created",
                                 "definition saved", "undefined", "copying",
                                 "mirroring: not finished", "disk", "disk", "pivoted", "warning",
                                 "redefined"])

    def test_story_of_an_undone_move(self):
        out = self.vp("history", "3").out
        self.assertIn("outcome     undone\n", out)
        self.assertNotIn("contents", out)
        self.assertRegex(out, r"undone +everything is as it was")

    def test_story_json(self):
        move = self.vp("--format", "json", "history", "1").json
        self.assertEqual(move["contents"], "not asked for")
        self.assertEqual(move["definition"], "dance")
        self.assertTrue(os.path.isfile(move["definition_file"]))
        self.assertEqual([disk["place"] for disk in move["disks"]], ["on its target"] * 2)
        self.assertEqual(move["steps"][0]["phase"], "planned")
        self.assertEqual(move["steps"][-1], {"at_ms": move["steps"][-1]["at_ms"], "event": "done",
                                             "phase": "redefined",
                                             "detail": "vda on flash/fast/db1-vda"})
        times = [step["at_ms"] for step in move["steps"]]
        self.assertEqual(times, sorted(times))
        self.assertIsNone(self.vp("--format", "json", "history", "3").json["contents"])

    def test_definitions_are_never_printed(self):
        for arguments in (("history",), ("history", "1"), ("status",)):
            for form in ("plain", "json"):
                result = self.vp("--format", form, *arguments)
                self.assertNotIn("sesame", result.out + result.err)
                self.assertNotIn("<domain", result.out + result.err)

    def test_a_domain_whose_name_is_a_number(self):
        self.state = os.path.join(self.folder, "state")
        with Scene(self.state, "4711"):
            result = self.vp("history", "4711")
            self.assert_exit(0, result)
            self.assertRegex(result.out, r"(?m)^1 +4711 ")

    def test_no_such_move(self):
        result = self.vp("--format", "json", "history", "99")
        self.assert_exit(1, result)
        self.assertEqual(result.out, "")
        self.assertIn("there is no move 99", result.err)


class NothingHasBegun(virt_pivot.TestCase):
    """libvirt takes the connection, and never says a word."""

    def setUp(self):
        super().setUp()
        self.policy = os.path.join(self.folder, "policy.yaml")
        with open(self.policy, "w", encoding="utf-8") as file:
            file.write("""version: 1
clusters:
  flash: {mons: ["127.0.0.1:1"], user: libvirt, secret: s}
tiers:
  gold: {pool: flash/fast}
rules:
  - {match: {}, tier: gold}
""")
        # pylint: disable=consider-using-with
        self.socket = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.socket.close)
        self.socket.bind(os.path.join(self.folder, "mute"))
        self.socket.listen()
        self.socket.settimeout(30)

    def test_it_ends_at_once(self):
        uri = f"qemu+unix:///system?socket={self.folder}/mute"
        for options in ((), ("--detach",)):
            with self.subTest(options=options):
                # pylint: disable=consider-using-with
                process = subprocess.Popen(
                    [virt_pivot.PROGRAM, "--state", self.state, "--policy", self.policy, "-c", uri,
                     "move", "db1", *options], env=virt_pivot.environment(),
                    stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                peer, _ = self.socket.accept()
                process.send_signal(signal.SIGTERM)
                self.assertNotEqual(process.wait(30), 0)
                peer.settimeout(30)
                while peer.recv(4096):
                    pass  # until nobody holds the other end
                peer.close()


if __name__ == "__main__":
    virt_pivot.main()
