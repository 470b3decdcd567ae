"""What many requests may take of the gateway's memory together."""

import json
import socket
import threading

from tests.contract.base import Contract
from tests.farm import SLOW, wait_for
from tests.tools.hostile import usage


WORDY = "yes $(head -c 16000 /dev/zero | tr '\\0' x) | head -n 1000"  # 16 MB


class Measured(Contract):
    @classmethod
    def setUpClass(cls):
        cls.farm = cls.make_farm(start=False)
        cls.farm.environments["gateway"] = {"ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=1"}  # a sanitizer keeps what is freed
        cls.farm.__enter__()
        cls.farm.start_all()

    def resident(self):
        return usage(self.farm.pid("gateway"))[1]


class Memory(Measured):
    options = {"http_memory_mb": 64, "http_body_kb": 256, "store_log_kb": 65536, "worker_log_kb": 65536}

    def ask(self, path):
        """A client that asks, reads the status line, and then nothing more."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(120 * SLOW)
        client.connect(("127.0.0.1", self.farm.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return client, int(client.recv(12).split()[1])

    def test_answers_that_nobody_reads(self):
        run = self.farm.trigger(self.farm.task("wordy", WORDY))
        self.farm.wait_run(run)
        path = f"/api/runs/{run}/logs?size=1000"
        self.assertEqual(self.data(self.farm.get(path))["total"], 1000)
        before = self.resident()
        clients = [self.ask(path) for _ in range(20)]
        self.assertEqual({status for _, status in clients}, {200, 503})
        self.assertLess(self.resident() - before, 160)  # with one that is being written; all of them are 320
        self.error(self.farm.get(path), 503, "SYSTEM_ERROR")
        self.data(self.farm.get(f"/api/runs/{run}/logs?size=3"))
        for client, _ in clients:
            client.close()
        wait_for(lambda: self.farm.get(path).status == 200, what="room for a large answer")

    def test_followers_that_do_not_read(self):
        run = self.farm.trigger(self.farm.task("watched", WORDY))
        self.farm.wait_run(run)
        before = self.resident()
        clients = [self.ask(f"/api/runs/{run}/logs?follow=true") for _ in range(100)]
        self.data(self.farm.get(f"/api/runs/{run}/logs?size=1000"))  # half of it is not theirs
        self.assertLess(self.resident() - before, 160)
        for client, _ in clients:
            client.close()
        text = self.farm.get(f"/api/runs/{run}/logs?follow=true").body
        self.assertEqual(text.count("event: log\n"), 1000)

    def test_followers_of_quiet_runs_hold_up_nobody(self):
        quiet = self.farm.trigger(self.farm.task("quiet", "sleep 3600"))
        told = self.farm.trigger(self.farm.task("told", "echo said"))
        self.farm.wait_run(told)
        clients = [self.ask(f"/api/runs/{quiet}/logs?follow=true") for _ in range(100)]
        for _ in range(5):
            text = self.farm.get(f"/api/runs/{told}/logs?follow=true").body
            self.assertEqual(text.count("event: log\n"), 1)
        for client, _ in clients:
            client.close()
        self.farm.post(f"/api/runs/{quiet}/abort", {})


class Lists(Measured):
    options = {"workers": 0}

    def test_lists_keep_what_they_show(self):
        for _ in range(60):
            body = {"task_type": "shell", "command": "true", "parameters": {"p": "x" * 250000}}
            self.data(self.farm.post("/api/runs", body), 201)
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(self.farm.get("/api/runs?size=60").status)) for _ in range(20)]
        before = self.resident()
        self.farm.stop("scheduler")  # they wait for it, for a second
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, self.resident())
            threads[0].join(0.05)
        self.farm.cont("scheduler")
        self.assertEqual(statuses, [200] * 20)
        self.assertLess(most - before, 150)  # all pages kept whole are 300


class Bodies(Measured):
    options = {"bus_deadline_ms": 3000}

    def test_what_is_parsed_does_not_wait_for_the_scheduler(self):
        body = json.dumps({"name": "n", "task_type": "shell", "executor": "shell", "command": "true", "junk": [{}] * 250000},
                          separators=(",", ":")).encode()
        self.farm.stop("scheduler")
        before = self.resident()
        statuses = []
        threads = [threading.Thread(target=lambda: statuses.append(self.farm.post("/api/tasks", body).status)) for _ in range(8)]
        for thread in threads:
            thread.start()
        most = 0
        while any(thread.is_alive() for thread in threads):
            most = max(most, self.resident())
            threads[0].join(0.05)
        self.farm.cont("scheduler")
        self.assertEqual(statuses, [503] * 8)
        self.assertLess(most - before, 300)  # eight of them kept would be 450, and more with a sanitizer


if __name__ == "__main__":
    import unittest
    unittest.main()
