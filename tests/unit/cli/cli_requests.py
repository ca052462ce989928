"""Requests to the agent: what status shows of them, what check says, what cancel forgets, and what
`move --queue` refuses. The agent is played by cli_agent."""
import os
import subprocess
import sys
import threading
import time

import virt_pivot
from virt_pivot import Agent, Scene

# A domain with one disk, for libvirt's test driver.
NODE = """<node>
<domain type='test'><name>{name}</name><uuid>00000001-0000-4000-8000-000000000000</uuid>
<memory unit='KiB'>131072</memory><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/nonexistent.img'/>
<target dev='vda' bus='virtio'/></disk></devices></domain>
</node>
"""
KEYRING = "[client.libvirt]\n\tkey = AQAAAAAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAA==\n"
POLICY = """version: 1
clusters:
  flash: {{mons: ["127.0.0.1:1"]{extra}}}
tiers:
  gold: {{pool: flash/fast}}
rules:
  - {{match: {{}}, {rule}}}
"""


class TestCase(virt_pivot.TestCase):
    def setUp(self):
        super().setUp()
        self.agent = Agent(self.state)
        self.agent.__enter__()
        self.addCleanup(self.agent.__exit__)

    def requests(self, *arguments):
        return self.vp("--format", "json", "status", *arguments).json["requests"]

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def queue(self):
        folder = os.path.join(self.state, "queue")
        return [name for name in os.listdir(folder) if name.endswith(".json")] \
            if os.path.isdir(folder) else []


class Status(TestCase):
    def test_a_line_a_request(self):
        self.agent.do("lock")
        first = self.agent.add("db1", "tier", "gold", "vda,vdb")
        second = self.agent.add("db2", "start")
        self.agent.do(f"wait {second} 3600 no monitor answers")
        result = self.vp("status")
        self.assert_exit(0, result)
        self.assertEqual(result.err, "")
        header, one, two = result.out.splitlines()
        self.assertEqual(header.split()[:4], ["REQUEST", "DOMAIN", "DISKS", "TIER"])
        self.assertEqual(one.split(), f"{first} db1 vda,vdb gold tier waiting 0 now -".split())
        self.assertRegex(two, rf"^{second} +db2 +by policy +by policy +start +waiting +1 +"
                              r"in (59 min \d\d s|1 h 00 min) +no monitor answers$")

    def test_json(self):
        number = self.agent.add("db1", "tier", "gold", "vda")
        before = int(time.time())
        self.agent.do(f"wait {number} 60 pool full")
        status = self.vp("--format", "json", "status", "db1").json
        self.assertEqual(status["moves"], [])
        self.assertEqual(status["agent"], {"running": False, "pid": None})
        request = status["requests"][0]
        self.assertTrue(before + 60 <= request.pop("next_try") <= time.time() + 61)
        self.assertEqual(request["domain"], "db1")
        self.assertEqual((request["id"], request["state"], request["attempts"]),
                         (number, "waiting", 1))
        self.assertEqual((request["reason"], request["tier"], request["disks"]),
                         ("tier", "gold", ["vda"]))
        self.assertEqual((request["message"], request["process"], request["move"]),
                         ("pool full", None, None))
        self.agent.do("lock")
        self.assertEqual(self.vp("--format", "json", "status").json["agent"],
                         {"running": True, "pid": self.agent.process.pid})

    def test_only_failed_ones(self):
        number = self.agent.add()
        self.agent.do(f"fail {number} the pool is gone")
        result = self.vp("status")
        self.assert_exit(0, result)
        self.assertRegex(result.out, r"(?m) failed +3 +- +the pool is gone$")
        self.assertIn(f"request {number}: hint: 'virt-pivot move db1 --queue' tries again, "
                      "'virt-pivot cancel db1' forgets it", result.out)
        self.assertNotIn("no agent runs", result.out)  # it would do nothing about it
        self.assert_exit(0, self.vp("status", "db1"))
        number = self.agent.add("db1", "tier", "gold", "vda,vdb")
        self.agent.do(f"fail {number} the pool is gone")
        self.agent.do(f"hint {number} make the pool again")
        hint = ("make the pool again; 'virt-pivot move db1 --disk vda --disk vdb --tier gold --queue' "
                "tries again, 'virt-pivot cancel db1' forgets it")
        self.assertIn(f"request {number}: hint: {hint}", self.vp("status").out)
        self.assertIn(hint, self.vp("check").out)

    def test_of_one_domain_by_name_and_uuid(self):
        self.agent.add("db1")
        self.agent.add("db2")
        self.assertEqual(len(self.requests()), 2)
        uuid = self.requests("db1")[0]["uuid"]
        self.assertEqual([request["domain"] for request in self.requests(uuid)], ["db1"])
        self.assert_exit(3, self.vp("status", "db3"))

    def test_what_is_over_is_not_shown(self):
        number = self.agent.add()
        self.agent.do(f"end {number}")
        self.assert_exit(3, self.vp("status", "db1"))
        self.assertEqual(self.requests(), [])

    def test_without_an_agent_what_waits_goes_on_waiting(self):
        self.agent.add()
        self.assertIn("no agent runs: nobody carries out this request", self.vp("status").out)
        self.agent.do("lock")
        self.assertNotIn("no agent runs", self.vp("status").out)

    def test_what_lies_in_the_queue_is_shown_before_any_agent_has_seen_it(self):
        self.agent.do("put db1 migrate")
        result = self.vp("status", "db1")
        self.assert_exit(0, result)
        self.assertRegex(result.out, r"(?m)^- +db1 +vda +by policy +migrate +queued +0 +- +"
                                     "waits for an agent to take it$")
        self.assertIn("no agent runs", result.out)
        self.assertEqual((self.requests()[0]["state"], self.requests()[0]["id"]), ("queued", None))
        self.assertEqual(len(self.queue()), 1)

    def test_beside_a_move(self):
        number = self.agent.add("db1", "tier", "gold")
        with Scene(self.state, "db1") as scene:
            self.agent.do(f"run {number} {scene.process.pid}")
            moves, requests = self.vp("status").out.split("\n\n")
            self.assertIn("vdb", moves)
            self.assertRegex(requests, rf"(?m)^{number} +db1 .* running +1 ")
            self.assertEqual(self.requests()[0]["process"], scene.process.pid)

    def test_control_characters_do_not_reach_the_terminal(self):
        number = self.agent.add()
        self.agent.do(f"fail {number} \x1b[2Jgone\x07")
        out = self.vp("status").out
        self.assertIn("?[2Jgone?", out)
        self.assertNotIn("\x1b", out)


class Watch(TestCase):
    def start(self):
        process = subprocess.Popen(
            [virt_pivot.PROGRAM, "--state", self.state, "status", "--watch"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=virt_pivot.environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_as_long_as_an_agent_has_something_to_do(self):
        self.agent.do("lock")
        number = self.agent.add()
        process = self.start()
        for _ in range(2):  # two blocks
            while "REQUEST" not in process.stdout.readline():
                self.assertIsNone(process.poll())
        self.agent.do(f"end {number}")
        _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(err, f"request {number} of domain 'db1': done\n")

    def test_not_for_what_has_failed_or_has_no_agent(self):
        self.agent.add("db2")
        out, _ = self.start().communicate(timeout=10)
        self.assertIn("waiting", out)
        self.agent.do("lock")
        self.agent.do("fail 1 gone")
        out, _ = self.start().communicate(timeout=10)
        self.assertIn("failed", out)

    def test_what_was_queued_gets_its_number(self):
        self.agent.do("lock")
        self.agent.do("put db1 migrate")
        process = self.start()
        while "queued" not in process.stdout.readline():
            self.assertIsNone(process.poll())
        self.assert_exit(0, self.vp("cancel", "db1"))
        _, err = process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertNotIn("request 0", err)


class Cancel(TestCase):
    def test_what_waits_and_what_has_failed(self):
        waiting = self.agent.add("db1", "tier", "gold")
        failed = self.agent.add("db1", "start")
        self.agent.do(f"fail {failed} gone")
        other = self.agent.add("db2")
        result = self.vp("cancel", "db1")
        self.assert_exit(0, result)
        self.assertIn(f"request {waiting} of domain 'db1' (tier, tier gold): cancelled", result.err)
        self.assertIn(f"request {failed} of domain 'db1' (start): had failed; forgotten",
                      result.err)
        self.assertEqual([request["id"] for request in self.requests()], [other])
        self.assertEqual(self.agent.ask(f"state {waiting}"), "cancelled")
        self.assertEqual(self.agent.ask(f"state {failed}"), "cancelled")
        self.assert_exit(3, self.vp("cancel", "db1"))

    def test_by_uuid(self):
        self.agent.add()
        self.assert_exit(0, self.vp("cancel", self.requests()[0]["uuid"]))
        self.assertEqual(self.requests(), [])

    def test_what_lies_in_the_queue(self):
        self.agent.do("put db1 user")
        self.agent.do("put db2 user")
        self.assert_exit(0, self.vp("cancel", "db1"))
        self.assertEqual(len(self.queue()), 1)
        self.assertEqual([request["domain"] for request in self.requests()], ["db2"])

    def test_a_running_one_is_not_tried_again_and_its_move_is_undone(self):
        number = self.agent.add()
        with Scene(self.state, "db1") as scene:
            self.agent.do(f"run {number} {scene.process.pid}")
            scene.say("obey")
            result = self.vp("cancel", "db1")
        self.assert_exit(0, result)
        self.assertIn(f"request {number} of domain 'db1' (start): is not tried again", result.err)
        self.assertIn("was undone", result.err)
        self.assertEqual(self.agent.ask(f"state {number}"), "cancelled")

    def test_a_running_one_whose_move_has_pivoted_is_left_to_be_done(self):
        number = self.agent.add()
        with Scene(self.state, "db1") as scene:
            self.agent.do(f"run {number} {scene.process.pid}")
            scene.do("ready")
            scene.do("pivot")
            result = self.vp("cancel", "db1")
        self.assert_exit(1, result)
        self.assertIn("too late", result.err)
        self.assertEqual(self.agent.ask(f"state {number}"), "running")

    def test_a_running_one_whose_move_is_still_being_planned(self):
        """The move appears after `cancel` was called, and is cancelled all the same."""
        number = self.agent.add()
        uuid = self.requests()[0]["uuid"]
        # As the agent starts it: the domain is among its arguments.
        command = [sys.executable, "-c", "import time; time.sleep(60)", uuid]
        with subprocess.Popen(command) as planner:
            self.agent.do(f"run {number} {planner.pid}")
            scenes = []

            def begin():
                while self.agent_state(number) != "cancelled":
                    time.sleep(0.05)
                scenes.append(Scene(self.state, "db1"))
                scenes[0].say("obey")

            thread = threading.Thread(target=begin)
            thread.start()
            result = self.vp("cancel", "db1")
            thread.join()
            scenes[0].__exit__()
            planner.kill()
        self.assert_exit(0, result)
        self.assertIn("was undone", result.err)

    def agent_state(self, number):
        with Agent(self.state) as other:
            return other.ask(f"state {number}")

    def test_a_running_one_whose_process_is_gone(self):
        number = self.agent.add()
        with subprocess.Popen(["sleep", "60"]) as bystander:  # has got its process number
            self.agent.do(f"run {number} {bystander.pid}")
            start = time.monotonic()
            result = self.vp("cancel", "db1")
            self.assertLess(time.monotonic() - start, 20)
            bystander.kill()
        self.assert_exit(0, result)
        self.assertEqual(self.agent.ask(f"state {number}"), "cancelled")


class Check(TestCase):
    def lines(self, triggers="triggers: {on_migrate: false}\n", extra="", **options):
        policy = self.write("policy.yaml", POLICY.format(extra=extra, rule="tier: gold") + triggers)
        result = self.vp("-c", "qemu+unix:///system?socket=/nonexistent/socket", "--policy", policy,
                         "check", "--format", "json", **options)
        return {check["subject"]: check for check in result.json["checks"]}

    def test_the_agent(self):
        line = self.lines()["agent"]
        self.assertEqual((line["status"], line["text"]),
                         ("ok", "not running, and nothing needs it"))
        for trigger in ("on_start", "on_migrate"):
            line = self.lines(f"triggers: {{on_migrate: false, {trigger}: true}}\n"
                              if trigger == "on_start" else "")["agent"]
            self.assertEqual(line["status"], "warning")
            self.assertIn(trigger, line["text"])
            self.assertIn("virt-pivot agent", line["hint"])
        self.agent.do("lock")
        line = self.lines("")["agent"]
        self.assertEqual((line["status"], line["text"]),
                         ("ok", f"running (process {self.agent.process.pid})"))

    def test_requests_that_wait_need_one(self):
        self.agent.add()
        self.agent.do("put db2 user")
        line = self.lines()["agent"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("2 requests wait", line["text"])
        self.assertEqual(self.lines()["requests"]["text"],
                         "none has failed (waiting or running: 2)")

    def test_requests_that_failed(self):
        number = self.agent.add("db1", "tier", "gold")
        self.agent.do(f"fail {number} the pool is gone")
        line = self.lines()[f"request {number}"]
        self.assertEqual(line["status"], "warning")
        self.assertEqual(line["text"], "of domain 'db1' (tier, tier gold) failed: the pool is "
                                       "gone")
        self.assertIn("virt-pivot cancel db1", line["hint"])
        self.assertEqual(self.lines()["agent"]["status"], "ok")

    def test_garbage_in_the_queue(self):
        os.makedirs(os.path.join(self.state, "queue"), mode=0o700)
        with open(os.path.join(self.state, "queue", "x.json"), "wb") as file:
            file.write(b"\x00\xff{{{")
        self.vp("status")  # whoever looks sets it aside
        line = self.lines()["queue"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("1 file there was no request, and set aside: ", line["text"])
        self.assertIn(os.path.join(self.state, "queue", "bad"), line["text"])

    def test_a_hook_that_could_not_log_in(self):
        self.assertNotIn("on_migrate flash", self.lines(""))  # without cephx
        user = ", user: libvirt, secret: s"
        self.assertNotIn("on_migrate flash", self.lines(extra=user))  # without the trigger
        line = self.lines("", user)["on_migrate flash"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("names no keyring", line["text"])
        self.assertIn("tier gold would be refused", line["text"])
        self.assertIn("must not ask libvirt for secrets", line["hint"])

        keyring = os.path.join(self.folder, "keyring")
        user += f", keyring: {keyring}"
        line = self.lines("", user)["on_migrate flash"]
        self.assertEqual(line["status"], "warning")
        self.assertIn(f"cannot read {keyring}", line["text"])
        self.write("keyring", KEYRING)
        os.chmod(keyring, 0o600)
        self.assertEqual(self.lines("", user)["on_migrate flash"]["status"], "ok")

    def test_the_hook_becomes_the_owner_of_the_state_directory(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be another")
        keyring = self.write("keyring", KEYRING)
        user = f", user: libvirt, secret: s, keyring: {keyring}"
        os.chmod(keyring, 0o600)
        os.chmod(self.folder, 0o755)
        os.chown(self.state, 65534, 65534)
        line = self.lines("", user)["on_migrate flash"]
        self.assertEqual(line["status"], "warning")
        self.assertIn("cannot read", line["text"])
        os.chown(keyring, 0, 65534)
        os.chmod(keyring, 0o640)
        self.assertEqual(self.lines("", user)["on_migrate flash"]["status"], "ok")


class Queue(TestCase):
    """`move --queue` on libvirt's test driver."""

    def queued(self, *arguments, rule="tier: gold"):
        uri = "test://" + self.write("node.xml", NODE.format(name="db1"))
        policy = self.write("policy.yaml", POLICY.format(extra="", rule=rule))
        return self.vp("-c", uri, "--policy", policy, "move", "--queue", *arguments)

    def test_nonsense_is_refused_at_once(self):
        for code, message, arguments in (
                (1, "nonsense", ("nonsense",)), (2, "vdz", ("db1", "--disk", "vdz")),
                (2, "gould", ("db1", "--tier", "gould")),
                (2, "--bandwidth", ("db1", "--bandwidth", "x")),
                (1, "cluster 'flash'", ("db1",))):
            with self.subTest(arguments=arguments):
                result = self.queued(*arguments)
                self.assert_exit(code, result)
                self.assertIn(message, result.err)
        self.assert_exit(3, self.queued("db1", rule="leave: true"))
        self.assertEqual(self.queue(), [])


if __name__ == "__main__":
    virt_pivot.main()
