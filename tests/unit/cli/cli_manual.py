"""The manual page and the program say the same: every verb, every option, in both directions."""
import os
import re

import virt_pivot
from virt_pivot import run

POD = os.path.join(virt_pivot.SOURCE, "helper", "virt-pivot.pod")


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))


def without_virsh(pod):
    """Without what is an option of virsh: C<virsh …>, and lines of examples."""
    pod = re.sub(r"C<+ ?(?:virsh|systemctl)\b[^<>]*>+", "", pod)
    return re.sub(r"^ +virsh (?:.*\\\n)*.*", "", pod, flags=re.M)


def section(text, name):
    """What stands between a heading of --help and the next empty line."""
    match = re.search(rf"^{name}:\n(.*?)(?:\n\n|\Z)", text, re.M | re.S)
    return match.group(1) if match else ""


def help_options(text, name):
    """{"watch": ""}, {"disk": "TARGET"}: options and what they take, by the program."""
    rows = re.findall(r"^  (?:-\w, |    )--([a-z-]+)(?: (\S+))?(?=  | \S|$)", section(text, name), re.M)
    return {option: argument if argument.isupper() or "|" in argument else ""
            for option, argument in rows}


def plain(pod):
    """Pod's formatting codes taken away: B<--disk> I<TARGET> is --disk TARGET."""
    before = None
    while before != pod:
        before, pod = pod, re.sub(r"[BCFILS]<([^<>]*)>", r"\1", pod)
    return pod


def pod_sections():
    """{"OPTIONS": text, "VERBS": {"move I<DOMAIN>": text}}"""
    with open(POD, encoding="utf-8") as file:
        parts = re.split(r"^=head1 (.*)$", file.read(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def pod_options(text):
    options = {}
    for item in re.findall(r"^=item (.*-.*)$", text, re.M):
        match = re.fullmatch(r"(?:-\w, )?--([a-z-]+)(?: (\S+))?", plain(item))
        if match:
            options[match.group(1)] = match.group(2) or ""
    return options


def pod_verbs():
    parts = re.split(r"^=head2 (.*)$", pod_sections()["VERBS"], flags=re.M)
    return {plain(heading): text for heading, text in zip(parts[1::2], parts[2::2])}


class Manual(virt_pivot.TestCase):
    def setUp(self):
        super().setUp()
        self.help = run("--help").out
        rows = re.findall(r"^  ([a-z]+(?: \S+)*?)  +\S", section(self.help, "Verbs"), re.M)
        self.verbs = {row.split()[0]: row for row in rows}

    def test_the_help_lists_verbs(self):
        self.assertIn("move", self.verbs)
        self.assertIn("history", self.verbs)

    def test_every_verb_has_its_heading_and_no_heading_is_without_verb(self):
        self.assertEqual(sorted(self.verbs.values()), sorted(pod_verbs()))

    def test_common_options(self):
        expected = help_options(self.help, "Common options")
        self.assertIn("policy", expected)
        self.assertEqual(expected, pod_options(pod_sections()["OPTIONS"]))

    def test_options_of_each_verb(self):
        described = {heading.split()[0]: pod_options(text) for heading, text in pod_verbs().items()}
        for verb in self.verbs:
            with self.subTest(verb=verb):
                result = run(verb, "--help")
                self.assert_exit(0, result)
                self.assertEqual(help_options(result.out, "Options"), described[verb])

    def test_the_help_of_a_verb_repeats_the_common_options(self):
        for verb in self.verbs:
            with self.subTest(verb=verb):
                self.assertEqual(help_options(run(verb, "--help").out, "Common options"),
                                 help_options(self.help, "Common options"))

    def test_the_synopsis_has_every_verb_and_option(self):
        synopsis = pod_sections()["SYNOPSIS"].replace("B<pause>|B<resume>", "B<pause> B<resume>")
        for verb in self.verbs:
            with self.subTest(verb=verb):
                self.assertRegex(plain(synopsis), rf"(?m)\b{verb}\b")
                for option in help_options(run(verb, "--help").out, "Options"):
                    self.assertIn(f"--{option}", plain(synopsis))

    def test_no_option_is_spoken_of_that_does_not_exist(self):
        known = set(help_options(self.help, "Common options"))
        for verb in self.verbs:
            known |= set(help_options(run(verb, "--help").out, "Options"))
        with open(POD, encoding="utf-8") as file:
            self.assertEqual(long_options(plain(without_virsh(file.read()))) - known, set())

    def test_exit_statuses(self):
        """The help's sentence and the manual's table give the same numbers."""
        sentence = re.search(r"Exit status: (.*?)\.\n", self.help, re.S).group(1)
        told = re.findall(r"(?:^|;)\s*(\d) ", sentence)
        table = re.findall(r"^=item B<(\d)>$", pod_sections()["EXIT STATUS"], re.M)
        self.assertEqual(told, table)

    def test_environment(self):
        """Each variable of the manual works, but for the hook's own."""
        names = re.findall(r"^=item B<(VIRT_PIVOT_\w+)>$", pod_sections()["ENVIRONMENT"], re.M)
        self.assertEqual(sorted(names), ["VIRT_PIVOT_HELPER", "VIRT_PIVOT_POLICY",
                                         "VIRT_PIVOT_STATE", "VIRT_PIVOT_URI"])
        result = run("check", "--format", "json", VIRT_PIVOT_POLICY="/nonexistent/p",
                     VIRT_PIVOT_STATE="/nonexistent/s", VIRT_PIVOT_URI="test+nonsense:///u")
        texts = " ".join(check["text"] for check in result.json["checks"])
        for value in ("/nonexistent/p", "/nonexistent/s", "test+nonsense:///u"):
            self.assertIn(value, texts)


if __name__ == "__main__":
    virt_pivot.main()
