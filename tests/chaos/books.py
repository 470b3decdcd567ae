"""Everything the store holds, read over the bus: records by SCAN, the same by their indexes with QUERY, logs with LOG_READ."""

import re

import msgpack

from tests.bus import TABLE, from_wire, unpack

TYPES = {"task": 1, "task_stat": 2, "run": 3, "worker": 4, "key": 5, "event": 6}
RUN_STATUS = ["pending", "running", "completed", "failed", "aborted"]
OUTCOMES = ["open", "completed", "failed", "timeout", "aborted", "lost", "returned"]
EQUAL = 1  # enum filter_op
ROWS = 1000


def decode(name, value):
    """A stored record by its field names; what is absent is zero or empty."""
    shape = "rec_" + name
    fields = from_wire(shape, msgpack.unpackb(value, strict_map_key=False))
    return Record({field: fields.get(field) for field in TABLE[shape].keys})


class Record(dict):
    """Fields as attributes, zero where there is none."""

    def __getattr__(self, name):
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def number(self, name):
        return self[name] or 0


class Books:
    def __init__(self, records, answers=None, logs=None):
        self.tasks, self.stats, self.runs = records["task"], records["task_stat"], records["run"]
        self.workers, self.keys, self.events = records["worker"], records["key"], records["event"]
        self.answers = answers or {}  # what an index answered: words -> [ids]
        self.logs = logs or {}  # run -> [lines]


class Reader:
    def __init__(self, peer):
        self.peer = peer

    def ask(self, question, answer, **fields):
        name, got = self.peer.ask(question, timeout=60, **fields)
        if name != answer:
            raise AssertionError(f"{question} {fields} was answered with {name} {got}")
        return got

    def scan(self, name):
        found, after = {}, 0
        while True:
            rows = self.ask("scan", "scan_rows", type=TYPES[name], after=after, limit=ROWS)
            for row in rows.get("rows", []):
                found[row["id"]] = decode(name, row["value"])
                after = row["id"]
            if rows.get("end"):
                return found

    def query(self, name, field=None, value=None, sort=""):
        """(ids in the order of the answer, total) of all pages."""
        ids, page = [], 1
        fields = dict(type=TYPES[name], size=ROWS, sort=sort)
        if field:
            fields["filters"] = [dict(field=field, op=EQUAL, **({"text": value} if isinstance(value, str) else {"number": value}))]
        while True:
            rows = self.ask("query", "query_rows", page=page, **fields)
            got = [row["id"] for row in rows.get("rows", [])]
            ids += got
            if len(got) < ROWS:
                return ids, rows.get("total", 0)
            page += 1

    def log(self, run):
        lines, after = [], 0
        while True:
            rows = self.ask("log_read", "log_rows", run_id=run, after=after, limit=ROWS)
            lines += rows.get("lines", [])
            if rows.get("end") or not rows.get("lines"):
                return lines
            after = rows["next"]

    def read(self):
        books = Books({name: self.scan(name) for name in TYPES})
        for status in range(len(RUN_STATUS)):
            books.answers["run", "status", status, ""] = self.query("run", "status", status)
        for name in sorted({run.worker_name for run in books.runs.values() if run.worker_name}):
            books.answers["run", "worker_name", name, ""] = self.query("run", "worker_name", name)
            books.answers["run", "worker_name", name, "completed_at"] = self.query("run", "worker_name", name, "completed_at")
        counts = {}
        for run in books.runs.values():
            counts[run.task_id] = counts.get(run.task_id, 0) + 1
        for task, count in counts.items():
            if count > 1:
                books.answers["run", "task_id", task, ""] = self.query("run", "task_id", task)
                books.answers["run", "task_id", task, "started_at"] = self.query("run", "task_id", task, "started_at")
        for field in ("started_at", "completed_at"):
            books.answers["run", None, None, field] = self.query("run", sort=field)
        for status in range(4):
            books.answers["task", "status", status, ""] = self.query("task", "status", status)
        books.logs = {run: self.log(run) for run in books.runs}
        return books


def key_answer(record):
    """(message, its fields) of a key's stored answer."""
    name, fields, _ = unpack(record.answer)
    return name, fields


def errors(text):
    """The lines of a process's log that are errors, or none of the log's."""
    return [line for line in text.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT[0-9:.]+Z (DEBUG|INFO|WARN) ", line)]


def applied_lines(text):
    """What the store said of batches over all its lives: [("found" | "applied", epoch, sequence)]."""
    pattern = r"GTY-STORE-(STATE|APPLIED) epoch=(\d+) (?:applied|seq)=(\d+)"
    return [("found" if word == "STATE" else "applied", int(epoch), int(number)) for word, epoch, number in re.findall(pattern, text)]
