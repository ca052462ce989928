#!/usr/bin/env python3
"""See suite.sh. usage: suite.py BUILD XML-FOLDER SCHEMA"""
import collections
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
import xml.parsers.expat

BUILD, SUITE, SCHEMA = sys.argv[1:4]
HOOK = os.path.join(BUILD, "hooks/virt-pivot-hook")
SCENE = os.path.join(BUILD, "tests/unit/hooks/hook_scene")
UUID = "c7a5fdbd-cdaf-9455-926a-d65c16db1809"  # of most domains in the suite
POLICY = """version: 1
clusters: {flash: {mons: ["192.0.2.11"], user: libvirt,
                   secret: 2d51d16c-b0ef-4a9f-8938-de099f017a62}}
tiers: {gold: {pool: flash/fast, image: "{uuid}-{target}", driver: {cache: none, discard: unmap}}}
rules: [{name: all, match: {%s}, tier: gold}]
"""
# What may change in a disk that is rewritten.
REPLACED = ("driver", "source", "auth", "backingStore", "mirror")
# Why libvirt itself may have to copy a disk that cannot be rewritten.
REFUSALS = ("encrypted", "slice of a larger file")


class Spans(list):
    """Byte ranges of the disks, the end of the root's start tag, and the disks' targets."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.root_end, self.has_id, self.is_domain = [], 0, False, False
        self.path, self.begin = [], 0
        self.parser = xml.parsers.expat.ParserCreate()
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.text = text
        self.parser.Parse(text, True)

    def start(self, name, attributes):
        at = self.parser.CurrentByteIndex
        if not self.path:
            self.is_domain, self.has_id = name == "domain", "id" in attributes
            self.root_end = self.tag_end(at)
        self.path.append(name)
        if self.path == ["domain", "devices", "disk"]:
            self.begin = at
        if self.path == ["domain", "devices", "disk", "target"]:
            self.targets.append(attributes.get("dev", ""))

    def end(self, _name):
        if self.path == ["domain", "devices", "disk"]:
            # Of an empty element, the index is that of its start.
            self.append((self.begin, self.tag_end(self.parser.CurrentByteIndex)))
        self.path.pop()

    def tag_end(self, at):
        return re.compile(rb"""(?:[^'">]|'[^']*'|"[^"]*")*>""").match(self.text, at).end()


def domains(folder):
    """Paths and contents of those that are well-formed XML of a domain."""
    for path, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            file = os.path.join(path, name)
            if not name.endswith(".xml") or os.path.islink(file):
                continue
            with open(file, "rb") as stream:
                text = stream.read()
            if b"<domain" not in text:
                continue
            try:
                spans = Spans(text)
            except xml.parsers.expat.ExpatError:
                continue
            if spans.is_domain:
                yield os.path.relpath(file, folder), text, spans


class Scene:
    """A policy, a state directory, and a helper that says yes."""

    def __init__(self, folder, name, match):
        self.state = os.path.join(folder, name)
        policy = self.state + ".yaml"
        with open(policy, "w", encoding="utf-8") as stream:
            stream.write(POLICY % match)
        old, new = (f"<disk type='file' device='disk'><source file='/no/such/{path}'/>"
                    "<target dev='vda'/></disk>" for path in ("a", "b"))
        os.mkdir(self.state, 0o700)
        subprocess.run([SCENE, self.state, "ledger", UUID, old, new], check=True)
        self.environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin", "VIRT_PIVOT_POLICY": policy,
                            "VIRT_PIVOT_STATE": self.state,
                            "VIRT_PIVOT_HELPER": shutil.which("true"),
                            "ASAN_OPTIONS": "detect_leaks=0"}

    def call(self, operation, text):
        return subprocess.run([HOOK, "guest", operation, "begin", "-"], input=text,
                              capture_output=True, env=self.environment, timeout=60, check=False)


def libvirt_takes(spans):
    """Whether libvirt itself does, as far as the hook has to know: it refuses disks without a
    target, and two disks with one ("target 'sda' duplicated"), so no hook ever sees them."""
    return len(spans.targets) == len(spans) == len(set(spans.targets))


class Report:
    def __init__(self):
        self.failures, self.counts = [], collections.Counter()

    def fail(self, name, why):
        self.failures.append(f"{name}: {why}")


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


def no_rule_matches(scene, items, report):
    def one(item):
        name, text, spans = item
        for operation in ("migrate", "restore"):
            done = scene.call(operation, text)
            if not libvirt_takes(spans):
                report.counts["not for libvirt"] += operation == "migrate"
                if done.returncode != 1 or done.stdout or done.stderr.count(b"\n") != 1:
                    report.fail(name, f"{operation}: neither passes nor is refused in one line")
            elif done.returncode != 0 or done.stdout.strip():
                report.fail(name, f"{operation} does not pass: {done.returncode} {done.stderr}")
            elif done.stderr:
                report.fail(name, f"{operation} is not silent: {done.stderr}")
            else:
                report.counts[operation] += 1

    in_parallel(one, items)


def as_arriving(text, spans):
    """As the domain would arrive: running, with the sizes of its disks."""
    sizes = "".join(f"<s:disk target='{target}' capacity='1073741824' local='yes'/>"
                    for target in spans.targets if re.fullmatch(r"\w+", target))
    metadata = f"<s:disks xmlns:s='urn:virt-pivot:1:disks'>{sizes}</s:disks>".encode()
    head, rest = text[:spans.root_end], text[spans.root_end:]
    if not spans.has_id:
        head = head[:-1] + b" id='1'>"
    inside = re.search(rb"<metadata>", rest)
    if inside:
        return head + rest[:inside.end()] + metadata + rest[inside.end():]
    return head + b"<metadata>" + metadata + b"</metadata>" + rest


def kept(element):
    """What must be the same in a disk before and after."""
    attributes = {name: value for name, value in element.attrib.items()
                  if name not in ("type", "snapshot")}
    children = [ET.canonicalize(ET.tostring(child), strip_text=True) for child in element
                if child.tag not in REPLACED]
    return element.attrib.get("snapshot"), attributes, children


def compare(before, after):
    """The number of disks rewritten; an AssertionError says what else differs."""
    old, new = Spans(before), Spans(after)
    assert len(old) == len(new), "another number of disks"
    rewritten, old_at, new_at = 0, 0, 0
    for (old_begin, old_end), (new_begin, new_end) in zip(old, new):
        assert before[old_at:old_begin] == after[new_at:new_begin], "text between disks differs"
        old_disk, new_disk = before[old_begin:old_end], after[new_begin:new_end]
        if old_disk != new_disk:
            rewritten += 1
            compare_disks(ET.fromstring(strip_prefixes(old_disk)),
                          ET.fromstring(strip_prefixes(new_disk)))
        old_at, new_at = old_end, new_end
    assert before[old_at:] == after[new_at:], "text behind the disks differs"
    return rewritten


def strip_prefixes(disk):
    """A disk alone lacks the declarations of namespaces around it."""
    return re.sub(rb"(</?)\w+:", rb"\1", disk)


def compare_disks(old, new):
    assert kept(old) == kept(new), f"a disk differs: {kept(old)} {kept(new)}"
    assert new.get("type") == "network", "a disk is not on the network"
    sources = new.findall("source")
    assert len(sources) == 1 and sources[0].get("protocol") == "rbd", "its source is not RBD"
    assert sources[0].get("name", "").startswith("fast/"), "its image is in another pool"
    driver = new.find("driver")
    assert driver is not None and driver.get("type") == "raw", "its driver is not raw"
    assert driver.get("io") not in ("native", "io_uring"), "its driver's io is for files"
    assert new.find("backingStore") is None and new.find("mirror") is None, "old children"


class Trial:
    """Domains that an operation is to rewrite, and what came of each."""

    def __init__(self, folder, operation, report):
        self.folder, self.operation, self.report = folder, operation, report
        self.counts, self.refusals, self.saved = collections.Counter(), collections.Counter(), []
        for stage in ("before", "after"):
            os.makedirs(os.path.join(folder, stage))

    def run(self, scene, domains_by_name):
        in_parallel(lambda item: self.one(scene, *item),
                    [(number, *item) for number, item in enumerate(domains_by_name)])

    def one(self, scene, number, name, before):
        done = scene.call(self.operation, before)
        said = done.stderr.decode(errors="replace")
        if done.returncode == 1 and not done.stdout:
            reason = next((reason for reason in REFUSALS if reason in said), None)
            if not reason or said.count("\n") != 1:
                self.fail(name, f"is refused: {said}")
            self.refusals[reason] += 1
        elif done.returncode != 0 or said:
            self.fail(name, f"status {done.returncode}: {said}")
        elif not done.stdout:
            self.counts["left"] += 1
        else:
            self.look(number, name, before, done.stdout)

    def look(self, number, name, before, after):
        try:
            count = compare(before, after)
            assert count > 0, "is written back without a change"
        except (AssertionError, ET.ParseError, xml.parsers.expat.ExpatError) as error:
            self.fail(name, error)
            return
        self.counts["rewritten"] += 1
        self.counts["disks"] += count
        for stage, text in (("before", before), ("after", after)):
            with open(self.path(stage, number), "wb") as stream:
                stream.write(text)
        self.saved.append((number, name))

    def validate(self):
        before = valid([self.path("before", number) for number, _ in self.saved])
        relevant = [(number, name) for number, name in self.saved
                    if self.path("before", number) in before]
        after = valid([self.path("after", number) for number, _ in relevant])
        for number, name in relevant:
            if self.path("after", number) not in after:
                self.fail(name, "is not valid for libvirt's schema any more")
        if not relevant:
            self.fail("suite", "nothing was tested")
        self.counts["valid before"], self.counts["valid after"] = len(relevant), len(after)

    def path(self, stage, number):
        return os.path.join(self.folder, stage, f"{number}.xml")

    def fail(self, name, why):
        self.report.fail(name, f"{self.operation}: {why}")

    def say(self, when):
        counts = self.counts
        print(f"{when}: {self.operation} rewrites {counts['rewritten']} ({counts['disks']} disks), "
              f"leaves {counts['left']}, refuses {sum(self.refusals.values())} "
              f"{dict(self.refusals)}; {counts['valid after']} of {counts['valid before']} that "
              "were valid for libvirt's schema still are")


def moved(element):
    """Whether a move could have taken this disk elsewhere."""
    return (element.get("type") in ("file", "block", "network", "volume") and
            element.get("device", "disk") == "disk" and element.find("source") is not None)


def numbered(number, text):
    """The domain under a UUID of its own, so that the ledger holds its disks alone."""
    uuid = f"00000000-0000-4000-8000-{number:012x}"
    return uuid, re.sub(rb"<uuid>[^<]*</uuid>", f"<uuid>{uuid}</uuid>".encode(), text, count=1)


def fill_ledger(scene, items):
    """A row for each disk of each domain: it is on RBD now. Returns names and domains."""
    rows, domains_by_name = [], []
    for number, (name, text, _) in enumerate(items):
        uuid, text = numbered(number, text)
        domains_by_name.append((name, text))
        for index, (begin, end) in enumerate(Spans(text)):
            if moved(ET.fromstring(strip_prefixes(text[begin:end]))):
                rows += [uuid.encode(), text[begin:end],
                         (f"<disk type='network'><driver name='qemu' type='raw' cache='none'/>"
                          f"<source protocol='rbd' name='fast/{number}-{index}'>"
                          "<host name='192.0.2.11' port='3300'/></source><target dev='vda'/></disk>"
                          ).encode()]
    subprocess.run([SCENE, scene.state, "rows"], input=b"\0".join(rows) + b"\0", check=True)
    return domains_by_name


def valid(paths):
    """Those of the files that the schema accepts."""
    def batch(some):
        said = subprocess.run(["xmllint", "--nonet", "--noout", "--relaxng", SCHEMA, *some],
                              stderr=subprocess.PIPE, text=True, check=False,
                              stdout=subprocess.DEVNULL, errors="replace").stderr
        return [line[:-len(" validates")] for line in said.splitlines()
                if line.endswith(" validates")]

    batches = [paths[i:i + 200] for i in range(0, len(paths), 200)]
    return {path for accepted in in_parallel(batch, batches) for path in accepted}


def main():
    report = Report()
    items = list(domains(SUITE))
    if len(items) < 100:
        sys.exit(f"only {len(items)} domains found in {SUITE}")
    usual = [item for item in items if libvirt_takes(item[2])]
    # The ledger is synced row by row: in memory if possible.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="vp-suite-", dir=memory) as folder:
        no_rule_matches(Scene(folder, "none", "domain: no-such-domain"), items, report)
        every = Scene(folder, "all", "")
        migrate = Trial(folder + "/migrate", "migrate", report)
        migrate.run(every, [(name, as_arriving(text, spans)) for name, text, spans in usual])
        migrate.validate()
        restore = Trial(folder + "/restore", "restore", report)
        restore.run(every, fill_ledger(every, usual))
        restore.validate()
    counts = report.counts
    print(f"{len(items)} domains")
    print(f"no rule matches: {counts['migrate']} pass migrate, {counts['restore']} pass restore; "
          f"{counts['not for libvirt']} that libvirt itself refuses are refused")
    migrate.say("a rule matches all")
    restore.say("all disks have moved")
    for failure in report.failures[:50]:
        print(f"FAILED {failure}")
    print(f"{len(report.failures)} failures")
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
