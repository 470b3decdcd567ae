"""The farm that chaos is made in: real processes over tcp with CURVE, each connection through a link of the proxy."""

import os
import pathlib

import zmq.auth

from tests.bus import Peer
from tests.chaos.proxy import Proxy
from tests.farm import Farm, free_port

SERVERS = ("store", "scheduler", "workers", "doorbell")


class Ground(Farm):
    def __init__(self, workers=2, **settings):
        names = [f"worker{n + 1}" for n in range(workers)]
        self.paths = {"scheduler-store": "store", "gateway-store": "store", "gateway-scheduler": "scheduler",
                      "gateway-doorbell": "doorbell", "clients-workers": "workers", "clients-gateway": "gateway"}
        self.paths.update({f"{name}-workers": "workers" for name in names})
        ports = [free_port() for _ in range(len(SERVERS) + 1 + len(self.paths))]  # ours while we live: a server's is free when it is back
        self.real = dict(zip(SERVERS + ("gateway",), ports))
        self.through = dict(zip(self.paths, ports[len(self.real):]))
        self.proxy = Proxy({name: (port, self.real[self.paths[name]]) for name, port in self.through.items()})
        ends = {f"bus_{name}": f"tcp://127.0.0.1:{self.real[name]}" for name in SERVERS}
        super().__init__(workers=workers, bus_curve="always", bus_clients="always", **ends, **settings)
        self.direct_port = self.real["gateway"]  # what the gateway listens on
        self.port = self.direct_port

    def __enter__(self):
        self.proxy.__enter__()
        self.keep = True  # until it stands
        super().__enter__()
        self.keep = False
        return self

    def signal(self, name, number):
        os.kill(self.pid(name), number)

    def kill(self, name):
        super().kill(name)
        self.seen_pids.discard(self.pid(name))  # it may be another's soon: belongings() sees what is left

    def close(self, check=True):
        left = self.belongings()
        self.seen_pids = {process.pid for process in self.processes.values() if process.poll() is None} | {pid for pid, _ in left}
        try:
            super().close(check)
        finally:
            self.proxy.__exit__()

    def print_logs(self):
        print(f"the logs are in {self.data}", flush=True)

    def command(self, name):
        """With the links of that process in the place of the real ends."""
        command = super().command(name)
        for path, server in self.paths.items():
            if path.startswith(name + "-"):
                command += ["--set", f"bus.{server}=tcp://127.0.0.1:{self.through[path]}"]
        if name == "store":
            command += ["--set", "log.level=debug"]  # each batch that it applies: the auditor reads them
        return command

    def keys(self):
        """(public, secret, the server's public) of a client on this machine."""
        folder = self.data / "curve"
        public, secret = zmq.auth.load_certificate(folder / "client.key_secret")
        server, _ = zmq.auth.load_certificate(folder / "server.key")
        return public, secret, server

    def peer(self, path):
        """A DEALER of ours: by a link (clients-workers), or past the proxy to a server (store)."""
        port = self.through[path] if path in self.through else self.real[path]
        return Peer(f"tcp://127.0.0.1:{port}", curve=self.keys())

    def run_folders(self):
        """What workers have not cleared away yet."""
        return [str(path) for path in self.data.glob("workers/*/runs/*")]

    def belongings(self):
        """[(pid, command)] of everything that runs in this farm's folder and is none of its processes."""
        mark = os.fsencode(str(self.data))
        own = {process.pid for process in self.processes.values() if process.poll() is None} | {os.getpid()}
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) in own:
                continue
            try:
                words = pathlib.Path("/proc", entry, "cmdline").read_bytes()
                around = pathlib.Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if words and (mark in words or mark in around):
                found.append((int(entry), words.replace(b"\0", b" ").decode(errors="replace").strip()))
        return found
