"""The bus seen from Python: messages by the names of proto/messages.def, a scripted peer, a watcher of traces."""

import os
import pathlib
import re
import struct
import time

import msgpack
import zmq

from tests.farm import LEAST, SLOW

ROOT = pathlib.Path(__file__).resolve().parent.parent


UNAVAILABLE = 7  # enum error_code
WAIT = LEAST * SLOW  # seconds for what has to come


def messages(socket, timeout, pause=WAIT):
    """True for each message that is there to be received until then, False each pause in between. What is there at the end of the time is
    told of, too, for as long again at most: it may have come while the test itself stood still."""
    end = time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        there = socket.poll(max(0, int(1000 * min(left, pause)))) != 0
        if left < (-timeout if there else 0):
            return
        yield there


class Shape:
    def __init__(self, name, number=0):
        self.name = name
        self.number = number
        self.keys = {}  # field name -> (key, nested shape name or None, is a list)


def read_table():
    """messages.def as {name: Shape}; records are found as rec_<name>."""
    text = (ROOT / "proto" / "messages.def").read_text()
    shapes = {}
    for kind, rest in re.findall(r"^(REC|MSG|FIELD|NEST|LIST)\((.*)\)\s*$", text, re.M):
        words = [word.strip() for word in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', rest)]
        if kind == "REC":
            shapes["rec_" + words[0]] = Shape(words[0])
        elif kind == "MSG":
            shapes["msg_" + words[1]] = Shape(words[1], int(words[2], 16))
        elif kind == "FIELD":
            shapes[words[0]].keys[words[4]] = (int(words[1]), None, False)
        else:
            shapes[words[0]].keys[words[4]] = (int(words[1]), "rec_" + words[3], kind == "LIST")
    return shapes


TABLE = read_table()
BY_NUMBER = {shape.number: name for name, shape in TABLE.items() if shape.number}


def to_wire(shape, fields):
    out = {}
    for name, value in fields.items():
        key, nested, many = TABLE[shape].keys[name]
        if nested and many:
            value = [to_wire(nested, item) for item in value]
        elif nested:
            value = to_wire(nested, value)
        out[key] = value
    return out


def from_wire(shape, fields):
    out = {}
    for name, (key, nested, many) in TABLE[shape].keys.items():
        if key in fields:
            value = fields[key]
            if nested and many:
                value = [from_wire(nested, item) for item in value]
            elif nested:
                value = from_wire(nested, value)
            out[name] = value
    return out


def pack(name, corr=0, **fields):
    shape = "msg_" + name
    frame = [TABLE[shape].number, to_wire(shape, fields)]
    return msgpack.packb(frame + [corr] if corr else frame)


def unpack(frame):
    """(name, fields, corr)"""
    parts = msgpack.unpackb(frame, strict_map_key=False)
    shape = BY_NUMBER[parts[0]]
    return shape[4:], from_wire(shape, parts[1]), parts[2] if len(parts) > 2 else 0


class Peer:
    """A DEALER that speaks one message at a time, as a test says. Use as a context manager."""

    def __init__(self, endpoint, curve=None):
        """curve: (public key, secret key, the server's public key)"""
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        if curve:
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = curve
        self.socket.connect(endpoint)
        self.corr = 0
        self.kept = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close(0)
        self.context.term()

    def tell(self, name, **fields):
        self.socket.send(pack(name, **fields))

    def receive(self, timeout=WAIT):
        """The next message as (name, fields, corr); None when none comes in time."""
        if self.kept:
            return self.kept.pop(0)
        if self.socket.poll(int(timeout * 1000)):
            return unpack(self.socket.recv())
        return None

    def coming(self, timeout):
        """What comes within that time, message by message."""
        return (unpack(self.socket.recv()) for there in messages(self.socket, timeout) if there)

    def expect(self, name, timeout=WAIT, where=lambda fields: True):
        """The fields of the next message of that name; others in between are kept for later calls."""
        seen = []
        for index, (kept, fields, _) in enumerate(self.kept):
            if kept == name and where(fields):
                del self.kept[index]
                return fields
        for got, fields, corr in self.coming(timeout):
            if got == name and where(fields):
                return fields
            self.kept.append((got, fields, corr))
            seen.append(got)
        raise AssertionError(f"no {name} within {timeout} s; came: {seen}")

    def insist(self, name, answer, where=lambda fields: True, timeout=WAIT, **fields):
        """Tells it again and again until the answer comes: what a worker does with facts that are to be on disk."""
        until = time.monotonic() + timeout
        while True:
            self.tell(name, **fields)
            try:
                return self.expect(answer, 0.5, where)
            except AssertionError:
                if time.monotonic() > until:
                    raise

    def ask(self, name, timeout=WAIT, **fields):
        """Sends a request; answers (name, fields) of what comes back."""
        timeout = max(timeout, WAIT)
        self.corr += 1
        corr = self.corr
        self.socket.send(pack(name, corr=corr, **fields))
        for got, answer, number in self.coming(timeout):
            if number == corr:
                return got, answer
            self.kept.append((got, answer, number))
        raise AssertionError(f"no answer to {name} within {timeout} s")


def key():
    """An idempotency key of a client of the bus."""
    return {"scope": os.urandom(16), "body": os.urandom(16)}


class ScriptedWorker(Peer):
    """A worker whose every step is the test's."""

    def __init__(self, endpoint, types=("scripted",), slots=1, ident=None, executors=("scripted", "exec", "shell"), curve=None):
        super().__init__(endpoint, curve)
        self.types = list(types)
        self.slots = slots
        self.executors = list(executors)
        self.ident = ident or os.urandom(8).hex()
        self.boot = os.urandom(8).hex()

    def hello(self, running=(), timeout=WAIT, **more):
        """Begins a session, again and again while the scheduler has no store to note it in; answers WELCOME."""
        until = time.monotonic() + timeout
        while True:
            name, fields = self.ask("hello", timeout=timeout, protocol=1, ident=self.ident, boot=self.boot, hostname="scripted",
                                    task_types=self.types, executors=self.executors, slots=self.slots, credit=self.slots,
                                    running=list(running), **more)
            if name == "welcome":
                return fields
            if fields.get("code") != UNAVAILABLE or time.monotonic() > until:
                raise AssertionError(f"HELLO was answered with {name} {fields}")
            time.sleep(0.05)

    def heartbeat(self, running=()):
        self.tell("heartbeat", running=list(running))

    def assignment(self, timeout=WAIT):
        return self.expect("assign", timeout)["runs"][0]

    def result(self, run, attempt, outcome=1, **more):
        self.tell("result", items=[dict(run_id=run, attempt=attempt, outcome=outcome, **more)])


def process_state(pid):
    """The letter of proc(5), "" for a process that is gone."""
    try:
        return pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


class Trace:
    """Watches the processes' trace sockets of a runtime folder."""

    HEADER = struct.Struct("=Qc16s16s32s7x")

    def __init__(self, runtime):
        self.runtime = pathlib.Path(runtime)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.SUB)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"")
        self.socket.setsockopt(zmq.LINGER, 0)
        self.known = set()
        self.joined = set()  # pids of the processes that have said that they see us

    def __enter__(self):
        """Watches from here on: what the living processes send is seen, without exception."""
        self.join()
        for there in messages(self.socket, WAIT, 0.05):
            if there:
                self.receive()
            if not self.awaited():
                return self
        raise AssertionError(f"processes {self.awaited()} do not say that they are watched")

    def __exit__(self, *_):
        self.socket.close(0)
        self.context.term()

    def join(self):
        for path in self.runtime.glob("trace-*.ipc"):
            if path not in self.known:
                self.known.add(path)
                self.socket.connect(f"ipc://{path}")

    def awaited(self):
        """The pids that have a trace socket and can answer, and have not."""
        pids = {int(path.stem.rsplit("-", 1)[1]) for path in self.known}
        return {pid for pid in pids - self.joined if process_state(pid) not in ("", "Z", "T")}

    def receive(self):
        """One message: (direction, service, name, fields); None for the word of a process that it is watched."""
        header, frame = self.socket.recv_multipart()
        _, way, who, _, peer = (part.split(b"\0")[0].decode() if isinstance(part, bytes) else part for part in self.HEADER.unpack(header))
        if way == "=":
            self.joined.add(int(peer))
            return None
        name, fields, _ = unpack(frame)
        return way, who, name, fields

    def wait(self, name, service=None, direction=None, timeout=WAIT, where=lambda fields: True):
        """Waits until that message is seen; answers its fields."""
        for there in messages(self.socket, max(timeout, WAIT), 0.05):
            self.join()
            seen = self.receive() if there else None
            if seen is None:
                continue
            way, who, got, fields = seen
            if got == name and service in (None, who) and direction in (None, way) and where(fields):
                return fields
        raise AssertionError(f"{name} was not seen on the bus within {timeout} s")
