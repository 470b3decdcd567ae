"""A short run of chaos, and the auditor's own audit: evidence is forged in every way it looks for, and it has to see each."""

import collections
import copy
import os
import pathlib
import random
import shutil
import tempfile
import unittest

from tests.bus import pack, unpack
from tests.chaos.auditor import World, audit, status_of
from tests.chaos.books import Record
from tests.chaos.chaos import Chaos
from tests.chaos.clients import DEALER, Ledger
from tests.chaos.effects import Line, Watcher

SECONDS = float(os.environ.get("GANTRY_CHAOS_SECONDS", "15"))
TIME_LIMIT = 900.0


def enough(chaos):
    """Whether there is of everything what is forged below: chance, or a machine that stands still, may have left something out so far."""
    with chaos.ledger.lock:
        asked = list(chaos.ledger.entries.values())
    runs = [entry for entry in asked if entry.answer and entry.is_run]
    kinds = collections.Counter(entry.kind for entry in runs)
    return (kinds["noop"] >= 30 and kinds["output"] >= 8 and kinds["chatty"] + kinds["seconds"] >= 8 and
            sum(entry.door == DEALER for entry in runs) >= 10)


def twin_of(world):
    """The same evidence once more, to be forged."""
    ledger = Ledger()
    ledger.entries = copy.deepcopy(world.ledger.entries)
    ledger.aborted, ledger.chains = dict(world.ledger.aborted), list(world.ledger.chains)
    ledger.erased = set(world.ledger.erased)
    ledger.schedules = dict(world.ledger.schedules)
    return World(ledger, copy.deepcopy(world.books), list(world.lines), world.outputs, world.table, dict(world.words))


class ShortChaos(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        seed = os.environ.get("GANTRY_CHAOS_SEED", str(random.randrange(10**6)))
        print(f"seed {seed}", flush=True)
        cls.chaos = Chaos(SECONDS, seed, enough=enough, back=40)
        cls.chaos.keep = True
        cls.world = cls.chaos.run()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.chaos.ground.data, ignore_errors=True)

    def setUp(self):
        self.forged = twin_of(self.world)
        self.books = self.forged.books

    def sees(self, rule):
        found = audit(self.forged)
        self.assertIn(rule, {finding.rule for finding in found}, [finding.text[:300] for finding in found])

    def a_run(self, where=lambda run: True, kind=None):
        """A run of the forged books: completed, unless said otherwise."""
        for run in self.books.runs.values():
            if status_of(run) == "completed" and kind in (None, self.forged.kinds.get(run.id)) and where(run):
                return run
        raise AssertionError("no such run in this chaos")

    # -- the run itself --

    def test_nothing_lost(self):
        self.assertEqual([f"{finding.rule}: {finding.text}" for finding in self.chaos.findings], [])
        for kind in ("kills", "stops", "restarts", "cuts"):
            self.assertGreater(getattr(self.chaos.chronicle, kind), 0, kind)
        self.assertGreater(len(self.world.kinds), 20)

    def test_the_twin_is_clean(self):
        self.assertEqual(audit(self.forged), [])

    # -- runs --

    def test_lost(self):
        run = self.a_run(kind="noop")
        del self.books.runs[run.id]
        self.sees("lost")

    def test_unknown(self):
        run = Record(self.a_run(kind="noop"))
        run["id"] = max(self.books.runs) + 1
        self.books.runs[run.id] = run
        self.sees("unknown")

    def test_open(self):
        self.a_run()["status"] = 1
        self.sees("open")

    def test_unanswered(self):
        next(iter(self.forged.ledger.entries.values())).answer = None
        self.sees("unanswered")

    def test_another_end_than_asked_for(self):
        self.a_run(kind="noop")["status"] = 3
        self.sees("status")

    def test_an_abort_that_did_not_hold(self):
        run = self.a_run()
        self.forged.kinds[run.id] = "slow"
        self.forged.ledger.aborted[run.id] = True
        self.sees("status")

    def test_two_keys_one_run(self):
        entries = [entry for entry in self.forged.ledger.entries.values() if entry.is_run and entry.answer]
        entries[0].answer = entries[1].answer
        self.sees("key")

    def test_a_key_that_is_gone(self):
        entry = next(entry for entry in self.forged.ledger.acknowledged().values() if entry.door == DEALER)
        self.books.keys = {i: record for i, record in self.books.keys.items() if record.scope != bytes.fromhex(entry.key)}
        self.sees("key")

    def test_a_key_with_another_answer(self):
        entry = next(entry for entry in self.forged.ledger.acknowledged().values() if entry.door == DEALER and entry.is_run)
        record = next(record for record in self.books.keys.values() if record.scope == bytes.fromhex(entry.key))
        record["answer"] = pack("run_batch_answer", run_ids=[max(self.books.runs) + 1])
        self.assertEqual(unpack(record.answer)[0], "run_batch_answer")
        self.sees("key")

    def test_a_repeat_with_another_answer(self):
        ledger = self.forged.ledger
        entry = next(entry for entry in ledger.entries.values() if entry.answer)
        ledger.close(entry, [entry.answer[0] + 1])
        self.sees("answer")

    def test_a_deletion_that_left_something(self):
        self.forged.ledger.erased.add(self.a_run().task_id)
        self.sees("erased")

    def test_a_chain_that_ran_twice(self):
        run = self.a_run()
        run["task_id"] = 10**6
        self.forged.ledger.chains.append((run.id, 10**6 + 1))
        self.sees("chain")

    def test_a_schedule_that_ran_too_often(self):
        task = next(iter(self.forged.ledger.schedules))
        run = next(run for run in self.books.runs.values() if run.task_id == task)
        for number in range(max(self.books.runs) + 1, max(self.books.runs) + 100):
            self.books.runs[number] = Record(run, id=number)
        self.sees("schedule")

    # -- effects --

    def test_a_second_attempt_that_ended(self):
        run = self.a_run(kind="noop", where=lambda run: len(run.attempts) == 1)
        run.attempts.append(dict(run.attempts[0], number=2))
        self.forged.lines += [Line("begin", run.id, 2, 1, 10**9), Line("end", run.id, 2, 1, 10**9)]
        self.sees("twice")

    def test_an_attempt_that_ran_twice(self):
        run = self.a_run(kind="noop")
        self.forged.lines.append(next(line for line in self.forged.lines if line.word == "end" and line.run == run.id))
        self.sees("twice")

    def test_an_effect_of_nobody(self):
        self.forged.lines.append(Line("end", 10**9, 1, 1, 1.0))
        self.sees("effect")

    def test_a_result_without_an_effect(self):
        run = self.a_run(kind="noop")
        self.forged.lines = [line for line in self.forged.lines if line.run != run.id]
        self.sees("effect")

    def test_an_orphan(self):
        run = self.a_run(kind="noop", where=lambda run: len(run.attempts) == 1)
        run.attempts.insert(0, dict(run.attempts[0], number=1, outcome=5, error="its worker was started anew"))
        run.attempts[1]["number"] = 2
        self.forged.lines += [Line("begin", run.id, 2, 1, 10.0**9), Line("tick", run.id, 1, 1, 10.0**9 + 1)]
        self.sees("overlap")

    # -- outputs --

    def with_outputs(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.addCleanup(shutil.rmtree, folder)
        shutil.copytree(self.world.outputs, folder / "outputs")
        old, new = str(self.world.outputs), str(folder / "outputs")
        for run in self.books.runs.values():
            if run.published:
                run.published["path"] = run.published["path"].replace(old, new)
        self.forged.outputs = folder / "outputs"
        run = self.a_run(kind="output")
        return pathlib.Path(run.published["path"])

    def test_an_output_that_is_gone(self):
        self.with_outputs().unlink()
        self.sees("output")

    def test_an_output_of_another_attempt(self):
        path = self.with_outputs()
        run, attempt = path.read_text().split()
        path.write_text(f"{run} {int(attempt) + 1}\n")
        self.sees("output")

    def test_a_temporary_output_that_stayed(self):
        (self.with_outputs().parent / ".gantry-1-1.x").touch()
        self.sees("output")

    def test_an_output_published_twice(self):
        watcher = Watcher(self.with_outputs().parent)
        watcher.look()
        path = next(iter(watcher.folder.iterdir()))
        shutil.copy(path, path.parent / ".other")
        os.rename(path.parent / ".other", path)
        watcher.look()
        self.assertEqual(len(watcher.problems), 1)

    # -- logs --

    def accepted_lines(self, kind=None, least=1):
        """The lines of a run with one attempt: those of an attempt that lost its lease may be missing."""
        logs = self.books.logs
        return logs[self.a_run(lambda run: run.id in self.forged.kinds and len(run.attempts) == 1 and len(logs[run.id]) >= least, kind).id]

    def test_a_log_without_its_end(self):
        self.accepted_lines(kind="noop").pop()
        self.sees("log")

    def test_a_log_with_a_hole(self):
        del self.accepted_lines(least=3)[1]
        self.sees("log")

    # -- histories --

    def of_run(self, run, kind):
        return next(event for event in self.books.events.values() if event.run_id == run.id and event.type == kind)

    def add_event(self, event):
        number = max(self.books.events) + 1
        self.books.events[number] = Record(event, id=number)

    def test_a_second_end(self):
        self.add_event(self.of_run(self.a_run(), "task.completed"))
        self.sees("history")
        self.sees("path")

    def test_started_after_its_end(self):
        run = self.a_run()
        self.add_event(Record(self.of_run(run, "run.started"), attempt=run.attempt + 1))
        self.sees("path")

    def test_completed_without_a_start(self):
        """The events of a run but its start; the numbers are closed up."""
        run = self.a_run(where=lambda run: len(run.attempts) == 1)
        gone = self.of_run(run, "run.started").id
        events = [event for event in self.books.events.values() if event.id != gone]
        self.books.events = {n + 1: Record(event, id=n + 1) for n, event in enumerate(events)}
        self.sees("path")

    def test_two_accepted_results(self):
        run = self.a_run()
        run.attempts.append(dict(run.attempts[-1], number=run.attempts[-1]["number"] + 1))
        self.sees("history")

    def test_a_loss_that_is_not_counted(self):
        self.a_run()["losses"] = 99
        self.sees("history")

    def test_an_event_that_is_missing(self):
        del self.books.events[len(self.books.events) // 2]
        self.sees("sequence")

    def test_batches(self):
        wholly = self.forged.applied
        middle = next(n for n in range(1, len(wholly) - 1) if wholly[n - 1][0] == wholly[n][0] == wholly[n + 1][0] == "applied"
                      and wholly[n - 1][1] == wholly[n + 1][1])
        for forged in (wholly[:middle] + wholly[middle + 1:], wholly[:middle] + wholly[middle - 1:], wholly + [("found", 1, 1)], []):
            self.forged.applied = forged
            self.sees("applied")

    def test_an_error_in_a_log(self):
        for line in ("2026-01-01T00:00:00.000Z ERROR scheduler GTY-RUN-ILLEGAL run=1 refused", "==1==ERROR: AddressSanitizer", "oh"):
            self.forged.words["scheduler"] = self.world.words["scheduler"] + line + "\n"
            self.sees("error")

    # -- indexes and counts --

    def test_an_index_without_an_entry(self):
        key = "run", None, None, "completed_at"
        ids, total = self.books.answers[key]
        self.books.answers[key] = ids[:-1], total
        self.sees("index")

    def test_an_index_that_counts_wrongly(self):
        key = "run", "status", 2, ""
        ids, total = self.books.answers[key]
        self.books.answers[key] = ids, total + 1
        self.sees("index")

    def test_an_index_out_of_order(self):
        key = "run", None, None, "completed_at"
        ids, total = self.books.answers[key]
        self.books.answers[key] = ids[::-1], total
        self.sees("index")

    def test_statistics(self):
        stat = next(stat for stat in self.books.stats.values() if stat.completed)
        stat["completed"] += 1
        self.sees("count")


if __name__ == "__main__":
    unittest.main()
