"""`gantry up` in a temporary folder, and the `gantry` command against it, for scenario tests.

    with Up("--workers", "2") as up:
        up.wait_ready()
        up.gantry("run", "--wait", "--", "true")   # -> CompletedProcess
        up.child("scheduler")                      # pid
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request

from tests.farm import BUILD, SANITIZER_WORDS, SLOW, alive, descendants, free_port, runtime_dir, wait_for

GANTRY = str(BUILD / "gantry")
PATIENT = ["--bus-deadline-ms", "28000", "--lease-accept-seconds", "120", "--worker-slots", "4"]  # as tests/patience.py


def environment():
    """As farm.py: nothing of the tests' own may look like a setting."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GANTRY_")}
    kept.setdefault("ASAN_OPTIONS", "detect_leaks=1")
    return kept


def gantry(*arguments, timeout=120, url=None, **more):
    """Runs the command to its end; its output as text."""
    env = dict(environment(), **({"GANTRY_URL": url} if url else {}))
    return subprocess.run([GANTRY, *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout * SLOW, **more)


class Up:
    patient = PATIENT

    def __init__(self, *flags, data=None, port=None, start=True):
        self.own_folder = data is None
        self.data = pathlib.Path(data) if data else pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-"))
        self.runtime = runtime_dir(self.data)
        self.port = free_port() if port is None else port
        self.flags = list(flags)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gantry-test-out-"))  # its stdout and stderr, and work
        self.process = None
        self.seen_pids = set()
        self.autostart = start

    def __enter__(self):
        if self.autostart:
            try:
                self.start()
            except BaseException:
                self.close(check=False)
                raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(f"---- gantry up, stderr (end)\n{self.err()[-8000:]}", flush=True)
        self.close(check=kind is None)

    def start(self, *flags):
        out, err = open(self.folder / "out", "ab"), open(self.folder / "err", "ab")
        command = [GANTRY, "up", "--data", str(self.data), "--port", str(self.port), "--render-port", "0", "--recorder-port", "0"]
        self.process = subprocess.Popen(command + self.patient + self.flags + list(flags), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                        env=environment(), start_new_session=True)
        out.close()
        err.close()

    def out(self):
        return (self.folder / "out").read_text(errors="replace")

    def err(self):
        path = self.folder / "err"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_ready(self, times=1, timeout=90):
        """Waits for the ready line (of that start); answers the URL."""

        def ready():
            assert self.process.poll() is None, f"gantry up ended with {self.process.returncode}"
            found = re.findall(r"^ready (https?://\S+)$", self.out(), re.M)
            return found[times - 1] if len(found) >= times else None

        url = wait_for(ready, timeout, "the ready line")
        self.port = int(url.rsplit(":", 1)[1])
        self.seen_pids.update(descendants(self.process.pid))
        return url

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def programs(self):
        """[(pid, what it is: store, scheduler, gateway, worker)] of what `gantry up` started, in the order of their start."""
        found = []
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                began = int(pathlib.Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[19])
            except OSError:
                continue
            if name.startswith("gantry-"):
                found.append((began, int(pid), name.removeprefix("gantry-")))
        self.seen_pids.update(pid for _, pid, _ in found)
        return [(pid, kind) for _, pid, kind in sorted(found)]

    def children(self):
        """{label: pid} of what `gantry up` started, workers as worker-1, worker-2, … in the order of their start."""
        found = {}
        for pid, kind in self.programs():
            if kind == "worker":
                kind = f"worker-{1 + sum(known.startswith('worker') for known in found)}"
            found[kind] = pid
        return found

    def child(self, label):
        return wait_for(lambda: self.children().get(label), 60, f"a {label}")

    def kill_child(self, label):
        """-9; waits until another one runs in its place."""
        pid, kind = self.child(label), label.partition("-")[0]
        before = {one for one, of_kind in self.programs() if of_kind == kind}
        self.seen_pids.update(descendants(pid))
        os.kill(pid, signal.SIGKILL)
        return wait_for(lambda: next((one for one, of_kind in self.programs() if of_kind == kind and one not in before), None), 60,
                        f"another {label}")

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=60 * SLOW) as answer:
            return json.load(answer)["data"]

    def gantry(self, *arguments, **more):
        return gantry(*arguments, url=self.url, **more)

    def terminate(self, timeout=60):
        self.seen_pids.update(descendants(self.process.pid))
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout * SLOW)

    def kill(self):
        self.seen_pids.update(descendants(self.process.pid))
        self.process.kill()
        self.process.wait()

    def close(self, check=True):
        problems = []
        if self.process and self.process.poll() is None:
            try:
                self.terminate()
            except subprocess.TimeoutExpired:
                problems.append("gantry up did not end within a minute of SIGTERM")
                self.kill()
        try:
            wait_for(lambda: not [pid for pid in self.seen_pids if alive(pid)], 60, "the end of every process")
        except AssertionError:
            left = [pid for pid in self.seen_pids if alive(pid)]
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            problems.append(f"processes left running: {left}")
        if any(word in self.err() for word in SANITIZER_WORDS):
            problems.append(f"a sanitizer reported:\n{self.err()[-8000:]}")
        if self.own_folder:
            shutil.rmtree(self.data, ignore_errors=True)
        shutil.rmtree(self.runtime, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        if check and problems:
            raise AssertionError("\n".join(problems))
