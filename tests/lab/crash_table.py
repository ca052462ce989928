#!/usr/bin/python3
"""Writes what came of the crash matrix into a Markdown file, between its markers.

usage: crash_table.py RESULTS MARKDOWN

RESULTS: a line a cell, of tab-separated columns: scenario or fault, step, survived, of how many, of
these with a question to an operator.
"""
import collections
import sys

from crash_words import PHASES

BEGIN = "<!-- crash matrix: written by tests/lab/crash --table -->"
END = "<!-- end of the crash matrix -->"


def read(path):
    cells = collections.defaultdict(lambda: [0, 0, 0])
    with open(path, encoding="utf-8") as file:
        for line in file:
            fault, step, *counts = line.rstrip("\n").split("\t")
            for number, count in enumerate(counts):
                cells[fault, step][number] += int(count)
    return cells


def table(cells):
    faults = list(dict.fromkeys(fault for fault, _ in cells))
    # Where a test came to no end by itself, nobody knows the step: it is not passed over.
    order = ["before it", *PHASES, "the test itself"]
    steps = sorted({step for _, step in cells if step in order}, key=order.index)
    lines = ["| what happens | " + " | ".join(steps) + " | all |",
             "|---|" + "---|" * (len(steps) + 1)]
    for fault in faults:
        row, all_survived, all_total = [], 0, 0
        for step in steps:
            survived, total, asked = cells.get((fault, step), (0, 0, 0))
            all_survived, all_total = all_survived + survived, all_total + total
            words = "" if not total else str(total) if survived == total \
                else f"**{survived} of {total}**"
            row.append(words + (f" ({asked} asked)" if asked else ""))
        whole = "survived" if all_survived == all_total else "**not survived**"
        lines.append(f"| {fault} | " + " | ".join(row) + f" | {all_survived} of {all_total}, "
                                                         f"{whole} |")
    survived, total = (sum(counts[i] for counts in cells.values()) for i in (0, 1))
    lines.append(f"\n{survived} of {total} survived.")
    return "\n".join(lines)


def main(results, markdown):
    with open(markdown, encoding="utf-8") as file:
        text = file.read()
    head, found, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise SystemExit(f"{markdown} has no markers: {BEGIN} … {END}")
    made = table(read(results))  # before the file is opened: of a run that was ended there is none
    with open(markdown, "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n\n{made}\n\n{END}{tail}")


if __name__ == "__main__":
    main(*sys.argv[1:])
