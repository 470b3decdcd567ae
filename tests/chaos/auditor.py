"""Proves from the books and the effects that nothing was lost and nothing happened twice; or says what was, with the evidence.

Each check yields findings. A check knows nothing of how the farm works inside but what it promises: the state table is printed by the
product (run_table), the rest is in docs/design.md.
"""

import collections

from tests.chaos.books import OUTCOMES, RUN_STATUS, applied_lines, key_answer, errors
from tests.chaos.clients import DEALER, DealerDoor
from tests.chaos.effects import content_hash

Finding = collections.namedtuple("Finding", "rule text")
FINAL = {2: "completed", 3: "failed", 4: "aborted"}
TAKEN = {"lost", "returned"}  # outcomes after which the worker may have gone on with what was not its own any more
SILENCE = ("said nothing", "fell silent", "did not accept")  # why it was taken: the worker could not be told
WAITING = ("blocked", "held", "delayed", "queued")
HIDDEN = ("place", "accept", "grant")  # changes without an event
CHANGE_OF_END = {"completed": "complete", "failed": "fail", "aborted": "abort"}
CHANGE_OF_RETRY = {"lost": "lose", "failed": "retry", "timeout": "retry"}
ALWAYS_COMPLETED = {"noop", "output", "chatty", "seconds", "batch", "first", "scheduled", "chained", "held", "again"}


class World:
    """All the evidence there is."""

    def __init__(self, ledger, books, lines, outputs, table, words, chronicle=None, others=()):
        self.ledger, self.books = ledger, books
        self.lines = lines  # effects
        self.outputs = outputs  # folder of published files
        self.table = table  # {(state, change): state}
        self.words = words  # {process: its log}
        self.applied = applied_lines(words["store"])  # what the store said of batches
        self.chronicle = chronicle
        self.others = list(others)  # findings of who watched while it went on
        self.kinds = {}  # run -> kind of what asked for it
        for entry in ledger.acknowledged().values():
            if entry.is_run:
                self.kinds.update({run: entry.kind for run in entry.answer})
        waiting = {task for _, task in ledger.chains}
        for run in books.runs.values():
            if run.id not in self.kinds and run.task_id in ledger.schedules:
                self.kinds[run.id] = "scheduled"
            elif run.id not in self.kinds and run.task_id in waiting:
                self.kinds[run.id] = "chained"


def read_table(text):
    """What run_table prints, with waiting as each of the states that it stands for."""
    table = {}
    for line in text.splitlines():
        state, change, following = line.split()
        table[state, change] = WAITING if following == "waiting" else (following,)
    return table


def status_of(run):
    return RUN_STATUS[run.number("status")]


def attempts_of(run):
    return {attempt["number"]: attempt for attempt in run.attempts or []}


def outcome_of(attempt):
    return OUTCOMES[attempt.get("outcome", 0)] if attempt else None


# ---- the ledger against the runs ----


def check_lost(world):
    for run, kind in world.kinds.items():
        if run not in world.books.runs and kind != "erased":
            yield Finding("lost", f"run {run} ({kind}) was acknowledged and is not in the store")
    for key, entry in world.ledger.entries.items():
        if entry.answer is None and not entry.refused:
            yield Finding("unanswered", f"key {key} ({entry.kind}) was never answered, in {entry.tries} tries")


def check_unknown(world):
    seen = collections.Counter(run for e in world.ledger.acknowledged().values() if e.is_run for run in e.answer)
    for run, count in seen.items():
        if count > 1:
            yield Finding("key", f"run {run} was given as the answer to {count} keys")
    for run in world.books.runs.values():
        if run.id not in world.kinds:
            yield Finding("unknown", f"run {run.id} of task {run.task_id} ({run.task_name}) is in the store and nobody was told of it")


def check_keys(world):
    stored = {record.scope: record for record in world.books.keys.values()}
    for key, entry in world.ledger.acknowledged().items():
        if entry.door != DEALER:
            continue  # a gateway hashes method and path into it
        record = stored.get(bytes.fromhex(key))
        if record is None:
            yield Finding("key", f"key {key} ({entry.kind}) was acknowledged and is not in the store")
            continue
        name, fields = key_answer(record)
        if name == "error" or DealerDoor.named(fields) != entry.answer:
            yield Finding("key", f"key {key} was answered {entry.answer}, the store keeps {name} {fields}")


def check_ends(world):
    for run in world.books.runs.values():
        status, kind = status_of(run), world.kinds.get(run.id)
        if run.number("status") not in FINAL:
            yield Finding("open", f"run {run.id} ({kind}) is {status}: {evidence(world, run)}")
            continue
        fine = True
        if kind in ALWAYS_COMPLETED:
            fine = status == "completed"
        elif kind == "slow":
            fine = status == ("aborted" if world.ledger.aborted.get(run.id) else status)
        elif kind in ("failing", "timeout"):
            fine = status == "failed"
        elif kind == "flaky":
            fine = status in ("completed", "failed")
        if not fine:
            yield Finding("status", f"run {run.id} ({kind}) is {status}: {evidence(world, run)}")


def check_erased(world):
    """Of a task whose deletion was acknowledged nothing is left."""
    for run in world.books.runs.values():
        if run.task_id in world.ledger.erased:
            yield Finding("erased", f"run {run.id} of task {run.task_id}, which was deleted, is still in the store")
    for task in world.ledger.erased:
        if task in world.books.tasks or task in world.books.stats:
            yield Finding("erased", f"task {task} was deleted and is still in the store")


def check_chains(world):
    """A task that waits for another runs once when that has completed, and behind it."""
    by_task = collections.defaultdict(list)
    for run in world.books.runs.values():
        by_task[run.task_id].append(run)
    begins, ends = effects_by_run(world, "begin"), effects_by_run(world, "end")
    for first, task in world.ledger.chains:
        runs = by_task[task]
        if len(runs) != 1:
            yield Finding("chain", f"task {task} waited for run {first} and has {len(runs)} runs: {[run.id for run in runs]}")
        for run in runs:
            if begins[run.id] and ends[first] and begins[run.id][0].at < ends[first][0].at:
                yield Finding("chain", f"run {run.id} began at {begins[run.id][0].at}, run {first} that it waits for ended at {ends[first][0].at}")


# ---- the effects against the runs ----


def effects_by_run(world, word):
    found = collections.defaultdict(list)
    for line in world.lines:
        if line.word == word:
            found[line.run].append(line)
    return found


def evidence(world, run):
    """What is known of a run, in a few lines."""
    attempts = [(a["number"], outcome_of(a), a.get("worker_name"), a.get("error", "")[:80]) for a in run.attempts or []]
    events = [(e.id, e.type, e.attempt, e.status) for e in world.books.events.values() if e.run_id == run.id]
    lines = [tuple(line) for line in world.lines if line.run == run.id and line.word != "tick"]
    error = run.error_message or ""
    return f"attempts {attempts} losses {run.number('losses')} retries {run.number('retries')} error {error!r} events {events} effects {lines}"


def writer_of(run):
    """The attempt whose file was published: a later one may have found it in place, and taken it for its own."""
    if not run.published:
        return None
    return int(run.published["temporary"].rsplit("/", 1)[1].split(".")[1].split("-")[2])


def check_effects(world):
    """Each attempt begins once and ends once; one whose end does not count had lost its lease."""
    begins, ends = effects_by_run(world, "begin"), effects_by_run(world, "end")
    for run_id in set(begins) | set(ends):
        run = world.books.runs.get(run_id)
        if world.kinds.get(run_id) == "erased":
            continue
        if run is None:
            yield Finding("effect", f"run {run_id} has effects and is not in the store")
            continue
        attempts = attempts_of(run)
        for word, lines in (("begin", begins[run_id]), ("end", ends[run_id])):
            for number, count in collections.Counter(line.attempt for line in lines).items():
                if count > 1:
                    yield Finding("twice", f"attempt {number} of run {run_id} has {count} lines \"{word}\": {evidence(world, run)}")
                if number not in attempts:
                    yield Finding("effect", f"attempt {number} of run {run_id} has an effect and is not in its history: {evidence(world, run)}")
        ended = {line.attempt for line in ends[run_id]}
        counts = {number for number in ended if outcome_of(attempts.get(number)) not in TAKEN}
        if len(counts) > 1:
            yield Finding("twice", f"run {run_id} ran to its end in attempts {sorted(counts)} without a lease lost: {evidence(world, run)}")
    for run in world.books.runs.values():
        if status_of(run) == "completed" and run.id in world.kinds:
            last = (run.attempts or [{}])[-1].get("number")
            wanted = {last, writer_of(run)}
            if not wanted & {line.attempt for line in ends[run.id]}:
                yield Finding("effect", f"run {run.id} ({world.kinds[run.id]}) is completed and no such attempt reached its end: {evidence(world, run)}")


def check_overlap(world):
    """No process of an attempt lives on beside the next one, but where its worker could not be told that its lease was lost."""
    by_run = collections.defaultdict(list)
    for line in world.lines:
        by_run[line.run].append(line)
    for run_id, lines in by_run.items():
        run = world.books.runs.get(run_id)
        if run is None:
            continue
        attempts = attempts_of(run)
        for line in lines:
            begun = [other for other in lines if other.word == "begin" and other.attempt > line.attempt and other.at < line.at]
            attempt = attempts.get(line.attempt)
            told = outcome_of(attempt) not in TAKEN or not any(words in (attempt.get("error") or "") for words in SILENCE)
            if begun and told:
                yield Finding("overlap", f"attempt {line.attempt} of run {run_id} wrote \"{line.word}\" at {line.at}, behind the begin of attempt "
                                         f"{begun[0].attempt} at {begun[0].at}: {evidence(world, run)}")


def check_outputs(world):
    names = {path.name: path for path in world.outputs.iterdir()}
    for name in names:
        if name.startswith("."):
            yield Finding("output", f"the temporary file {name} stayed")
    expected = set()
    for key, entry in world.ledger.acknowledged().items():
        if entry.kind != "output" or entry.answer[0] not in world.books.runs:
            continue
        expected.add(key)
        run = world.books.runs[entry.answer[0]]
        if status_of(run) != "completed":
            continue
        path, grant = names.get(key), run.published
        if path is None or grant is None:
            yield Finding("output", f"run {run.id} is completed, its output is {'there' if path else 'missing'}, granted: {grant}")
            continue
        words = path.read_text().split()
        if words != [str(run.id), str(writer_of(run))] or grant["path"] != str(path):
            yield Finding("output", f"run {run.id}: {path} holds {words}, the grant is {grant}")
        if grant["size"] != path.stat().st_size or grant["hash"] != content_hash(path):
            yield Finding("output", f"run {run.id}: {path} is not what the grant says: {grant}")
    for name in set(names) - expected:
        if not name.startswith("."):
            yield Finding("output", f"{name} is published and belongs to no acknowledged run")


def check_logs(world):
    """The accepted attempt's lines are all there, to the last."""
    for run_id, kind in world.kinds.items():
        run = world.books.runs.get(run_id)
        if run is None or status_of(run) != "completed" or run_id not in world.books.logs:
            continue
        last = (run.attempts or [{}])[-1].get("number")
        if run.published and writer_of(run) != last:
            continue  # it found its output in place and did not run
        lines = [line for line in world.books.logs[run_id] if line.get("attempt") == last]
        numbers = [line["seq"] for line in lines]
        texts = [line.get("text", "") for line in lines]
        if numbers != list(range(1, len(numbers) + 1)):
            yield Finding("log", f"run {run_id} ({kind}): lines of attempt {last} are numbered {numbers[:50]}")
        if f"bye {last}" not in texts:
            yield Finding("log", f"run {run_id} ({kind}): the log of attempt {last} has no end: {texts[-3:]}: {evidence(world, run)}")


# ---- the histories ----


def events_by_run(world):
    found = collections.defaultdict(list)
    for event in sorted(world.books.events.values(), key=lambda event: event.id):
        if event.run_id:
            found[event.run_id].append(event)
    return found


def spread(table, states):
    """The states that changes without an event may lead to."""
    found = set(states)
    while True:
        more = {following for state in found for change in HIDDEN for following in table.get((state, change), ())} - found - {"none"}
        if not more:
            return found
        found |= more


def step(table, states, change):
    from_where = states if change == "place" else spread(table, states) - {"none"}
    return {following for state in from_where for following in table.get((state, change), ())}


def changes_of(run, events):
    """[(change, words)] that a run's events and attempts tell, oldest first."""
    attempts, open_attempt, told = attempts_of(run), None, []
    for event in events:
        if open_attempt and event.type in ("run.started", "task.failed", "run.aborted") and outcome_of(attempts.get(open_attempt)) == "returned":
            told.append(("return", f"attempt {open_attempt} returned"))
            open_attempt = None
        if event.type == "task.triggered":
            told.append(("place", event.type))
        elif event.type == "run.started":
            told.append(("assign", f"attempt {event.attempt}"))
            open_attempt = event.attempt
        elif event.type == "run.retry":
            told.append((CHANGE_OF_RETRY.get(event.status, event.status), f"attempt {event.attempt} {event.status}"))
            open_attempt = None
        else:
            told.append((CHANGE_OF_END.get(event.type.split(".")[1], event.type), event.type))
    return told


def check_paths(world):
    events = events_by_run(world)
    for run in world.books.runs.values():
        states, path = {"none"}, []
        for change, words in changes_of(run, events[run.id]):
            path.append(words)
            states = step(world.table, states, change)
            if not states:
                yield Finding("path", f"run {run.id}: no legal path: {path}: {evidence(world, run)}")
                break
        else:
            if states != {"final"}:
                yield Finding("path", f"run {run.id} is {status_of(run)}, its events lead to {sorted(states)}: {evidence(world, run)}")


def check_histories(world):
    """Events and attempts say the same; one result is accepted; the counts of the run are those of its history."""
    events = events_by_run(world)
    for run in world.books.runs.values():
        problem = history_problem(run, events[run.id])
        if problem:
            yield Finding("history", f"run {run.id}: {problem}: {evidence(world, run)}")


def history_problem(run, events):
    ends = [event for event in events if event.type in ("task.completed", "task.failed", "run.aborted")]
    started = [event.attempt for event in events if event.type == "run.started"]
    numbers = [attempt["number"] for attempt in run.attempts or []]
    outcomes = [outcome_of(attempt) for attempt in run.attempts or []]
    if len(ends) != 1 or events[-1] is not ends[0]:
        return f"{len(ends)} ends, the last event is {events[-1].type if events else 'none'}"
    if "task." + status_of(run) != ends[0].type and "run." + status_of(run) != ends[0].type:
        return f"it is {status_of(run)}, its last event is {ends[0].type}"
    if started != list(range(1, len(started) + 1)) or run.number("attempt") != len(started):
        return f"attempts {started} were started, the newest is {run.number('attempt')}"
    if numbers != started[-len(numbers):] and numbers != sorted(set(numbers)):
        return f"its history has the attempts {numbers}"
    if outcomes.count("completed") != (1 if status_of(run) == "completed" else 0) or "open" in outcomes:
        return f"accepted results: {outcomes}"
    if len(outcomes) < 128 and (outcomes.count("lost") != run.number("losses")):
        return f"{run.number('losses')} losses, {outcomes.count('lost')} in its history"
    spent = sum(outcome in ("failed", "timeout") for outcome in outcomes[:-1])
    if len(outcomes) < 128 and spent != run.number("retries"):
        return f"{run.number('retries')} retries, {spent} in its history"
    attempts = attempts_of(run)
    for event in events:
        if event.type == "run.retry" and event.attempt in attempts and outcome_of(attempts[event.attempt]) != event.status:
            return f"event {event.id} says attempt {event.attempt} was {event.status}"
    return None


def check_events(world):
    numbers = sorted(world.books.events)
    if numbers and numbers != list(range(1, numbers[-1] + 1)):
        missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers))
        yield Finding("sequence", f"of {numbers[-1]} events these are missing: {missing[:50]}")
    for number, event in world.books.events.items():
        if event.id != number:
            yield Finding("sequence", f"event {event.id} is kept under {number}")


def check_applied(world):
    """Sequence after sequence, through all lives of the store; what it finds at a start is what it had, or a batch it could not tell of."""
    epoch = number = None
    for word, at_epoch, at_number in world.applied:
        if word == "found":
            if epoch is not None and (at_epoch, at_number) < (epoch, number):
                yield Finding("applied", f"the store had applied {epoch}/{number} and found {at_epoch}/{at_number} at its next start")
        elif epoch is not None and at_epoch == epoch and at_number != number + 1:
            yield Finding("applied", f"the store applied {at_epoch}/{at_number} behind {epoch}/{number}")
        elif epoch is not None and at_epoch != epoch and (at_epoch < epoch or at_number != 1):
            yield Finding("applied", f"the store applied {at_epoch}/{at_number} behind {epoch}/{number}")
        epoch, number = at_epoch, at_number
    if epoch is None:
        yield Finding("applied", "the store told of no batch")


def check_words(world):
    """No process saw what should not be: kills and cuts are warnings at most."""
    for name, text in world.words.items():
        for line in errors(text)[:20]:
            yield Finding("error", f"{name} said: {line[:2000]}")


# ---- indexes and counts ----


def check_indexes(world):
    kinds = {"run": world.books.runs, "task": world.books.tasks}
    for (name, field, value, sort), (ids, total) in world.books.answers.items():
        chosen = [r for r in kinds[name].values() if field is None or (r.get(field) or (0 if isinstance(value, int) else "")) == value]
        words = f"{name}s" + (f" of {field} {value}" if field else "") + (f" by {sort}" if sort else "")
        if total != len(chosen):
            yield Finding("index", f"{words}: the index counts {total}, there are {len(chosen)}")
        if sorted(ids) != sorted(record.id for record in chosen):
            odd = set(ids) ^ {record.id for record in chosen}
            yield Finding("index", f"{words}: the index and the records differ in {sorted(odd)[:20]} (or name one twice)")
        elif sort:
            order = [kinds[name][one].number(sort) or float("inf") for one in ids]
            if order != sorted(order):
                yield Finding("index", f"{words}: not in order")


def check_statistics(world):
    by_task = collections.defaultdict(list)
    for run in world.books.runs.values():
        by_task[run.task_id].append(run)
    for task, runs in by_task.items():
        stat = world.books.stats.get(task)
        if stat is None or task not in world.books.tasks:
            yield Finding("count", f"task {task} has {len(runs)} runs and no {'statistics' if task in world.books.tasks else 'record'}")
            continue
        statuses = collections.Counter(status_of(run) for run in runs)
        counted = {"total": len(runs), **{status: statuses[status] for status in FINAL.values()}, "last_run_id": max(run.id for run in runs)}
        for field, value in counted.items():
            if stat.number(field) != value:
                yield Finding("count", f"task {task}: {field} is {stat.number(field)}, its runs come to {value}")
        task_record = world.books.tasks[task]
        wanted = {"completed": 2, "failed": 3}.get(status_of(runs[0]))
        if task_record.oneshot and wanted and task_record.number("status") != wanted:
            yield Finding("count", f"task {task} was made for run {runs[0].id}, which is {status_of(runs[0])}; it has status {task_record.status}")


def check_schedules(world):
    by_task = collections.defaultdict(list)
    for run in world.books.runs.values():
        if run.task_id in world.ledger.schedules:
            by_task[run.task_id].append(run)
    for task, every in world.ledger.schedules.items():
        runs = sorted(by_task[task], key=lambda run: run.id)
        if not runs:
            yield Finding("schedule", f"task {task}, every {every} s, has no run")
            continue
        seconds = (runs[-1].created_at - runs[0].created_at) / 1000
        if len(runs) > seconds / every + 2:
            yield Finding("schedule", f"task {task}, every {every} s, has {len(runs)} runs in {seconds:.1f} s")


CHECKS = [check_lost, check_unknown, check_keys, check_ends, check_erased, check_chains, check_effects, check_overlap, check_outputs, check_logs,
          check_paths, check_histories, check_events, check_applied, check_words, check_indexes, check_statistics, check_schedules]


def audit(world):
    """All findings."""
    found = list(world.others)
    found += [Finding("answer", text) for text in world.ledger.problems]
    if world.chronicle:
        found += [Finding("process", text) for text in world.chronicle.problems]
    for check in CHECKS:
        found += check(world)
    return found


def twice(world):
    """Runs that reached their end in more than one attempt."""
    ends = collections.defaultdict(set)
    for line in world.lines:
        if line.word == "end":
            ends[line.run].add(line.attempt)
    return {run: sorted(attempts) for run, attempts in ends.items() if len(attempts) > 1}
