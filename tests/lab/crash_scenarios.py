"""What is done to a guest while the program dies: one class a kind of scenario. Each names the
command in which it dies, and what must be so afterwards."""
import os
import signal
import subprocess
import time

import rbd
from crash_checker import Before, Checker
from crash_world import Trouble, lab, run, virsh, wait_for

TARGETS = ("vda", "vdb", "vdc")
PLACES = ("old/vms", "flash/fast", "old/vms2", "flash/bulk")
DISK_BYTES = "16M"
HOLES = rbd.RBD_FEATURE_OBJECT_MAP | rbd.RBD_FEATURE_FAST_DIFF


class Lane:
    """A guest that is moved to and fro, round after round; each with a state directory of its own
    and images of new names, so that nothing of an earlier round can be taken for this one's."""

    def __init__(self, clusters, guest, program):
        self.clusters, self.guest, self.program = clusters, guest, program
        self.round, self.ready = 0, False

    def set_up(self):
        lab("guest", "remove", self.guest.name, good=None)
        self.guest.make_folder()
        disks = []
        for target in TARGETS:
            place = f"rbd:old/vms/{self.guest.name}-{target}-r0"
            disks += ["--disk", f"{place}:{DISK_BYTES}"]
        lab("guest", "define", self.guest.name, "--autostart", "--cmdline",
            "vp.window=2 vp.rate=10", *disks)
        self.start()

    def start(self):
        virsh("start", self.guest.name)
        if not self.guest.goes_on():
            raise Trouble(f"{self.guest.name} does not start")

    def begin_round(self, definition="dance", settings=(), running=True, near=False):
        """A new policy, an empty state directory. Returns where disks would go: to another cluster,
        or near by."""
        guest = self.guest
        if guest.runs() != running:
            if running:
                self.start()
            else:
                virsh("destroy", guest.name)
        self.round += 1
        guest.empty_state()
        saved = guest.saved()
        for image in self.clusters.list(lambda name: name.startswith(guest.name + "-")):
            if image not in saved.values():
                self.clusters.remove(image)
        self.clusters.purge_trash(lambda name: name.startswith(guest.name + "-"))
        used = {image.rpartition("/")[0] for image in saved.values()}
        here, _, pool = saved["vda"].rpartition("/")[0].partition("/")
        free = [p for p in PLACES if p not in used]
        place = next((p for p in free if not p.startswith(here + "/")), free[0])
        if near:
            place = next(p for p in PLACES if p.startswith(here + "/") and p != f"{here}/{pool}")
        with open(guest.policy, "w", encoding="utf-8") as file:
            file.write(policy(place, self.round, definition, settings))
        return {t: f"{place}/{guest.name}-{t}-r{self.round}" for t in TARGETS}

    def command(self, *arguments, under=()):
        guest = self.guest
        uid = os.environ["VP_LAB_UID"]
        return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs",
                "--inh-caps=-all", "--", *under, self.program, "-c", os.environ["VP_LAB_URI"],
                "--policy", guest.policy, "--state", guest.state_folder, *arguments]

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if name.startswith("VP_LAB_")}
        return {"PATH": os.environ["PATH"], "HOME": os.environ["VP_LAB_HOME"], "LC_ALL": "C.UTF-8",
                **kept, **more}

    def vp(self, *arguments, good=None, **environment):
        return run(*self.command(*arguments), good=good, seconds=240,
                   env=self.environment(**environment))

    def start_vp(self, *arguments, under=(), **environment):
        # pylint: disable=consider-using-with
        return subprocess.Popen(self.command(*arguments, under=under), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment(**environment))


def policy(place, number, definition, settings):
    clusters = ""
    for name in ("old", "flash"):
        clusters += f"""\
  {name}:
    mons: ["127.0.0.1:{os.environ[f'VP_LAB_PORT_{name}']}"]
    user: libvirt
    secret: {os.environ[f'VP_LAB_SECRET_{name}']}
    keyring: {os.environ[f'VP_LAB_KEYRING_{name}']}
"""
    lines = "".join(f"{line}\n" for line in settings)
    return f"""\
version: 1
clusters:
{clusters}tiers:
  there:
    pool: {place}
    image: "{{name}}-{{target}}-r{number}"
    qos: {{iops: 5000}}
rules:
  - {{name: all, match: {{}}, tier: there}}
definition: {definition}
{lines}"""


class Clock:
    """How long each part of a round took."""

    def __init__(self):
        self.last, self.laps = time.monotonic(), ""

    def lap(self, what):
        now = time.monotonic()
        self.laps += f" {what} {now - self.last:.1f}"
        self.last = now


class Outcome:
    """What became of one death."""

    def __init__(self, point, phase, checker, died, talk, laps=""):
        self.point, self.phase, self.died, self.laps = point, phase, died, laps
        self.checks, self.wrong, self.talk = checker.checks, checker.wrong, talk
        self.asked = checker.asked


def asked(lane, checker, *command):
    """What has to go well, or has nothing to do. Returns what was said."""
    done = lane.vp(*command)
    checker.that(done.returncode in (0, 3), f"{command[0]}: exit code {done.returncode}")
    return f"--- {command[0]}: {done.returncode}\n{done.stderr}"


class Move:
    """`move` of some disks of a running guest."""

    runs = True  # the guest, in the end
    dies = False  # it ran when the command was given
    may_ask = False  # whether recovery may end with a question to an operator
    alone = False  # nothing else may go on beside it
    fixed_points = ()  # instead of those that the program passes
    sides = ("back", "forward")
    near = False  # to another pool of the same cluster
    clients = 2  # that may have an image open, with those that were killed

    def __init__(self, name, targets, definition="dance", settings=("verify: none",)):
        self.name, self.targets, self.definition = name, targets, definition
        self.settings = settings

    def prepare(self, lane):
        """Makes a round ready, as far as the command that is to die."""
        there = lane.begin_round(self.definition, self.settings, self.runs is not False or
                                 self.dies, self.near)
        here = lane.guest.saved()
        source = here[self.targets[0]]
        with lane.clusters.open(source) as image:
            on = image.features() & HOLES
            if on:  # so that there is something to prepare
                image.update_features(on, False)
        return Before(lane.guest, {**here, **{t: there[t] for t in self.targets}})

    def arguments(self, lane):
        words = ["move", lane.guest.name]
        for target in self.targets:
            words += ["--disk", target]
        return words

    def harm(self, lane):
        """What else happens at the moment of death."""

    def list_points(self, lane):
        """Runs it to its end: the points it passes, and the outcome."""
        before = self.prepare(lane)
        path = f"{lane.guest.folder}/points"
        with open(path, "w", encoding="utf-8"):
            os.chmod(path, 0o666)
        done = lane.vp(*self.arguments(lane), VIRT_PIVOT_CRASH_LIST=path)
        checker = Checker(before)
        checker.that(done.returncode == 0, f"exit code {done.returncode}")
        self.end(lane, checker)
        checker.at_the_end(runs=self.runs is not False or self.dies, sides=self.sides)
        with open(path, encoding="utf-8") as file:
            points = numbered(file.read().splitlines())
        return points, Outcome("", "all of it", checker, False, done.stderr)

    def die_at(self, lane, point):
        clock = Clock()
        before = self.prepare(lane)
        clock.lap("prepared")
        done = lane.vp(*self.arguments(lane), VIRT_PIVOT_CRASH_AT=point,
                       VIRT_PIVOT_CRASH_ONCE=f"{lane.guest.state_folder}/died")
        clock.lap("died")
        died = done.returncode == -signal.SIGKILL
        checker = Checker(before)
        checker.that(died or done.returncode == 0, f"exit code {done.returncode} instead of death")
        self.harm(lane)
        phase = lane.guest.phase()
        checker.at_once(bool(self.runs), self.clients)
        clock.lap("looked")
        talk = done.stderr + self.recover(lane, checker)
        clock.lap("recovered")
        self.at_the_end(lane, checker)
        clock.lap("looked")
        return Outcome(point, phase, checker, died, talk, clock.laps)

    def end(self, lane, checker):  # pylint: disable=unused-argument
        """What a user does then. Returns what was said."""
        return ""

    def recover(self, lane, checker):
        done = lane.vp("recover")
        checker.asked = done.returncode == 4 and self.may_ask
        checker.that(done.returncode in (0, 3) or checker.asked,
                     f"recover: exit code {done.returncode}")
        again = lane.vp("recover")
        checker.that(again.returncode == (4 if checker.asked else 3),
                     f"recover, again: exit code {again.returncode}")
        return f"--- recover: {done.returncode}\n{done.stderr}" + \
               f"--- recover, again: {again.returncode}\n{again.stderr}" + self.end(lane, checker)

    def at_the_end(self, lane, checker):
        runs = lane.guest.runs() if self.runs is None else self.runs
        if checker.asked:
            checker.both_kept()
        else:
            checker.at_the_end(runs=runs, sides=self.sides)
            if not runs and self.dies and not checker.wrong:
                lane.start()
                checker.at_the_end(sides=self.sides)


class RecoverAfter(Move):
    """`recover` dies, after a move had died at a point of its own."""

    def __init__(self, name, targets, first, sides, **options):
        super().__init__(name, targets, **options)
        self.first, self.sides = first, sides

    def prepare(self, lane):
        before = super().prepare(lane)
        done = lane.vp(*super().arguments(lane), VIRT_PIVOT_CRASH_AT=self.first)
        if done.returncode != -signal.SIGKILL:
            raise Trouble(f"the move did not die at {self.first}: {done.stderr}")
        if self.sides == ("forward",):
            wait_for(20, lambda: lane.guest.live() == before.after)
        return before

    def arguments(self, lane):
        return ["recover"]


class PowerLoss(Move):
    """The guest dies with the program, maybe between the pivots of two disks. A transient domain is
    gone then."""

    runs = False
    dies = True
    may_ask = True
    sides = ("back", "forward", "mixed")

    def harm(self, lane):
        virsh("destroy", lane.guest.name, good=(0, 1))

    def recover(self, lane, checker):
        talk, saved = super().recover(lane, checker), lane.guest.saved() or {}
        moved = {saved.get(target) == checker.before.after[target] for target in self.targets}
        checker.that(len(moved) < 2 or "still on their source" in talk,
                     "a disk was left behind, and nobody was told")
        return talk


class Verified(Move):
    """The proof that the target holds what the source held is made by `verify` if need be."""

    def __init__(self, name, targets, definition="dance"):
        super().__init__(name, targets, definition, ("verify: full",))

    def end(self, lane, checker):
        talk = asked(lane, checker, "verify")
        checker.that(lane.guest.phase() in ("verified", "undone", "before it"),
                     f"in the end: {lane.guest.phase()}")
        return talk


class Offline(Move):
    """`move` of a domain that is off."""

    runs = False


class Resume(Offline):
    """`recover --resume`, after a move had died in the middle of its copy."""

    first = "after UPDATE disks SET copied in journal_run#2"

    def prepare(self, lane):
        before = super().prepare(lane)
        done = lane.vp(*super().arguments(lane), VIRT_PIVOT_CRASH_AT=self.first)
        if done.returncode != -signal.SIGKILL:
            raise Trouble(f"the move did not die at {self.first}: {done.stderr}")
        return before

    def arguments(self, lane):
        return ["recover", "--resume"]


class Migrated(Offline):
    """Images of a domain that is off, which RBD migrates within their cluster."""

    near = True

    def __init__(self, name, targets):
        super().__init__(name, targets, settings=("offline: migrate",))

    def prepare(self, lane):
        saved = lane.guest.saved()
        if len({saved[target].rpartition("/")[0] for target in self.targets}) > 1:
            lane.set_up()  # all of them in one pool
        before = super().prepare(lane)
        before.migrated = True
        return before

    def end(self, lane, checker):
        if lane.guest.phase() == "before it":
            return ""
        return asked(lane, checker, "verify") + asked(lane, checker, "retire", "1", "--now")


class UndoMigrated(Migrated):
    """`undo` of such a move, to new images of the old names."""

    def prepare(self, lane):
        before = super().prepare(lane)
        for command in (super().arguments(lane), ["retire", "1", "--now"]):
            lane.vp(*command, good=(0,))
        back = Before(lane.guest, before.disks)
        back.kept = set(before.after.values())
        return back

    def arguments(self, lane):
        return ["undo", "1"]

    def end(self, lane, checker):
        return asked(lane, checker, "verify")


class Undo(Move):
    """`undo` of a move that has ended well."""

    def prepare(self, lane):
        before = super().prepare(lane)
        lane.vp(*super().arguments(lane), good=(0,))
        back = Before(lane.guest, before.disks)
        back.kept = set(before.disks.values())
        return back

    def arguments(self, lane):
        return ["undo", "1"]


class UndoOff(Undo):
    """Move and undo of a domain that is off."""

    runs = False


class Retire(Move):
    """`retire` of a source whose guest has left it."""

    def __init__(self, name, targets, after):
        super().__init__(name, targets, "dance",
                         ("verify: none", f"source: {{after: {after}, grace: 1d}}"))
        self.after = after

    def prepare(self, lane):
        before = super().prepare(lane)
        lane.vp(*super().arguments(lane), good=(0,))
        after = Before(lane.guest, lane.guest.saved())
        after.trashed = set(before.sources.values()) if self.after == "trash" else set()
        return after

    def arguments(self, lane):
        return ["retire", "1", "--now"]

    def end(self, lane, checker):
        return asked(lane, checker, *self.arguments(lane))


def numbered(lines):
    """NAME#K for the Kth time that a process passes the point NAME, in the order of the first."""
    count, points = {}, {}
    for line in lines:
        count[line] = count.get(line, 0) + 1
        points[f"{line.partition(' ')[2]}#{count[line]}"] = None
    return few_of_each(list(points))


def few_of_each(points, most=30):
    """What is done again and again by the clock, or block by block, is not tried every time."""
    times = {}
    for point in points:
        times.setdefault(point.partition("#")[0], []).append(point)
    left_out = set()
    for passes in times.values():
        if len(passes) > most:
            step = len(passes) / 6
            kept = set(passes[:2] + [passes[int(i * step)] for i in range(6)] + passes[-1:])
            left_out |= set(passes) - kept
    return [point for point in points if point not in left_out]


MIRRORS = "after virDomainBlockCopy in virt_mirror_start#1"
PIVOTS = "after virDomainBlockJobAbort in virt_mirror_pivot#1"

# One or two of each step, for harm that others do.
STEPS = (
    "after INSERT INTO disks in journal_run#1",
    "before rbd_update_features in enable_features#1",
    "after rbd_create4 in create_draft#1",
    "after rename in write_durably#1",
    "after virDomainUndefineFlags in virt_undefine#1",
    MIRRORS,
    "before virDomainBlockJobAbort in virt_mirror_pivot#1",
    PIVOTS,
    "before virDomainDefineXMLFlags in virt_define#1",
    "after virDomainDefineXMLFlags in virt_define#1",
)

SCENARIOS = (
    Move("dance, 1 disk", ("vda",)),
    Move("kept, 1 disk", ("vda",), definition="keep"),
    Move("dance, 3 disks", TARGETS),
    Verified("verified, 1 disk", ("vda",)),
    Verified("kept, verified, 3 disks", TARGETS, "keep"),
    RecoverAfter("recover back", ("vda",), MIRRORS, ("back",)),
    RecoverAfter("recover forward", ("vda",), PIVOTS, ("forward",)),
    PowerLoss("dance, guest dies too", ("vda", "vdb")),
    Offline("off, 2 disks", ("vda", "vdb")),
    Undo("undo, 2 disks", ("vda", "vdb")),
    UndoOff("undo while off, 2 disks", ("vda", "vdb")),
    Resume("copy resumed, 2 disks", ("vda", "vdb")),
    Migrated("off, migrated by RBD, 2 disks", ("vda", "vdb")),
    UndoMigrated("undo of migrated, 2 disks", ("vda", "vdb")),
    Retire("retire into the trash", ("vda", "vdb"), "trash"),
    Retire("retire for good", ("vda", "vdb"), "remove"),
)
