#!/usr/bin/python3
"""A complete worker in Python, written only from docs/worker-protocol.md: executors shell and exec, no outputs.
Usage: tiny_worker.py ENDPOINT IDENT_FILE [SLOTS]"""
import contextlib, os, re, secrets, shutil, signal, socket, subprocess, sys, tempfile, time

import msgpack
import zmq

(HELLO, WELCOME, HEARTBEAT, HEARTBEAT_ACK, ASSIGN, ACCEPT, REJECT, PROGRESS, LOG, LOG_ACK, PUBLISH, PUBLISH_GRANT, RESULT, RESULT_ACK,
 REFUSED, CANCEL, DRAIN, BYE) = range(0x0401, 0x0413)
ERROR, COMPLETED, FAILED, TIMEOUT, ABORTED, DROPPED = 1, 1, 2, 3, 4, 99
GRACE, AGAIN, LINES_KEPT = 10, 10, 5000  # seconds, seconds, lines


class Run:
    def __init__(self, assignment):
        self.run, self.attempt, self.spec = assignment[1], assignment[2], assignment[5]
        self.parameters, self.timeout = assignment.get(6, {}), assignment.get(7, 0)
        self.process = self.result = self.cause = None  # cause: why it is being stopped
        self.started, self.deadline = 0, None  # deadline: for the run, and once it is being stopped, for its processes
        self.seq, self.lines, self.sent, self.tail, self.last = 0, [], 0, b"", ""
        self.result_sent = self.log_sent = -AGAIN

    def line(self, raw):
        self.last, self.seq = raw.decode("utf-8", "replace"), self.seq + 1
        self.lines.append({1: self.seq, 2: int(time.time() * 1000), 3: 1, 4: 1, 5: self.last.encode()[:16384].decode("utf-8", "ignore")})
        del self.lines[:-LINES_KEPT]

    def start(self):
        arguments = [re.sub(r"{{ *([^}]*?) *}}", lambda m: str(self.parameters.get(m[1], m[0])), text) for text in self.spec.get(6, [])]
        shell = ["/bin/sh", "-c", self.spec[5], "sh"] if self.spec.get(4) == "shell" else [self.spec[5]]
        self.folder = tempfile.mkdtemp(prefix="tiny-worker-")
        env = {"PATH": os.environ["PATH"], **self.spec.get(14, {}), "GANTRY_RUN_ID": str(self.run), "GANTRY_ATTEMPT": str(self.attempt)}
        env.update({"GANTRY_PARAM_" + re.sub(r"\W", "_", name).upper(): str(value) for name, value in self.parameters.items()})
        self.started = int(time.time() * 1000)
        self.deadline = time.monotonic() + self.timeout if self.timeout else None
        try:
            self.process = subprocess.Popen(shell + arguments, cwd=self.spec.get(15) or self.folder, env=env, start_new_session=True,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            os.set_blocking(self.process.stdout.fileno(), False)
        except (OSError, ValueError) as error:
            self.end(FAILED, error=f"cannot start it: {error}")

    def signal(self, number):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, cause):
        if not self.cause:
            self.signal(signal.SIGTERM if cause != DROPPED else signal.SIGKILL)
            self.deadline = time.monotonic() + GRACE
        self.cause = cause

    def read(self):
        while data := self.process.stdout.read(65536):
            *lines, self.tail = (self.tail + data).split(b"\n")
            for raw in lines:
                self.line(raw)
            self.tail = self.tail[:16384]

    def tick(self, now):
        self.read()
        if self.deadline and now > self.deadline:
            self.signal(signal.SIGKILL) if self.cause else self.stop(TIMEOUT)
        if self.process.poll() is not None:
            self.signal(signal.SIGKILL)  # what it left behind
            self.read()
            if self.tail:
                self.line(self.tail)
            code, self.process = self.process.returncode, None
            self.end(self.cause or (FAILED if code else COMPLETED), code)

    def end(self, outcome, code=None, error=""):
        error = error or {FAILED: f"exit code {code}", TIMEOUT: f"timeout after {self.timeout} s"}.get(outcome, "")
        self.result = {1: self.run, 2: self.attempt, 3: outcome, 7: error, 8: self.started, 9: int(time.time() * 1000),
                       **({} if code is None else {4: code} if code >= 0 else {4: -1, 5: -code})}
        if outcome == COMPLETED:
            self.result[6] = self.last[:16384]
        if self.started:
            shutil.rmtree(self.folder, ignore_errors=True)


class Worker:
    def __init__(self, endpoint, ident_file, slots=1):
        self.endpoint, self.slots, self.boot, self.runs = endpoint, int(slots), secrets.token_hex(8), {}
        if not os.path.exists(ident_file):
            open(ident_file, "w").write(secrets.token_hex(16))
        self.ident = open(ident_file).read().strip()
        self.socket, self.leaving, self.beat, self.beat_at = None, False, 5, 0

    def connect(self):
        if self.socket:
            self.socket.close(0)
        self.socket, self.welcomed, self.hello_at = zmq.Context.instance().socket(zmq.DEALER), False, 0
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
        self.socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 5000)
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.connect(self.endpoint)

    def send(self, number, fields):
        self.socket.send(msgpack.packb([number, fields]))

    def held(self):
        return [{1: run.run, 2: run.attempt, 4: run.started} for run in self.runs.values() if run.cause != DROPPED]

    def drop(self, leases):
        for lease in leases:
            run = self.runs.get((lease[1], lease[2]))
            if run and run.process:
                run.stop(DROPPED)
            elif run:
                del self.runs[(lease[1], lease[2])]

    def receive(self, number, fields):
        if number == ERROR:
            print(f"tiny_worker: {fields}", file=sys.stderr)
            if fields.get(4) == "superseded" or (not self.welcomed and fields.get(4) != "hello" and fields[1] in (2, 9, 10)):
                sys.exit(1)
            self.welcomed = self.welcomed and fields.get(4) != "hello"
        elif number == WELCOME:
            self.welcomed, self.beat = True, fields[4] / 1000
            self.drop(fields.get(6, []))
            for run in self.runs.values():
                run.result_sent, run.log_sent = -AGAIN, -AGAIN
        elif number == ASSIGN and self.welcomed:
            for assignment in fields[1]:
                self.runs.setdefault((assignment[1], assignment[2]), Run(assignment))
            self.send(ACCEPT, {1: [{1: assignment[1], 2: assignment[2]} for assignment in fields[1]]})
        elif number in (HEARTBEAT_ACK, REFUSED):
            self.drop(fields.get(1, []))
        elif number == RESULT_ACK:
            for lease in fields[1]:
                self.runs.pop((lease[1], lease[2]), None)
        elif number == LOG_ACK and (fields[1], fields[2]) in self.runs:
            lines = self.runs[(fields[1], fields[2])].lines
            lines[:] = [line for line in lines if line[1] > fields[3]]
        elif number == CANCEL:
            for run in filter(None, (self.runs.get((lease[1], lease[2])) for lease in fields[1])):
                run.stop(ABORTED) if run.process else run.result or run.end(ABORTED)

    def report(self, run, now):
        if run.lines and (run.lines[0][1] > run.sent or now - run.log_sent >= AGAIN):  # one LOG under way at a time
            self.send(LOG, {1: {1: run.run, 2: run.attempt, 3: run.lines[:500]}})
            run.sent, run.log_sent = run.lines[:500][-1][1], now
        if run.result and not (run.lines and run.lines[-1][1] > run.sent) and now - run.result_sent >= AGAIN:
            self.send(RESULT, {1: [run.result]})
            run.result_sent = now

    def free(self, run):
        busy = [other.run for other in self.runs.values() if other.process]
        return len(busy) < self.slots and run.run not in busy

    def work(self, now):
        for key, run in list(self.runs.items()):
            if run.process:
                run.tick(now)
            elif not run.result and self.leaving:
                self.send(REJECT, {1: [{1: run.run, 2: run.attempt, 3: "the worker is leaving"}]})
                del self.runs[key]
            elif not run.result and self.free(run):
                run.start()
            if run.result and run.cause == DROPPED:
                del self.runs[key]
        if not self.welcomed and now > self.hello_at:
            self.hello_at = now + 3
            self.send(HELLO, {1: 1, 2: self.ident, 3: self.boot, 4: socket.gethostname(), 7: ["shell", "exec"], 8: ["shell", "exec"],
                              9: self.slots, 10: self.slots, 12: self.held(), 13: bool(self.leaving), 14: "tiny"})
        if self.welcomed:
            for run in self.runs.values():
                if run.cause != DROPPED:
                    self.report(run, now)
            if now > self.beat_at:
                self.beat_at = now + self.beat
                self.send(HEARTBEAT, {1: os.getloadavg()[0], 4: self.held()})

    def main(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "leaving", True))
        self.connect()
        while not (self.leaving and not self.runs):
            poller = zmq.Poller()
            for source in [self.socket, self.monitor] + [run.process.stdout.fileno() for run in self.runs.values() if run.process]:
                poller.register(source, zmq.POLLIN)
            if self.monitor in dict(poller.poll(50)):
                self.connect()  # a new socket, and HELLO
            while self.socket.poll(0):
                self.receive(*msgpack.unpackb(self.socket.recv(), strict_map_key=False)[:2])
            if self.leaving is True and self.welcomed:
                self.leaving = self.send(DRAIN, {}) or "told"
            self.work(time.monotonic())
        if self.welcomed:
            self.send(BYE, {})
        self.socket.close(1000)


if __name__ == "__main__":
    Worker(*sys.argv[1:]).main()
