"""Harm done by others at a step of a move: the program is stopped there (VIRT_PIVOT_STOP_AT), the
harm is done, and it goes on. What it then makes of it, it and `recover` must make well."""
import glob
import os
import random
import signal
import struct
import subprocess
import time

from crash_checker import Checker
from crash_scenarios import STEPS, Move, Outcome, PowerLoss
from crash_world import LAB, LAB_FOLDER, Trouble, disks_of, lab, run, virsh, wait_for


def wait_stopped(process, seconds=90):
    """True: it stopped; False: it ended."""
    def question():
        return os.waitid(os.P_PID, process.pid,
                         os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
    status = wait_for(seconds, question)
    if not status:
        process.kill()
        raise Trouble("the program neither stopped nor ended")
    return status.si_code == os.CLD_STOPPED


class Fault(Move):
    """A move with somebody's harm at one of its steps."""

    fixed_points = STEPS
    dies = True
    codes = (0, 1, 4)  # with which the move may end

    def __init__(self, name, definition="dance", **options):
        super().__init__(name, ("vda", "vdb"), definition, **options)

    def strike(self, lane, before):
        """The harm, while the program stands still."""

    def strike_later(self, lane, before):
        """The harm, right after it has gone on."""

    def heal(self, lane, before):
        """What an operator does before he asks for a recovery."""

    def under(self, lane):  # pylint: disable=unused-argument
        """The program's own program, as env."""
        return ()

    def die_at(self, lane, point):
        before = self.prepare(lane)
        checker = Checker(before)
        process = lane.start_vp(*self.arguments(lane), under=self.under(lane),
                                VIRT_PIVOT_STOP_AT=point)
        try:
            if not wait_stopped(process):
                raise Trouble(f"it did not stop at {point}: {process.stderr.read()}")
            phase = lane.guest.phase()
            checker.defined_somewhere(lane.guest.live())
            self.strike(lane, before)
            os.kill(process.pid, signal.SIGCONT)
            self.strike_later(lane, before)
            try:
                _, talk = process.communicate(timeout=240)
            except subprocess.TimeoutExpired:
                raise Trouble("it does not end") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
            self.heal(lane, before)
        checker.that(process.returncode in self.codes, f"move: exit code {process.returncode}")
        talk += self.recover(lane, checker)
        self.at_the_end(lane, checker)
        return Outcome(point, phase, checker, False, talk)


def write_xml(guest, xml):
    path = f"{guest.folder}/theirs.xml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(xml)
    return path


def kill_libvirtd():
    with open(f"{LAB}/libvirt/run/libvirtd.pid", encoding="ascii") as file:
        os.kill(int(file.read()), signal.SIGKILL)


def kill_guest(guest):
    for path in glob.glob(f"{LAB}/libvirt/run/qemu/{guest.name}.pid"):
        with open(path, encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)


def has_forgotten(guest):
    """Whether its QEMU runs."""
    for path in glob.glob(f"{LAB}/libvirt/run/qemu/{guest.name}.pid"):
        with open(path, encoding="ascii") as file:
            return os.path.exists(f"/proc/{file.read().strip()}")
    return False


class LibvirtdDies(Fault):
    """If it dies when QEMU has opened the target for a job, and before there is one (blockdev-add,
    then blockdev-mirror), nobody knows that QEMU has it open, which it has as long as it runs. If it
    dies while it works off the end of a job, it may not be able to read what it has written about the
    guest, and has forgotten it, though it runs: then there is nothing to do but to ask."""

    alone = True

    def recover(self, lane, checker):
        talk = ""
        done = lane.vp("recover")
        if done.returncode == 4 and "is in use by" in done.stderr and lane.guest.saved():
            talk = f"--- recover: 4\n{done.stderr}--- the guest is stopped and started\n"
            virsh("destroy", lane.guest.name)
            lane.start()
        self.may_ask = lane.guest.state() == "gone" and has_forgotten(lane.guest)
        return talk + super().recover(lane, checker)

    def strike(self, lane, before):
        kill_libvirtd()

    def strike_later(self, lane, before):
        time.sleep(random.random() * 2)
        lab("libvirtd", "start")


class LibvirtdDiesSoon(LibvirtdDies):
    """At some instant after the step."""

    def strike(self, lane, before):
        pass

    def strike_later(self, lane, before):
        time.sleep(random.random())
        kill_libvirtd()
        super().strike_later(lane, before)


class GuestDies(Fault):
    runs = False
    may_ask = True

    def strike(self, lane, before):
        kill_guest(lane.guest)
        wait_for(20, lambda: lane.guest.state() in ("off", "gone"))


class OsdDies(Fault):
    alone = True

    def __init__(self, name, of_target, **options):
        super().__init__(name, **options)
        self.of_target = of_target

    def cluster(self, before):
        images = before.moved if self.of_target else before.sources
        return images["vda"].partition("/")[0]

    def strike(self, lane, before):
        lab("cluster", self.cluster(before), "KILL", "osd")

    def strike_later(self, lane, before):
        time.sleep(2 + random.random() * 3)
        lab("cluster", self.cluster(before), "start", "osd")
        lane.clusters.hasten()


class HostReboots(PowerLoss):
    """Everything dies at once, and /run is empty afterwards. libvirt starts what is marked for it."""

    fixed_points = STEPS
    alone = True
    runs = None
    clients = 3  # QEMU before it, virt-pivot, and QEMU after it

    def harm(self, lane):
        kill_libvirtd()
        kill_guest(lane.guest)
        time.sleep(0.5)
        for path in glob.glob(f"{LAB}/libvirt/run/qemu/**", recursive=True):
            if os.path.isfile(path):
                os.unlink(path)
        for path in glob.glob(f"{LAB}/libvirt/run/qemu/autostarted") + \
                glob.glob(f"{LAB}/libvirt/run/autostarted"):
            os.unlink(path)
        lab("libvirtd", "start")


class DiskFull(Fault):
    """The file system of the state directory. After the first of two pivots all stays as it is."""

    sides = ("back", "forward", "mixed")

    def prepare(self, lane):
        before = super().prepare(lane)
        folder, uid = lane.guest.state_folder, os.environ["VP_LAB_UID"]
        run("mount", "-t", "tmpfs", "-o", f"size=4m,uid={uid},gid={uid},mode=0700", "none", folder)
        return before

    def strike(self, lane, before):
        with open(f"{lane.guest.state_folder}/ballast", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass

    def heal(self, lane, before):
        os.unlink(f"{lane.guest.state_folder}/ballast")


class ClockJumps(Fault):
    codes = (0,)
    sides = ("forward",)

    def __init__(self, name, shift, **options):
        super().__init__(name, **options)
        self.shift = shift

    def under(self, lane):
        self.set_clock(lane, 0)
        library = f"{LAB}/crash/clock_shift.so"
        run("gcc", "-shared", "-fPIC", "-O1", "-o", library, f"{LAB_FOLDER}/clock_shift.c", "-ldl")
        return ("env", f"LD_PRELOAD={library}", f"VP_CLOCK={lane.guest.folder}/clock")

    def set_clock(self, lane, shift):
        path = f"{lane.guest.folder}/clock"
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            file.write(struct.pack("q", shift))

    def strike(self, lane, before):
        self.set_clock(lane, self.shift)


class SecondHelper(Fault):
    """Moves, recovers and undoes beside it: all of them must leave the domain alone."""

    codes = (0,)
    sides = ("forward",)

    def strike(self, lane, before):
        second = lane.vp(*self.arguments(lane))
        if second.returncode not in (1, 2):
            raise Trouble(f"a second move was not refused: {second.returncode} {second.stderr}")
        other = lane.vp("recover", lane.guest.name)
        if other.returncode not in (1, 3):
            raise Trouble(f"recover went on beside it: {other.returncode} {other.stderr}")


class Operator(Fault):
    """Somebody with virsh; what he does may be refused."""

    def __init__(self, name, *commands, **options):
        super().__init__(name)
        self.commands = commands
        for option, value in options.items():
            setattr(self, option, value)

    def strike(self, lane, before):
        for command in self.commands:
            words = [word.replace("GUEST", lane.guest.name) for word in command.split()]
            virsh(*words, good=None)

    def heal(self, lane, before):
        guest = lane.guest
        if guest.state() == "paused":
            virsh("resume", guest.name)


class OperatorDefines(Fault):
    """An edit is not lost, and names the disks in use."""

    codes = (0,)
    sides = ("forward",)
    # libvirt has no compare-and-set: what is defined after our last look is lost.
    fixed_points = tuple(step for step in STEPS if "before virDomainDefineXMLFlags" not in step)

    def strike(self, lane, before):
        guest = lane.guest
        known = [guest.definition(), *guest.definition_files(), before.xml]
        live = guest.live()
        xml = next((xml for xml in known if xml and disks_of(xml) == live), before.xml)
        virsh("define", write_xml(guest, with_title(xml)))
        before.xml = with_title(before.xml)


def with_title(xml):
    if "<title>" in xml:
        return xml.replace("<title>edited", "<title>once more edited", 1)
    return xml.replace("<memory ", "<title>edited</title>\n  <memory ", 1)


class ManagedSave(Operator):
    def heal(self, lane, before):
        virsh("managedsave-remove", lane.guest.name, good=None)


FAULTS = (
    GuestDies("QEMU killed"),
    DiskFull("state directory's disk full"),
    ClockJumps("clock jumps 3 days ahead", 3 * 86400),
    ClockJumps("clock jumps 3 days back", -3 * 86400),
    SecondHelper("second helper"),
    OperatorDefines("virsh define"),
    Operator("virsh blockjob --abort", "blockjob GUEST vda --abort"),
    Operator("virsh blockjob --pivot", "blockjob GUEST vda --pivot",
             sides=("back", "forward", "mixed")),
    Operator("virsh suspend", "suspend GUEST"),
    Operator("virsh reset", "reset GUEST"),
    Operator("virsh destroy", "destroy GUEST", runs=False, may_ask=True),
    Operator("virsh destroy, start", "destroy GUEST", "start GUEST", runs=None, may_ask=True),
    ManagedSave("virsh managedsave", "managedsave GUEST", runs=None),
    LibvirtdDies("libvirtd killed at the step"),
    LibvirtdDiesSoon("libvirtd killed soon after"),
    OsdDies("OSD of the target killed", True),
    OsdDies("OSD of the source killed", False),
    HostReboots("host reboots", ("vda", "vdb")),
)
