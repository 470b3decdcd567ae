"""What `./dev bench` and `./dev soak` start and look at: farms of real processes, peers, and figures out of /proc."""

import json
import os
import pathlib
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests import farm as harness  # noqa: E402


class Trouble(Exception):
    """Something that is measured did not work; the text says what."""


def anonymous_bytes(pid):
    """Anonymous memory of a process: what only it has, swapped out or not."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kb) for kb in re.findall(r"^(?:Anonymous|Swap):\s+(\d+) kB", text, re.M))


def cpu_seconds(pid):
    """CPU of all threads of a process, in seconds."""
    return sum(int(path.read_text().split()[0]) for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def wait_port(port, process, what):
    def up():
        if process.poll() is not None:
            raise Trouble(f"{what} ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    harness.wait_for(up, 10, f"{what} on port {port}")


def end(process, timeout=30):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class BenchFarm(harness.Farm):
    """Store, scheduler and gateway, without workers; on a database of its own, or on one that is kept."""

    def __init__(self, data=None, start=True, **settings):
        super().__init__(workers=0, start=start, **dict({"log_level": "warn"}, **settings))
        self.kept = data is not None
        if data:
            shutil.rmtree(self.data)
            self.data = pathlib.Path(data)
            self.data.mkdir(exist_ok=True)
            self.runtime = harness.runtime_dir(self.data)

    def start(self, name, extra=()):
        """In our own session, as everything else that is measured: the kernel shares a busy machine out by session first."""
        with open(self.log_path(name), "ab") as log:
            process = subprocess.Popen(self.command(name) + list(extra), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=dict(harness.clean_environment(), **self.environments.get(name, {})))
        self.processes[name] = process
        self.seen_pids.add(process.pid)
        return process

    def close(self, check=True):
        if self.kept:
            for name in ("gateway", "scheduler", "store"):
                if name in self.processes:
                    end(self.processes[name])
            for path in self.data.glob("*.test.log"):
                path.unlink()
        else:
            super().close(check=False)

    def watches(self):
        return {name: self.pid(name) for name in ("store", "scheduler", "gateway")}

    def at(self):
        return f"127.0.0.1:{self.port}"


class Redis:
    """A Redis server that writes and syncs everything before it answers."""

    def __init__(self, folder):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="redis-", dir=folder))
        self.port = harness.free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
                   "--appendonly", "yes", "--appendfsync", "always"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        wait_port(self.port, self.process, "redis-server")
        return self

    def __exit__(self, *_):
        end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)

    def watches(self):
        return {"redis": self.process.pid}

    def at(self):
        return f"127.0.0.1:{self.port}"


class Beanstalkd(Redis):
    """A beanstalkd that syncs its log at every write."""

    def __init__(self, folder):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="beanstalkd-", dir=folder))
        self.port = harness.free_port()
        command = ["beanstalkd", "-l", "127.0.0.1", "-p", str(self.port), "-f0", "-b", str(self.folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def watches(self):
        return {"beanstalkd": self.process.pid}


class Constant:
    """libmicrohttpd answering a constant."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "constant"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                        env=harness.clean_environment())
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
        self.process.stdout.close()

    def watches(self):
        return {"libmicrohttpd": self.process.pid}

    def at(self):
        return f"127.0.0.1:{self.port}"


class Audience:
    """So many clients of /api/events who read what they are sent, and so many webhooks that never answer."""

    def __init__(self, farm, clients, webhooks):
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.silent = socket.create_server(("127.0.0.1", 0), backlog=512)
        for n in range(webhooks):
            farm.data_of(farm.post("/api/webhooks", {"url": f"http://127.0.0.1:{self.silent.getsockname()[1]}/{n}"}))
        self.threads = [threading.Thread(target=self.accept, daemon=True), threading.Thread(target=self.read, daemon=True)]
        for _ in range(clients):
            client = socket.create_connection(("127.0.0.1", farm.port))
            client.sendall(b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            if b" 200 " not in client.recv(4096):
                raise Trouble("a client of /api/events is refused")
            client.setblocking(False)
            self.selector.register(client, selectors.EVENT_READ)
            self.sockets.append(client)
        for thread in self.threads:
            thread.start()

    def accept(self):
        while not self.over.is_set():
            try:
                self.sockets.append(self.silent.accept()[0])
            except OSError:
                return

    def read(self):
        while not self.over.is_set():
            for key, _ in self.selector.select(0.2):
                try:
                    if not key.fileobj.recv(1 << 16):
                        self.selector.unregister(key.fileobj)
                except BlockingIOError:
                    pass
                except OSError:
                    self.selector.unregister(key.fileobj)
            self.over.wait(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.silent.shutdown(socket.SHUT_RDWR)
        self.silent.close()
        for thread in self.threads:
            thread.join()
        for one in self.sockets:
            one.close()


class Generator:
    """gantry-bench, one measure a call."""

    def __init__(self, build, seconds):
        self.program = str(build / "gantry-bench")
        self.seconds = seconds

    def __call__(self, measure, on=None, data=None, **options):
        """on: what is measured (its processes are watched); data: a farm's folder. Answers the measure's figures."""
        command = [self.program, measure, "--seconds", str(self.seconds)]
        if data is not None:
            command += ["--data", str(data)]
        for name, value in options.items():
            command += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        for name, pid in (on.watches() if on else {}).items():
            command += ["--watch", f"{name}={pid}"]
        return self.run(command)

    def run(self, command):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=harness.clean_environment())
        if done.returncode != 0:
            raise Trouble(f"{' '.join(command[:2])}: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)
