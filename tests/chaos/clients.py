"""Who submits while the farm falls and gets up again, and the ledger of what they were told.

Every command has an idempotency key and is repeated with it until it is answered: over REST, or over a DEALER at the workers' socket.
What a client was told is what the farm is held to.
"""

import http.client
import itertools
import json
import os
import threading
import time

import zmq

from tests.bus import pack, unpack

REST, DEALER = "rest", "dealer"
AGAIN = {6, 7, 8, 11}  # enum error_code: LIMIT, UNAVAILABLE, UNKNOWN_OUTCOME, NO_MEMORY
KINDS = [("noop", 50), ("output", 15), ("chatty", 5), ("seconds", 6), ("flaky", 6), ("failing", 4), ("slow", 4), ("timeout", 1)]
ACTS = [("submit", 80), ("batch", 8), ("chain", 4), ("hold", 3), ("erase", 2), ("again", 3)]


class Entry:
    """One command and what it was answered."""

    def __init__(self, key, door, kind, request):
        self.key, self.door, self.kind, self.request = key, door, kind, request
        self.answer = None  # [run ids], or [id] of a task
        self.refused = False  # for good
        self.tries = 0
        self.is_run = True


class Ledger:
    """What was asked and answered. Filled by all clients, read by the auditor."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries = {}
        self.problems = []
        self.acks = []  # monotonic times of acknowledged writes
        self.aborted = {}  # run -> True: the abort was acknowledged; False: it was refused, the run was final already
        self.chains = []  # (run of the first task, id of the task that waits for it)
        self.erased = set()  # tasks of which the deletion was asked for; none is answered before it is done
        self.schedules = {}  # task id -> seconds between its runs
        self.repeats = 0
        self.giving_up = None  # monotonic time from which on nobody tries any more

    def open(self, key, door, kind, request):
        entry = Entry(key, door, kind, request)
        with self.lock:
            self.entries[key] = entry
        return entry

    def close(self, entry, answer):
        with self.lock:
            self.acks.append(time.monotonic())
            if entry.answer is None:
                entry.answer = answer
            elif entry.answer != answer:
                self.problems.append(f"key {entry.key} was answered with {entry.answer}, its repeat with {answer}")
            else:
                self.repeats += 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)

    def over(self):
        return self.giving_up is not None and time.monotonic() > self.giving_up

    def acknowledged(self):
        return {key: entry for key, entry in self.entries.items() if entry.answer is not None}


def pick(chance, weighted):
    return chance.choices([name for name, _ in weighted], [weight for _, weight in weighted])[0]


class Refused(Exception):
    """An answer that no repeat would change."""


class RestDoor:
    """Commands over HTTP, on a connection that is kept while it works."""

    name = REST

    def __init__(self, port, ledger, chance, slow):
        self.port, self.ledger, self.chance, self.slow = port, ledger, chance, slow
        self.connection = None

    def once(self, entry, timeout):
        """The answer's data; None when it has to be asked again."""
        method, path, body = entry.request
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
            self.connection.timeout = timeout
            self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                    {"Content-Type": "application/json", "Idempotency-Key": entry.key})
            response = self.connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        if response.status in (200, 201):
            return json.loads(raw)["data"]
        if response.status == 503:
            return None
        raise Refused(f"{path} with key {entry.key}: {response.status} {raw[:600].decode(errors='replace')}")

    def ask(self, entry):
        """Repeats it until it is answered; the data, or None when nobody tries any more."""
        while not self.ledger.over():
            entry.tries += 1
            data = self.once(entry, self.chance.choice([1, 3, 8]) * self.slow)
            if data is not None:
                return data
            time.sleep(self.chance.uniform(0.01, 0.1))
        self.ledger.problem(f"key {entry.key} ({entry.kind}) got no answer over REST in {entry.tries} tries")
        return None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    # What each command is in this dialect.

    def submit(self, spec, key):
        return "POST", "/api/runs", dict(spec, parameters={"key": key})

    def trigger(self, task, key):
        return "POST", f"/api/tasks/{task}/trigger", {"parameters": {"key": key}}

    def batch(self, task, key, count):
        items = [{"parameters": {"key": f"{key}.{n}"}, "idempotency_key": f"{key}.{n}"} for n in range(count)]
        return "POST", f"/api/tasks/{task}/trigger-batch", {"items": items}

    def create(self, spec, key):
        return "POST", "/api/tasks", dict(spec, name=f"task-{key}")

    def abort(self, run, key):
        return "POST", f"/api/runs/{run}/abort", {"reason": "chaos"}

    def pause(self, task, paused):
        return "POST", f"/api/tasks/{task}/{'pause' if paused else 'resume'}", {}

    def erase(self, task):
        return "DELETE", f"/api/tasks/{task}?force=true", None

    def restart(self, run):
        return "POST", f"/api/runs/{run}/restart", {}

    @staticmethod
    def named(data):
        """The ids that an answer names."""
        for name in ("run_ids", "run_id", "new_run_id", "deleted_id", "id"):
            if name in data:
                return data[name] if name == "run_ids" else [data[name]]
        raise ValueError(data)

    @staticmethod
    def is_conflict(refused):
        return " 409 " in str(refused)


class DealerDoor:
    """Commands over a DEALER at the workers' socket. A key is 16 random bytes, in hex in the ledger."""

    name = DEALER

    def __init__(self, ground, ledger, chance, slow, path="clients-workers"):
        self.ground, self.ledger, self.chance, self.slow, self.path = ground, ledger, chance, slow, path
        self.peer = None
        self.numbers = itertools.count(1)

    def send(self, entry):
        name, fields = entry.request
        number = next(self.numbers)
        scope = bytes.fromhex(entry.key)
        frame = pack(name, corr=number, idem={"scope": scope, "body": scope[::-1]}, **fields)
        try:
            self.peer.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            pass  # its queue is full: what is not answered is sent again
        return number

    def receive(self, numbers, timeout):
        """The first answer to one of these, as (name, fields); None when none comes in time."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            if self.peer.socket.poll(int(left * 1000) + 1):
                name, fields, corr = unpack(self.peer.socket.recv())
                if corr in numbers:
                    numbers.discard(corr)
                    return name, fields
        return None

    def ask(self, entry):
        while not self.ledger.over():
            entry.tries += 1
            if self.peer is None:
                self.peer = self.ground.peer(self.path)
            numbers = {self.send(entry)}
            if self.chance.random() < 0.05:
                numbers.add(self.send(entry))  # twice at once
            answer = self.receive(numbers, self.chance.choice([1, 3]) * self.slow)
            if answer is None:
                if self.chance.random() < 0.5:
                    self.close()
                continue
            data = self.read(entry, answer)
            while data is not None and numbers and (other := self.receive(numbers, 1 * self.slow)):
                twin = self.read(entry, other)
                if twin is not None and self.named(twin) != self.named(data):
                    self.ledger.problem(f"key {entry.key} sent twice at once was answered {data} and {twin}")
            if data is not None:
                return data
            time.sleep(self.chance.uniform(0.01, 0.1))
        self.ledger.problem(f"key {entry.key} ({entry.kind}) got no answer over the DEALER in {entry.tries} tries")
        return None

    @staticmethod
    def read(entry, answer):
        name, fields = answer
        if name != "error":
            return fields
        if fields["code"] in AGAIN:
            return None
        raise Refused(f"{entry.request[0]} with key {entry.key}: {fields}")

    def close(self):
        if self.peer is not None:
            self.peer.__exit__()
        self.peer = None

    def submit(self, spec, key):
        return "run_submit", {"spec": spec, "trigger": {"parameters": {"key": key}}}

    def trigger(self, task, key):
        return "run_trigger", {"task_id": task, "trigger": {"parameters": {"key": key}}}

    def batch(self, task, key, count):
        return "run_trigger_batch", {"task_id": task, "items": [{"parameters": {"key": f"{key}.{n}"}} for n in range(count)]}

    def create(self, spec, key):
        return "task_create", {"spec": dict({"schedule": "", "description": ""}, **spec, name=f"task-{key}")}

    def abort(self, run, key):
        return "run_abort", {"id": run, "reason": "chaos"}

    def pause(self, task, paused):
        return "task_pause", {"id": task, "paused": paused}

    def erase(self, task):
        return "task_delete", {"id": task, "force": True}

    @staticmethod
    def named(data):
        if "run_ids" in data:
            return list(data["run_ids"])
        return [data["run"]["id"] if "run" in data else data["task"]["id"] if "task" in data else data["id"]]

    @staticmethod
    def is_conflict(refused):
        return "'code': 4" in str(refused)


class Client(threading.Thread):
    """Does one thing after another through one door until it is told to stop."""

    def __init__(self, number, door, scripts, ledger, chance, batch_task, pace):
        super().__init__(name=f"client{number}", daemon=True)
        self.number, self.door, self.scripts, self.ledger, self.chance = number, door, scripts, ledger, chance
        self.batch_task, self.pace = batch_task, pace
        self.done = threading.Event()
        self.last = None  # a run that is soon final

    def run(self):
        try:
            while not self.done.is_set() and not self.ledger.over():
                act = pick(self.chance, ACTS)
                getattr(self, act)()
                self.done.wait(self.chance.uniform(0, 2 * self.pace))
        except Refused as refused:
            self.ledger.problem(f"refused for good: {refused}")
        except Exception as error:  # noqa: BLE001 - a client that fell is a finding
            self.ledger.problem(f"{self.name} fell: {error!r}")
            raise
        finally:
            self.door.close()

    def key(self):
        return os.urandom(16).hex()

    def command(self, kind, request, key, is_run=True):
        """What the command's answer names: [run ids] or [task id]; None when nobody tries any more."""
        entry = self.ledger.open(key, self.door.name, kind, request)
        entry.is_run = is_run
        try:
            data = self.door.ask(entry)
        except Refused:
            entry.refused = True
            raise
        if data is None:
            return None
        named = self.door.named(data)
        self.ledger.close(entry, named)
        if self.chance.random() < 0.03:  # the answer got lost, it thinks
            again = self.door.ask(entry)
            if again is not None:
                self.ledger.close(entry, self.door.named(again))
        return named

    def spec(self, kind):
        command, fields = self.scripts.command(kind, self.chance)
        return dict({"task_type": "shell", "executor": "shell", "command": command}, **fields)

    def submit(self):
        kind, key = pick(self.chance, KINDS), self.key()
        runs = self.command(kind, self.door.submit(self.spec(kind), key), key)
        if runs and kind == "noop":
            self.last = runs[0]
        if runs and kind == "slow":
            self.done.wait(self.chance.uniform(0, 2))
            self.abort(runs[0])

    def abort(self, run):
        key = self.key()
        try:
            if self.command("abort", self.door.abort(run, key), key, is_run=False):
                self.ledger.aborted[run] = True
        except Refused as refused:
            if not self.door.is_conflict(refused):
                raise
            self.ledger.aborted[run] = False

    def batch(self):
        key = self.key()
        self.command("batch", self.door.batch(self.batch_task, key, self.chance.randint(2, 12)), key)

    def task(self, **more):
        """Makes a task of no-op runs; its id."""
        key = self.key()
        made = self.command("task", self.door.create(dict(self.spec("noop"), **more), key), key, is_run=False)
        return made[0] if made else None

    def hold(self):
        """A run of a task that is paused, until it is not."""
        task = self.task()
        key = self.key()
        if task and self.command("pause", self.door.pause(task, True), self.key(), is_run=False):
            if self.command("held", self.door.trigger(task, key), key):
                self.done.wait(self.chance.uniform(0, 0.5))
                self.command("resume", self.door.pause(task, False), self.key(), is_run=False)

    def erase(self):
        """A task that is deleted with its runs, wherever they are."""
        task = self.task()
        key = self.key()
        if task and self.command("erased", self.door.batch(task, key, self.chance.randint(1, 5)), key):
            self.done.wait(self.chance.uniform(0, 0.5))
            self.ledger.erased.add(task)
            self.command("erase", self.door.erase(task), self.key(), is_run=False)

    def again(self):
        """A new run like one that is over, which the scheduler has forgotten."""
        if self.last is None or self.door.name != REST:
            return  # a client of the bus would have to know the record
        try:
            self.command("again", self.door.restart(self.last), self.key())
        except Refused as refused:
            if not self.door.is_conflict(refused):
                raise  # a conflict: it is not over yet

    def chain(self):
        """A task, and one that runs by itself when the first has completed."""
        first = self.task()
        second = self.task(dependencies=[str(first)]) if first else None
        key = self.key()
        runs = self.command("first", self.door.trigger(first, key), key) if second else None
        if runs:
            with self.ledger.lock:
                self.ledger.chains.append((runs[0], second))


class Reader(threading.Thread):
    """Reads what was acknowledged: it is there at once, and what is final stays as it is."""

    def __init__(self, farm, ledger, chance):
        super().__init__(name="reader", daemon=True)
        self.farm, self.ledger, self.chance = farm, ledger, chance
        self.done = threading.Event()
        self.finals = {}
        self.reads = 0

    def run(self):
        known = []
        while not self.done.wait(0.03):
            with self.ledger.lock:
                known = [e for e in itertools.islice(reversed(self.ledger.entries.values()), 400) if e.answer and e.is_run and e.kind != "erased"]
            if known:
                self.look(self.chance.choice(self.chance.choice(known).answer))

    def look(self, run):
        try:
            answer = self.farm.get(f"/api/runs/{run}", timeout=3)
        except (OSError, http.client.HTTPException):
            return
        if answer.status == 503:
            return
        self.reads += 1
        if answer.status != 200:
            self.ledger.problem(f"run {run} was acknowledged, and a read of it answered {answer.status} {answer.body}")
            return
        status = answer.body["data"]["status"]
        if self.finals.get(run, status) != status:
            self.ledger.problem(f"run {run} was {self.finals[run]}, and is {status} now")
        if status in ("completed", "failed", "aborted"):
            self.finals[run] = status
