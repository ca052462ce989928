"""Runs the scenarios of crash_scenarios.py: dies at every point, or at some of them.

usage: crash_matrix.py [--whole] [--point TEXT] [--seed N] [--seconds N] [--lanes N] [--results FILE]
                       PROGRAM [SCENARIO]...
"""
import argparse
import collections
import os
import queue
import random
import shutil
import sys
import threading
import time
import traceback

from crash_faults import FAULTS
from crash_scenarios import SCENARIOS, Lane, Outcome
from crash_world import LAB, Clusters, Guest, Trouble, lab

EVERYTHING = (*SCENARIOS, *FAULTS)


class Matrix:
    """The work that is left, and what came of the rest."""

    def __init__(self, options, scenarios):
        self.options, self.work, self.order = options, queue.PriorityQueue(), 0
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.points, self.faults, self.checks, self.failures = 0, 0, 0, 0
        self.cells = collections.defaultdict(lambda: [0, 0, 0])  # survived, of how many, asked
        for scenario in scenarios:
            self.add(0, scenario, None)

    def add(self, rank, scenario, point):
        """Work of a lower rank comes first: should time run out, each scenario has had its share."""
        with self.lock:
            self.order += 1
            self.work.put((rank, self.order, scenario, point))

    def out_of_time(self):
        limit = self.options.seconds
        return limit and time.monotonic() - self.began > limit

    def sample(self, number, points):
        """Every kth, from an offset that the seed says."""
        if self.options.point:
            return [point for point in points if self.options.point in point]
        step = 1 if self.options.whole else max(1, round(len(points) / self.options.each))
        offset = (self.options.seed + 7 * number) % step
        print(f"   {number + 1}. scenario: {len(points)} points, every {step}th from {offset}",
              flush=True)
        chosen = points[offset::step]
        random.Random(self.options.seed).shuffle(chosen)  # should time run out: a fair sample
        return chosen

    def tell(self):
        """How far it is: the whole of it takes hours."""
        done = self.points + self.faults
        if done and done % 50 == 0:
            print(f"   {done} done, {self.work.qsize()} to do, {self.failures} failed "
                  f"({round(time.monotonic() - self.began)} s)", flush=True)

    def take(self, lane, scenario, point):
        number = EVERYTHING.index(scenario)
        if point is None and not scenario.fixed_points:
            points, outcome = scenario.list_points(lane)
            for rank, other in enumerate(self.sample(number, points)):
                self.add(rank + 1, scenario, other)
            return outcome
        if point is None:
            for rank, other in enumerate(self.sample(number, list(scenario.fixed_points))):
                self.add(rank + 1, scenario, other)
            return None
        return scenario.die_at(lane, point)

    def note(self, lane, scenario, outcome):
        with self.lock:
            self.points += outcome.died
            self.faults += bool(scenario.fixed_points)
            self.checks += outcome.checks
            cell = self.cells[scenario.name, outcome.phase]
            cell[0] += not outcome.wrong
            cell[1] += 1
            cell[2] += outcome.asked
            self.tell()
            if not outcome.wrong:
                if self.options.verbose:
                    print(f"ok {scenario.name}: {outcome.point} ({outcome.phase};{outcome.laps})",
                          flush=True)
                return
            self.failures += 1
            print(f"not ok {scenario.name}: {outcome.point or 'to its end'} "
                  f"({lane.guest.name}, {outcome.phase})", flush=True)
            for text in outcome.wrong:
                print(f"    {text}", flush=True)
            folder = f"{LAB}.failed/crash-{self.failures}"
            save_evidence(lane, folder, scenario, outcome)
            print(f"    all of it: {folder}", flush=True)

    def run(self, lanes):
        threads = [threading.Thread(target=self.run_lane, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def run_lane(self, lane):
        fresh = lane.ready
        while not self.out_of_time():
            try:
                _, _, scenario, point = self.work.get(timeout=1)
            except queue.Empty:
                if self.work.unfinished_tasks == 0:
                    return
                continue
            try:
                if not fresh:
                    lane.set_up()
                    fresh = lane.ready = True
                outcome = self.take(lane, scenario, point)
            except Exception:  # pylint: disable=broad-except
                outcome = trouble(point, traceback.format_exc())
            if outcome:
                self.note(lane, scenario, outcome)
                fresh = lane.ready = not outcome.wrong and not outcome.asked
            self.work.task_done()


def trouble(point, text):
    class Nothing:  # pylint: disable=too-few-public-methods
        checks, wrong, asked = 1, [text], False
    return Outcome(point or "", "the test itself", Nothing, point is not None, text)


def save_evidence(lane, folder, scenario, outcome):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(lane.guest.folder, folder, ignore_dangling_symlinks=True)
    with open(f"{folder}/story", "w", encoding="utf-8") as file:
        print(scenario.name, outcome.point, outcome.phase, *outcome.wrong, outcome.talk, sep="\n",
              file=file)
        try:
            print(lane.guest.xml(), lane.guest.definition(), sep="\n", file=file)
        except Trouble:
            pass
    if os.path.exists(lane.guest.log_path):
        shutil.copy(lane.guest.log_path, folder)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10000)
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--point")
    parser.add_argument("--seconds", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--results")
    parser.add_argument("program")
    parser.add_argument("scenarios", nargs="*")
    return parser.parse_intermixed_args()


def main():
    options = arguments()
    wanted = [scenario for scenario in EVERYTHING
              if not options.scenarios or any(w in scenario.name for w in options.scenarios)]
    print(f"seed {options.seed}" + (", all points" if options.whole else ""), flush=True)
    clusters = Clusters()
    clusters.hasten()
    lanes = [Lane(clusters, Guest(clusters, f"c{number}"), options.program)
             for number in range(options.lanes)]
    matrix = Matrix(options, [scenario for scenario in wanted if not scenario.alone])
    matrix.run(lanes)
    for lane in lanes[1:]:  # else what kills all that runs on the host would leave them running
        lab("guest", "remove", lane.guest.name, good=None)
    for scenario in wanted:
        if scenario.alone:
            matrix.add(0, scenario, None)
    matrix.run(lanes[:1])
    for lane in lanes:
        lab("guest", "remove", lane.guest.name, good=None)
    clusters.close()
    if options.results:
        with open(options.results, "a", encoding="utf-8") as file:
            for (scenario, phase), counts in matrix.cells.items():
                print(scenario, phase, *counts, sep="\t", file=file)
    print(f"{matrix.points} deaths at crash points, {matrix.faults} other faults, "
          f"{matrix.checks} checks, "
          f"{matrix.failures} failed ({round(time.monotonic() - matrix.began)} s)", flush=True)
    return 1 if matrix.failures or not matrix.checks else 0


if __name__ == "__main__":
    sys.exit(main())
