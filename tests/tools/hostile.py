#!/usr/bin/python3
"""Hostile peers at the workers' door, and what an honest worker notices of them.

    tests/tools/hostile.py [ATTACK…] [--seconds N] [--connections N]        (GANTRY_BUILD names the build)

A farm listens on tcp with CURVE. An honest worker sends a heartbeat, submits a run, does it and has its result acknowledged, over and
over; each attack runs beside it in a process of its own. One row a phase: what the honest worker got done and how long it took, and
what the scheduler holds and burns, and how many connections stood at once. tests/scenario/test_hostile.py runs the same in small.
"""

import argparse
import multiprocessing
import os
import pathlib
import random
import re
import resource
import select
import shutil
import socket
import sys
import threading
import time

import zmq
import zmq.auth

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from tests.bus import ScriptedWorker, key, pack  # noqa: E402
from tests.farm import Farm, free_port, wait_for  # noqa: E402

GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x01"  # ZMTP 3.1 up to the mechanism


def greeting(mechanism):
    return GREETING + mechanism.ljust(20, b"\0") + b"\0" + b"\0" * 31


# ---- attacks: each goes on until it is killed; port: the door's; keys: of a peer that is let in, or of one that is not ----


def dial(port):
    sock = socket.socket()
    sock.settimeout(2)
    sock.connect(("127.0.0.1", port))
    return sock


def flood(port, say):
    """Connects, says it, hangs up; again and again."""
    while True:
        try:
            with dial(port) as sock:
                sock.sendall(say())
        except OSError:
            pass


def hold(port, say, count):
    """Keeps that many connections that have said it and no more; what is cut is opened anew."""
    held, heard = {}, select.epoll()
    while True:
        for number, _ in heard.poll(0 if len(held) < count else 0.02):
            if over(held[number]):
                held.pop(number).close()
        if len(held) >= count:
            continue
        try:
            sock = dial(port)
            sock.sendall(say)
        except OSError:
            time.sleep(0.01)
            continue
        sock.setblocking(False)
        heard.register(sock, select.EPOLLIN | select.EPOLLHUP)
        held[sock.fileno()] = sock


def over(sock):
    """Whether the other side has ended it; what it says is read and forgotten."""
    try:
        return not sock.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True


def garbage(port, keys, count):
    flood(port, lambda: random.randbytes(random.randrange(1, 4096)))


def connects(port, keys, count):
    flood(port, lambda: b"")


def half_handshakes(port, keys, count):
    hold(port, GREETING, count)


def half_frames(port, keys, count):
    hold(port, greeting(b"CURVE") + b"\x04\xc8\x05HELLO\x01\0", count)


def many(port, keys, count):
    hold(port, b"", count)


def frames(port, curve, parts):
    """A libzmq peer that sends what parts() yields as fast as it is taken."""
    context = zmq.Context()
    peer = context.socket(zmq.DEALER)
    peer.setsockopt(zmq.LINGER, 0)
    peer.setsockopt(zmq.RECONNECT_IVL, 1)
    if curve:
        peer.curve_publickey, peer.curve_secretkey, peer.curve_serverkey = curve
    peer.connect(f"tcp://127.0.0.1:{port}")
    for part, more in parts():
        peer.send(part, zmq.SNDMORE if more else 0)
        while not more and peer.poll(0):
            peer.recv()


def endless(size):
    def parts():
        while True:
            yield b"x" * size, True
    return parts


def wrong_mechanism(port, keys, count):
    while True:
        for mechanism in (b"NULL", b"PLAIN", b"GSSAPI", b"\xff" * 20):
            try:
                with dial(port) as sock:
                    sock.sendall(greeting(mechanism) + b"\x04\x05\x05READY" + b"\1" + b"\xff" * 4000)
            except OSError:
                pass


def plain_more(port, keys, count):
    frames(port, None, endless(60000))


def wrong_key(port, keys, count):
    """Whole handshakes with keys that nobody listed."""
    server = keys[2]
    context = zmq.Context()
    while True:
        peers = []
        for _ in range(50):
            peer = context.socket(zmq.DEALER)
            peer.setsockopt(zmq.LINGER, 0)
            peer.curve_publickey, peer.curve_secretkey = zmq.curve_keypair()
            peer.curve_serverkey = server
            peer.connect(f"tcp://127.0.0.1:{port}")
            peers.append(peer)
        time.sleep(0.2)
        for peer in peers:
            peer.close(0)


def hellos(port, keys, count):
    """With a key that is let in: a new worker with every message."""
    def parts():
        while True:
            yield pack("hello", corr=1, protocol=1, ident=os.urandom(8).hex(), boot="b", hostname="h", task_types=["x"], executors=["x"],
                       slots=1, credit=65536), False
    frames(port, keys, parts)


def heartbeats(port, keys, count):
    """With a key: a session that names 10,000 runs in each heartbeat that are not its own."""
    beat = pack("heartbeat", running=[dict(run_id=n + 1, attempt=1) for n in range(10000)])

    def parts():
        yield pack("hello", corr=1, protocol=1, ident="beats", boot=os.urandom(8).hex(), hostname="h", task_types=["x"], executors=["x"],
                   slots=1, credit=1), False
        while True:
            yield beat, False
    frames(port, keys, parts)


def results(port, keys, count):
    """With a key: results, accepts and log lines for runs of others."""
    def parts():
        yield pack("hello", corr=1, protocol=1, ident="thief", boot=os.urandom(8).hex(), hostname="h", task_types=["x"], executors=["x"],
                   slots=1, credit=1), False
        at = 0
        while True:
            at = at % 100000 + 1
            yield pack("result", items=[dict(run_id=at + n, attempt=1, outcome=1, result="stolen") for n in range(100)]), False
            yield pack("accept", leases=[dict(run_id=at + n, attempt=1) for n in range(100)]), False
            yield pack("log", chunk=dict(run_id=at, attempt=1, lines=[dict(seq=n + 1, text="x" * 100) for n in range(100)])), False
    frames(port, keys, parts)


def huge(port, keys, count):
    """With a key: frames of 30 MB that are no message."""
    frame = b"\x93" + os.urandom(30 << 20)

    def parts():
        while True:
            yield frame, False
    frames(port, keys, parts)


STRANGERS = {f.__name__: f for f in (garbage, connects, half_handshakes, half_frames, wrong_mechanism, plain_more, wrong_key, many)}
MEMBERS = {f.__name__: f for f in (hellos, heartbeats, results, huge)}
ATTACKS = {**STRANGERS, **MEMBERS}


# ---- the honest side ----


class Ground(Farm):
    """A farm whose workers' door is on tcp with CURVE; two keys are let in: the honest worker's, and an attacker's."""

    def __init__(self, **settings):
        super().__init__(workers=0, start=False, bus_workers=f"tcp://127.0.0.1:{free_port()}", bus_curve="always", bus_clients="always",
                         **settings)
        self.door = int(self.settings["bus_workers"].rsplit(":", 1)[1])

    def member(self, name):
        folder = self.data / ("keys-" + name)
        folder.mkdir()
        public, secret = zmq.auth.create_certificates(folder, "client")
        shutil.copy(public, self.data / "curve" / "allowed" / f"{name}.key")
        server, _ = zmq.auth.load_certificate(self.data / "curve" / "server.key")
        return (*zmq.auth.load_certificate(secret), server)

    def attack(self, name, keys, connections):
        process = multiprocessing.get_context("fork").Process(target=run_attack, args=(name, self.door, keys, connections), daemon=True)
        process.start()
        return process


def run_attack(name, port, keys, connections):
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ATTACKS[name](port, keys, connections)


class Pulse(threading.Thread):
    """Notices that this process stood still: whoever is silent for 5 s is given up by the other side (proto/bus_socket.c)."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest = 0.0

    def run(self):
        while True:
            began = time.monotonic()
            time.sleep(0.05)
            self.longest = max(self.longest, time.monotonic() - began)

    def stood_still(self):
        """Whether it was that long, since the last call."""
        time.sleep(0.2)  # until it has noticed, too
        longest, self.longest = self.longest, 0.0
        return longest > 4


class SessionOver(Exception):
    """The scheduler asks for HELLO: the connection was another one than before."""


class Honest(threading.Thread):
    """Lives of no-op runs, one after another, each behind a heartbeat."""

    PATIENCE = 60  # seconds for an answer

    def __init__(self, endpoint, keys):
        super().__init__(daemon=True)
        self.endpoint, self.keys = endpoint, keys
        self.beats, self.lives, self.unanswered = [], [], 0
        self.failure = None
        self.ending = False
        self.pulse = Pulse()

    def run(self):
        self.pulse.start()
        try:
            with ScriptedWorker(self.endpoint, types=["honest"], ident="honest", curve=self.keys) as worker:
                worker.hello(timeout=60)
                while not self.ending:
                    try:
                        self.one(worker)
                    except SessionOver:
                        self.unanswered += not self.pulse.stood_still()
                        worker.hello(timeout=60)
        except Exception as failure:  # told by whoever looks
            self.failure = failure

    def answer(self, worker, name):
        """The fields of the next message of that name; None when none comes."""
        until = time.monotonic() + self.PATIENCE
        while not self.ending and time.monotonic() < until:
            got, fields, _ = worker.receive(1.0) or (None, None, None)
            if got == name:
                return fields
            if got == "error" and fields.get("rule") == "hello":
                raise SessionOver
        return None

    def one(self, worker):
        began = time.monotonic()
        worker.kept.clear()
        worker.tell("heartbeat", running=[])
        if not self.answer(worker, "heartbeat_ack"):
            self.unanswered += not self.ending
            return
        self.beats.append(time.monotonic() - began)
        began = time.monotonic()
        worker.corr += 1
        spec = dict(task_type="honest", executor="shell", command="true")
        worker.socket.send(pack("run_submit", corr=worker.corr, idem=key(), spec=spec, trigger={}))
        given = self.answer(worker, "assign")
        if not given:
            self.unanswered += not self.ending
            return
        lease = dict(run_id=given["runs"][0]["run_id"], attempt=given["runs"][0]["attempt"])
        worker.tell("accept", leases=[lease])
        try:
            worker.insist("result", "result_ack", where=lambda ack: lease["run_id"] in [row["run_id"] for row in ack["leases"]],
                          items=[dict(lease, outcome=1)], timeout=self.PATIENCE)
        except AssertionError:
            if any(name == "error" and fields.get("rule") == "hello" for name, fields, _ in worker.kept):
                raise SessionOver from None
            raise
        self.lives.append(time.monotonic() - began)

    def taken(self):
        """What was done since the last call: (beats, lives, unanswered)."""
        out = self.beats, self.lives, self.unanswered
        self.beats, self.lives, self.unanswered = [], [], 0
        return out


def usage(pid):
    """(CPU seconds, resident MB, descriptors)"""
    stat = pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()
    rss = next(int(line.split()[1]) for line in pathlib.Path("/proc", str(pid), "status").read_text().splitlines() if line.startswith("VmRSS"))
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), rss / 1024, len(os.listdir(f"/proc/{pid}/fd"))


def connections_at(port):
    """How many connections to this port of loopback stand, seen from the side that listens."""
    tables = "".join(pathlib.Path("/proc/net", name).read_text() for name in ("tcp", "tcp6") if pathlib.Path("/proc/net", name).exists())
    return len(re.findall(rf"0100007F:{port:04X} [0-9A-F]+:[0-9A-F]+ 01 ", tables))


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000 if values else float("nan")


class Measure:
    """One phase: what the honest worker got done in it, and the scheduler's part."""

    def __init__(self, farm, honest, seconds):
        pid = farm.pid("scheduler")
        honest.taken()
        cpu, _, _ = usage(pid)
        began = time.monotonic()
        self.rss = self.fds = self.open = 0
        while time.monotonic() - began < seconds:
            time.sleep(min(0.1, seconds))
            _, rss, fds = usage(pid)
            self.rss, self.fds = max(self.rss, rss), max(self.fds, fds)
            self.open = max(self.open, connections_at(farm.door))
        took = time.monotonic() - began
        beats, lives, self.unanswered = honest.taken()
        self.cpu = (usage(pid)[0] - cpu) / took * 100
        self.beats, self.lives = len(beats), len(lives) / took
        self.beat_p50, self.beat_p99 = percentile(beats, 0.5), percentile(beats, 0.99)
        self.life_p50, self.life_p99 = percentile(lives, 0.5), percentile(lives, 0.99)
        if honest.failure:
            raise honest.failure

    def row(self, name):
        return (f"{name:16} {self.beats:6} {self.unanswered:4} {self.beat_p50:7.1f} {self.beat_p99:8.1f} {self.lives:7.1f} "
                f"{self.life_p50:7.1f} {self.life_p99:8.1f} {self.cpu:5.0f} {self.rss:7.0f} {self.fds:6} {self.open:6}")


HEAD = (f"{'phase':16} {'beats':>6} {'lost':>4} {'p50 ms':>7} {'p99 ms':>8} {'lives/s':>7} {'p50 ms':>7} {'p99 ms':>8} {'CPU%':>5} "
        f"{'RSS MB':>7} {'fds':>6} {'open':>6}")


def main():
    parser = argparse.ArgumentParser(prog="tests/tools/hostile.py")
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=" ".join(ATTACKS))
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--connections", type=int, default=10000)
    options = parser.parse_args()
    chosen = options.attacks or list(ATTACKS)
    for name in chosen:
        if name not in ATTACKS:
            parser.error(f"no attack {name}; there are: {' '.join(ATTACKS)}")
    with Ground() as farm:
        for name in ("store", "scheduler"):
            farm.start(name)
        wait_for(lambda: "GTY-SCHEDULER-READY" in farm.log("scheduler"), what="a scheduler")
        honest = Honest(farm.settings["bus_workers"], farm.member("honest"))
        member = farm.member("attacker")
        stranger = (*zmq.curve_keypair(), member[2])
        honest.start()
        print(HEAD)
        print(Measure(farm, honest, options.seconds).row("before"), flush=True)
        for name in chosen:
            process = farm.attack(name, member if name in MEMBERS else stranger, options.connections)
            time.sleep(1)
            print(Measure(farm, honest, options.seconds).row(name), flush=True)
            process.kill()
            process.join()
            time.sleep(4)  # longer than a handshake may take: what was held is gone
            print(Measure(farm, honest, min(options.seconds, 3)).row("  after"), flush=True)
        honest.ending = True
        honest.join(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
