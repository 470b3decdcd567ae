"""A farm of one socket: takes one real gantry-worker in, gives it runs, and remembers what it says. So that what a worker does with real files
can be held to the protocol without any other process, and what the farm says can be what a test wants.

    with FarSide(library=[...]) as farm:
        end = farm.run(executor="scan", command=str(root))   # -> the rec_outcome of its RESULT
        farm.videos                                          # what scans told
"""

import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading

import msgpack
import zmq

from tests.bus import TABLE, to_wire, unpack
from tests.farm import BUILD, LEAST, SLOW, alive, clean_environment, descendants, wait_for


class FarSide:
    def __init__(self, worker="worker", slots=2, environment=None, start=True, **settings):
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="gantry-farside-"))
        self.name = worker
        self.settings = dict(settings)
        self.slots = slots
        self.environment = environment or {}
        self.programs = BUILD  # where its worker is
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.endpoint = f"ipc://{self.data}/farm.sock"
        self.socket.bind(self.endpoint)
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.peer = None
        self.hello = None
        self.next_run = 100
        self.attempt = 1  # of what is assigned
        self.outbox = collections.deque()
        self.accepted, self.ends, self.logs, self.progress = set(), {}, collections.defaultdict(list), collections.defaultdict(list)
        self.published, self.refused = {}, set()
        self.grant = True  # PUBLISH is granted at once
        self.found = []  # LIBRARY_FOUND as they came, repeats included
        self.hints = []
        self.videos = {}  # id -> video_found and its root
        self.next_video = 1
        self.seqs = set()
        self.mute = set()  # messages that are not answered
        self.refuse_found = None  # the text of an ERROR in the place of an answer
        self.page = 10000
        self.process = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        self.autostart = start

    # -- life --

    def __enter__(self):
        try:
            if self.autostart:
                self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(self.log()[-6000:], flush=True)
        self.close()

    def start(self, wait=True):
        self.hello = None
        command = [str(self.programs / "gantry-worker"), "--data", str(self.data), "--worker-name", self.name, "--worker-slots", str(self.slots),
                   "--bus-workers", self.endpoint]
        for key, value in self.settings.items():
            command += ["--set", f"{key.replace('_', '.', 1)}={value}"]
        with open(self.data / "worker.log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=dict(clean_environment(), **self.environment), start_new_session=True)
        if wait:
            wait_for(lambda: self.hello, what="the worker's HELLO")

    def log(self):
        path = self.data / "worker.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        """-9, and waits until nothing of it is left."""
        left = descendants(self.process.pid)
        self.process.kill()
        self.process.wait(LEAST * SLOW)
        wait_for(lambda: not [pid for pid in left if alive(pid)], what="the end of what it started")

    def close(self):
        if self.process and self.process.poll() is None:
            left = descendants(self.process.pid)
            drains = self.log().count("GTY-WORKER-DRAIN")  # of those before it
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGCONT)
            try:
                wait_for(lambda: self.log().count("GTY-WORKER-DRAIN") > drains or self.process.poll() is not None)
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(LEAST * SLOW)
            except (AssertionError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
            for pid in left:
                if alive(pid):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
        self.over.set()
        self.thread.join()
        self.socket.close(0)
        self.context.term()
        shutil.rmtree(self.data, ignore_errors=True)

    # -- the other side of the socket --

    def serve(self):
        while not self.over.is_set():
            with self.lock:
                while self.outbox and self.peer:
                    self.socket.send_multipart([self.peer, self.outbox.popleft()])
            if not self.socket.poll(10):
                continue
            peer, frame = self.socket.recv_multipart()
            name, fields, corr = unpack(frame)
            with self.lock:
                self.peer = peer
                if name in self.mute:
                    continue
                handler = getattr(self, "on_" + name, None)
                if handler:
                    handler(fields, corr)

    def say(self, message, corr=0, /, **fields):
        frame = [TABLE["msg_" + message].number, to_wire("msg_" + message, fields)]
        with self.lock:
            self.outbox.append(msgpack.packb(frame + [corr] if corr else frame))

    def on_hello(self, fields, _):
        self.hello = fields
        held = {(lease["run_id"], lease["attempt"]) for lease in fields.get("running", [])}
        drop = [{"run_id": run, "attempt": attempt} for run, attempt in held if run in self.refused]
        self.say("welcome", worker_id=1, name="worker-001", protocol=1, heartbeat_ms=1000, lease_ms=30000, drop=drop)

    def on_ping(self, _, corr):
        self.say("pong", corr, service="scheduler", pid=1, ready=True)

    def on_heartbeat(self, _fields, _corr):
        self.say("heartbeat_ack")

    def on_accept(self, fields, _):
        self.accepted.update(lease["run_id"] for lease in fields["leases"])

    def on_reject(self, fields, _):
        for lease in fields["leases"]:
            self.ends[lease["run_id"]] = dict(lease, outcome=6)

    def on_progress(self, fields, _):
        for item in fields["items"]:
            self.progress[item["run_id"]].append(item)

    def on_log(self, fields, _):
        chunk = fields["chunk"]
        lines = self.logs[chunk["run_id"]]
        for line in chunk["lines"]:
            if line["seq"] > len(lines):
                lines.append(line["text"])
        self.say("log_ack", run_id=chunk["run_id"], attempt=chunk["attempt"], seq=chunk["lines"][-1]["seq"])

    def on_publish(self, fields, _):
        self.published[fields["run_id"]] = fields["output"]
        if self.grant:
            self.say("publish_grant", run_id=fields["run_id"], attempt=fields["output"]["attempt"])

    def on_result(self, fields, _):
        for item in fields["items"]:
            self.ends[item["run_id"]] = item
        self.say("result_ack", leases=[{"run_id": item["run_id"], "attempt": item["attempt"]} for item in fields["items"]])

    def on_library_known(self, fields, corr):
        rows = [(number, video) for number, video in sorted(self.videos.items()) if video["root"] == fields["root"] and number > fields.get("after", 0)]
        page = rows[:min(self.page, fields["limit"])]
        known = [{"id": number, **{key: video[key] for key in ("path", "size", "mtime_ns", "hash", "rules") if key in video}} for number, video in page]
        self.say("library_known_rows", corr, run_id=fields["run_id"], after=fields.get("after", 0), videos=known, end=len(page) == len(rows))

    def on_library_found(self, fields, corr):
        self.found.append(fields)
        if self.refuse_found:
            self.say("error", corr, code=2, text=self.refuse_found)
            return
        key = (fields["run_id"], fields["attempt"], fields["seq"])
        if key not in self.seqs:
            self.seqs.add(key)
            self.take(fields)
        self.say("library_found_ack", corr, run_id=fields["run_id"], attempt=fields["attempt"], seq=fields["seq"])

    def on_library_hint(self, fields, _):
        self.hints.append(fields["root"])

    def take(self, fields):
        for video in fields.get("videos", []):
            number = video.pop("id", 0) or next((k for k, v in self.videos.items() if v["path"] == video["path"] and v["root"] == fields["root"]), 0)
            if not number:
                number, self.next_video = self.next_video, self.next_video + 1
            self.videos[number] = dict(video, root=fields["root"])
        for number in fields.get("gone", []):
            del self.videos[number]

    # -- what tests do --

    def assign(self, executor, command, parameters=None, output="", timeout=600, published=None, **spec):
        """published: what an earlier attempt was granted."""
        with self.lock:
            self.next_run += 1
            run = self.next_run
        spec = dict({"name": "t", "task_type": "x", "executor": executor, "command": command, "output": output}, **spec)
        assignment = {"run_id": run, "attempt": self.attempt, "task_id": 1, "task_name": "t", "spec": spec, "parameters": parameters or {},
                      "timeout_seconds": timeout}
        self.say("assign", runs=[dict(assignment, published=published) if published else assignment])
        return run

    def wait(self, run, timeout=120):
        end = wait_for(lambda: self.ends.get(run) or (self.process.poll() is not None and {}), timeout, f"the end of run {run}")
        return end

    def run(self, executor, command, timeout=120, **more):
        run = self.assign(executor, command, **more)
        return dict(self.wait(run, timeout), run=run, lines=self.logs[run])

    def cancel(self, run):
        self.say("cancel", leases=[{"run_id": run, "attempt": self.attempt}])

    def scan(self, root, **more):
        """A scan that ends well; answers what came of it."""
        end = self.run("scan", str(root), **more)
        assert end["outcome"] == 1, end
        return json.loads(end["result"])

    def paths(self):
        return sorted(video["path"] for video in self.videos.values())

    def named(self, path):
        return next(video for video in self.videos.values() if video["path"] == path)
