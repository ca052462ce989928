"""What must hold at every instant, and after recovery: read from the world (crash_world.py), never
asked of virt-pivot.

Invariants (CONTRIBUTING.md): 1 a definition that names the disks in use is on stable storage;
2 no image has two writers; 3 libvirt's two definitions and the watchers agree; 4 the source is
kept; 5 recovery ends in a consistent state."""
import os

from crash_world import but_disks, disks_of, has_mirror, is_settled, wait_for

DRAFT = ".virt-pivot."


class Before:
    """The guest before something is done to it, and where its disks are to go."""

    def __init__(self, guest, after):
        self.guest, self.after = guest, after
        self.xml = guest.definition()
        self.autostart = guest.autostart()
        self.disks = disks_of(self.xml)
        self.log = guest.read_log()
        self.trashed = set()  # what must be in the trash at last
        self.kept = set()  # what must be there in any case
        self.migrated = False  # the sources become parts of their targets
        self.moved = {target: image for target, image in after.items()
                      if self.disks[target] != image}
        self.sources = {target: self.disks[target] for target in self.moved}
        self.features = {image: guest.clusters.features(image)
                         for image in self.sources.values() if not image.startswith("/")}


class Checker:
    """Counts what it looked at, and keeps what was wrong."""

    def __init__(self, before):
        self.before, self.guest, self.clusters = before, before.guest, before.guest.clusters
        self.checks, self.wrong, self.asked = 0, [], False

    def that(self, holds, text):
        self.checks += 1
        if not holds:
            self.wrong.append(text)
        return bool(holds)

    def ours(self, name):
        """What this round has made, and whatever is named after the guest. A half-made image bears
        its token in its name; other lanes have others."""
        if name.startswith(DRAFT):
            return (name[len(DRAFT):],) in self.guest.journal("SELECT token FROM disks")
        return name.startswith(self.guest.name + "-")

    # ---- at every instant

    def at_once(self, runs=True, clients=2):
        """Right after a death, before anybody mends anything."""
        guest, before = self.guest, self.before
        if runs:
            self.that(wait_for(10, guest.runs),
                      f"the guest does not run: {guest.state()}")
        self.sources_exist()
        live = guest.live()
        if not runs and not live:
            return self.defined_somewhere(before.disks)
        for target, image in live.items():
            self.that(image in (before.disks[target], before.after[target]),
                      f"{target} is on {image}")
            self.that(len(self.clusters.watchers(image)) <= clients, f"many clients have {image} open")
        self.defined_somewhere(live)
        return self.live_writes()

    def sources_exist(self):
        hidden = self.clusters.trash(self.ours) if self.before.migrated else set()
        for image in self.before.sources.values():
            self.that(self.clusters.exists(image) or image in hidden,
                      f"the source {image} is gone")

    def defined_somewhere(self, live):
        """Invariant 1. Between the pivots of two disks one file names one, another the other."""
        known = [disks_of(xml) for xml in self.guest.definition_files()]
        known += [disks_of(row[0]) for row in self.guest.journal(
            "SELECT definition FROM moves WHERE definition IS NOT NULL")]
        saved = self.guest.saved()
        if saved is not None:
            known.append(saved)
        whole = any(disks == live for disks in known)
        mixed = len({image in self.before.after.values() for image in live.values()}) == 2
        for target, image in live.items():
            self.that(whole or (mixed and any(disks.get(target) == image for disks in known)),
                      f"no definition names {image} as {target}; libvirt has {saved}")

    def live_writes(self):
        """Every acknowledged write is where the guest writes now."""
        for _ in range(5):
            wait_for(30, lambda: is_settled(self.guest.xml() or "<domain/>"))
            live, lost, log = self.guest.live(), [], self.guest.read_log()
            for target, image in live.items():
                lost += self.guest.lost_writes(target, image, log)
            if self.guest.live() == live:  # else it was pivoted while we looked
                break
        self.that(not lost, f"lost writes: {lost[:3]}")

    # ---- after recovery

    def at_the_end(self, runs=True, sides=("back", "forward")):
        """All is as it was, or all has moved; or some of it, where that may be (mixed)."""
        guest, before = self.guest, self.before
        saved = guest.saved()
        if not self.that(saved is not None, "the domain is not persistent"):
            return None
        side = {True: "forward", False: "back"}.get(
            True if saved == before.after else False if saved == before.disks else None)
        if side is None and all(image in (before.disks[target], before.after[target])
                                for target, image in saved.items()):
            side = "mixed"
        self.that(side is not None, f"defined with {saved}: neither as before nor moved")
        self.that(side is None or side in sides, f"it went {side}")
        if runs:
            self.that(guest.runs(), f"the guest does not run: {guest.state()}")
            self.that(guest.live() == saved, f"live {guest.live()}, but defined {saved}")
            self.that(not has_mirror(guest.xml()), "a block job is left")
        self.definition(side)
        self.images(side, saved, runs)
        if runs:
            self.live_writes()
            self.that(guest.goes_on(), "the guest does not write any more")
        else:
            for target, image in saved.items():
                lost = guest.lost_writes(target, image)
                self.that(not lost, f"lost writes on {image}: {lost[:3]}")
        return side

    def both_kept(self):
        """Nobody can know on which image the last writes are: then neither is removed."""
        before = self.before
        self.sources_exist()
        for target, image in before.moved.items():
            if self.that(self.clusters.exists(image), f"{image} is gone, maybe the only copy"):
                old, new = (self.guest.lost_writes(target, place)
                            for place in (before.disks[target], image))
                self.that(not old or not new, f"{target}: writes lost on both: {old[:2]} {new[:2]}")

    def definition(self, side):
        guest, before = self.guest, self.before
        xml = guest.definition()
        if side == "back":
            self.that(xml == before.xml, "the definition is not what it was")
        path = os.path.join(guest.folder, "compare.xml")
        self.that(but_disks(xml, path) == but_disks(before.xml, path),
                  "the definition differs in more than its disks")
        self.that(guest.autostart() == before.autostart, "the autostart flag changed")

    def images(self, side, saved, runs):
        """Those that must be there are, no others; each with the watchers that it must have."""
        before, clusters = self.before, self.clusters
        expected = set(before.disks.values()) | set(saved.values()) | before.kept
        ended = before.migrated and side == "forward"
        if ended:
            expected -= set(before.sources.values())
        expected = {image for image in expected if not image.startswith("/")}
        found = clusters.list(self.ours)
        self.that(found == expected, f"images left: {sorted(found - expected)}, "
                                     f"gone: {sorted(expected - found)}")
        trash = clusters.trash(self.ours)
        self.that(trash == before.trashed,
                  f"in the trash: {sorted(trash)}, and not {sorted(before.trashed)}")
        for image in expected & found:
            wanted = 1 if runs and image in saved.values() else 0
            right = wait_for(20, lambda i=image, w=wanted: len(clusters.watchers(i)) == w)
            self.that(right, f"{image}: {len(clusters.watchers(image))} watchers, not {wanted}")
            self.that(not clusters.snapshots(image), f"{image} has snapshots")
        if side == "back":
            for image, features in before.features.items():
                self.that(clusters.features(image) == features, f"features of {image} changed")
        if side == "forward" and not ended:
            for target, image in before.sources.items():
                lost = self.guest.lost_writes(target, image, before.log)
                self.that(not lost, f"the source {image} lost what it held: {lost[:3]}")
