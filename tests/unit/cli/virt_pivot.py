"""Running the built virt-pivot, as a user at a terminal would."""
import json
import os
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["VIRT_PIVOT"]
SCENE = os.environ["CLI_SCENE"]
AGENT = os.environ["CLI_AGENT"]
SOURCE = os.environ["SOURCE_DIR"]


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)


def environment():
    """Nothing of this machine's own configuration or language."""
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("VIRT_PIVOT", "CEPH_", "LIBVIRT_"))}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC0"}


def run(*arguments, **options):
    return Result(subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60,
                                 stdin=subprocess.DEVNULL, check=False,
                                 env={**environment(), **options}))


class TestCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vp-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.state = os.path.join(self.folder, "state")

    def vp(self, *arguments, **options):
        return run("--state", self.state, *arguments, **options)

    def assert_exit(self, code, result):
        self.assertEqual(code, result.code, f"\nstdout: {result.out}\nstderr: {result.err}")


class Actor:
    """A process that plays a part, told what to do a line at a time. At the end of its `with` it is
    killed."""

    def __init__(self, *arguments):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=environment())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def say(self, word):
        """Does not wait for its answer."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def ask(self, word):
        self.say(word)
        return self.process.stdout.readline().strip()

    def do(self, word):
        answer = self.ask(word)
        assert answer == "done", answer


class Scene(Actor):
    """A move's process; see cli_scene.c."""

    def __init__(self, state, domain="db1", *kind):
        super().__init__(SCENE, state, domain, *kind)
        self.id = self.process.stdout.readline().split()[-1]

    def end(self, word):
        self.do(word)
        assert self.process.wait(10) == 0


class Agent(Actor):
    """The agent, and whoever asks things of it; see cli_agent.c."""

    def __init__(self, state):
        super().__init__(AGENT, state)
        assert self.process.stdout.readline() == "ready\n"

    def add(self, domain="db1", reason="start", tier="-", disks="-"):
        return int(self.ask(f"add {domain} {reason} {tier} {disks}"))


main = unittest.main
