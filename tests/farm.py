"""A farm of real processes in a temporary folder, for scenario and contract tests.

    with Farm() as farm:                 # store, scheduler, gateway and one worker
        farm.post("/api/tasks", {...})   # -> Answer(status, headers, body)
        farm.kill("scheduler")           # -9
        farm.start("scheduler")

Every process is started by itself, so that tests can start them in any order, kill, freeze and restart each. At the end nothing
that was started may still run, and no log may hold a sanitizer's report.
"""

import collections
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("GANTRY_BUILD", ROOT / "build")).resolve()
SLOW = float(os.environ.get("GANTRY_TEST_SLOW", "1"))  # sanitizers, loaded machines: every limit is stretched by this
LEAST = 60.0  # seconds that anything may take that has to happen: a machine may stand still for ten of them, at any place, and more than once

Answer = collections.namedtuple("Answer", "status headers body")

SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")


def wait_for(condition, timeout=LEAST, what="the condition"):
    """Polls until condition() is true and answers its value; a test never sleeps for a fixed time instead. The timeout is for what
    never comes, not for what is late: it is LEAST at least, and the last look is behind it, however long the test itself stood still."""
    timeout = max(timeout, LEAST) * SLOW
    until = time.monotonic() + timeout
    pause = 0.005
    while True:
        late = time.monotonic() > until
        value = condition()
        if value:
            return value
        if late:
            raise AssertionError(f"{what} did not come true within {timeout:.0f} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


def clean_environment():
    """Ours without the harness's own variables, which are no settings."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GANTRY_")}
    environment.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    return environment


def ports():
    """Those that the kernel gives to nobody who did not ask for them by number."""
    try:
        low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        low = 32768
    return range(10240, low if low > 12000 else 32768)


def has_ipv6():
    """Whether localhost is ::1, too."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


taken = {}  # port -> what says to other tests that it is ours


def free_port():
    """A port that nobody uses, and no other test takes before it is bound: an abstract socket with its number is ours until we end."""
    begin = random.randrange(len(ports()))
    for port in [*ports()[begin:], *ports()[:begin]]:
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0gantry-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
            if has_ipv6():
                with socket.socket(socket.AF_INET6) as probe:
                    probe.bind(("::1", port))
        except OSError:
            claim.close()
            continue
        taken[port] = claim
        return port
    raise AssertionError("no port is free")


def runtime_dir(data):
    """As proto/ident.c makes it."""
    real = os.path.realpath(data).encode()
    return pathlib.Path("/tmp/gantry-" + hashlib.blake2b(real, digest_size=16).hexdigest()[:16])


def descendants(pid):
    """The pids of the process tree below pid."""
    children = collections.defaultdict(list)
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            children[int(stat.rsplit(")", 1)[1].split()[1])].append(int(entry))
    found, queue = [], [pid]
    while queue:
        for child in children[queue.pop()]:
            found.append(child)
            queue.append(child)
    return found


def alive(pid):
    """True while the process exists and is not a zombie."""
    try:
        return pathlib.Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Farm:
    observe = None  # called with (method, path, answer) of every request, once it is answered

    def __init__(self, workers=1, start=True, types=None, **settings):
        """settings: further settings for every process, as names with _ for . (lease_seconds=3)."""
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.runtime = runtime_dir(self.data)
        self.port = free_port()
        self.workers = [f"worker{n + 1}" for n in range(workers)]
        self.types = types
        self.settings = settings
        self.environments = {}  # name -> what its process has beside ours
        self.processes = {}  # name -> Popen
        self.seen_pids = set()
        self.autostart = start
        self.keep = False  # the data folder, when it is over
        self.headers = {}  # sent with every request, as a key is
        self.secure = None  # an ssl.SSLContext, when the gateway speaks TLS

    # -- life --

    def __enter__(self):
        try:
            if self.autostart:
                self.start_all()
        except BaseException:
            self.print_logs()
            self.close(check=False)
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.print_logs()
        self.close(check=kind is None)

    def start_all(self):
        for name in ["store", "scheduler", "gateway"] + self.workers:
            self.start(name)
        self.wait_ready()

    def wait_ready(self, workers=None):
        """Healthy, with that many workers active (all of the farm's by default)."""
        wanted = len(self.workers) if workers is None else workers

        def ready():
            try:
                answer = self.get("/api/system/health")
            except (OSError, http.client.HTTPException):
                return False
            data = (answer.body or {}).get("data") or {}
            return data.get("status") == "healthy" and data["components"]["scheduler"]["active_workers"] >= wanted

        wait_for(ready, what="a healthy farm")

    def command(self, name):
        kind = "worker" if name.startswith("worker") else name.rstrip("0123456789")
        command = [str(BUILD / f"gantry-{kind}"), "--data", str(self.data)]
        if kind == "gateway":
            command += ["--port", str(self.port)]
            for surface, key in (("render", "render_port"), ("recorder", "recorder_port")):
                if key not in self.settings:
                    command += [f"--{surface}-port", "0"]
        if kind == "worker":
            command += ["--worker-name", name]
            if self.types:
                command += ["--worker-types", ",".join(self.types)]
            if "worker_slots" not in self.settings:
                command += ["--worker-slots", "2"]  # not as many as the machine happens to have processors
        for key, value in self.settings.items():
            command += ["--set", f"{key.replace('__', '-').replace('_', '.', 1)}={value}"]
        return command

    def start(self, name, extra=()):
        """Starts a process by name: store, scheduler, gateway, workerN; a second scheduler is scheduler2."""
        if name.startswith("worker") and name not in self.workers:
            self.workers.append(name)
        log = open(self.log_path(name), "ab")
        process = subprocess.Popen(self.command(name) + list(extra), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env=dict(clean_environment(), **self.environments.get(name, {})), start_new_session=True)
        log.close()
        self.processes[name] = process
        self.seen_pids.add(process.pid)
        return process

    def log_path(self, name):
        return self.data / f"{name}.test.log"

    def log(self, name):
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def print_logs(self):
        for path in sorted(self.data.glob("*.test.log")):
            text = path.read_text(errors="replace")
            print(f"---- {path.name} (end)\n{text[-6000:]}", flush=True)

    def pid(self, name):
        return self.processes[name].pid

    def signal(self, name, number):
        self.seen_pids.update(descendants(self.pid(name)))
        os.kill(self.pid(name), number)

    def kill(self, name):
        """-9, and waits until it is gone."""
        self.signal(name, signal.SIGKILL)
        self.processes[name].wait(LEAST * SLOW)

    def terminate(self, name, timeout=LEAST):
        """SIGTERM; answers the exit code."""
        self.signal(name, signal.SIGTERM)
        return self.processes[name].wait(timeout * SLOW)

    def stop(self, name):
        self.signal(name, signal.SIGSTOP)

    def cont(self, name):
        self.signal(name, signal.SIGCONT)

    def restart(self, name):
        self.kill(name)
        self.start(name)

    def exit_code(self, name, timeout=LEAST):
        return self.processes[name].wait(timeout * SLOW)

    def running(self, name):
        return name in self.processes and self.processes[name].poll() is None

    def wait_read(self, name, process, drains):
        """Waits until a worker has heard its first TERM, or is gone."""
        try:
            wait_for(lambda: process.poll() is not None or self.log(name).count("GTY-WORKER-DRAIN") > drains, what=f"{name} heeding SIGTERM")
        except AssertionError:
            pass  # a later wait says so

    def close(self, check=True):
        """Ends everything; with check, holds the farm to leaving nothing behind."""
        problems = []
        for process in self.processes.values():
            if process.poll() is None:
                self.seen_pids.update(descendants(process.pid))
                os.kill(process.pid, signal.SIGCONT)
        for name in self.workers + ["gateway"] + [n for n in self.processes if n.startswith("scheduler")] + ["store"]:
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                continue
            # The first TERM drains; a second one ends a worker's runs at once. Two that nobody has read yet would be one.
            drains = self.log(name).count("GTY-WORKER-DRAIN")
            os.kill(process.pid, signal.SIGTERM)
            if name in self.workers:
                self.wait_read(name, process, drains)
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(LEAST * SLOW)
            except subprocess.TimeoutExpired:
                problems.append(f"{name} did not end within {LEAST * SLOW:.0f} s of SIGTERM; its log ends in:\n{self.log(name)[-3000:]}")
                process.kill()
                process.wait()
        left = []
        try:
            wait_for(lambda: not [pid for pid in self.seen_pids if alive(pid)], what="the end of every process")
        except AssertionError:
            left = [pid for pid in self.seen_pids if alive(pid)]
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            problems.append(f"processes left running: {left}")
        for path in self.data.glob("*.test.log"):
            text = path.read_text(errors="replace")
            if any(word in text for word in SANITIZER_WORDS):
                problems.append(f"a sanitizer reported in {path.name}:\n{text[-8000:]}")
        if not self.keep:
            shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)
        if check and problems:
            raise AssertionError("\n".join(problems))

    # -- HTTP --

    def request(self, method, path, body=None, headers=None, timeout=2 * LEAST):
        """One request on a connection of its own. body: a value sent as JSON, or bytes as they are."""
        if self.secure:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout * SLOW, context=self.secure)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)
        sent = dict(self.headers, **(headers or {}))
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            raw = response.read()
        finally:
            connection.close()
        received = {k.lower(): v for k, v in response.getheaders()}
        is_json = raw and received.get("content-type", "").startswith("application/json")
        answer = Answer(response.status, received, json.loads(raw) if is_json else raw.decode(errors="replace"))
        if self.observe:
            self.observe(method, path, answer)
        return answer

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    # -- work --

    def data_of(self, answer, *codes):
        """The data of an answer that has to have one of these codes (200 and 201 by default)."""
        assert answer.status in (codes or (200, 201)), answer
        return answer.body["data"]

    def task(self, name, command="true", **fields):
        """Creates a task; answers its id."""
        body = dict({"name": name, "task_type": "shell", "executor": "shell", "command": command, "retry_count": 0}, **fields)
        return self.data_of(self.post("/api/tasks", body))["id"]

    def trigger(self, task_id, **fields):
        """Triggers a task; answers the run's id."""
        return self.data_of(self.post(f"/api/tasks/{task_id}/trigger", fields))["run_id"]

    def run(self, run_id):
        return self.data_of(self.get(f"/api/runs/{run_id}"))

    def wait_run(self, run_id, *statuses, timeout=LEAST):
        """Waits until the run has one of these statuses (a final one by default); answers it. Outages on the way are waited out."""
        wanted = statuses or ("completed", "failed", "aborted")
        last = {}

        def reached():
            try:
                answer = self.get(f"/api/runs/{run_id}", timeout=15)
            except (OSError, http.client.HTTPException):
                return None
            if answer.status != 200:
                return None
            last.update(answer.body["data"])
            return dict(last) if last["status"] in wanted else None

        try:
            return wait_for(reached, timeout, f"run {run_id} being {wanted}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {last}") from None

    def endpoint(self, name):
        """An ipc endpoint of the farm: store, scheduler, workers, doorbell."""
        return f"ipc://{self.runtime}/{name}.sock"
