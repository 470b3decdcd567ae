"""Somebody who guesses keys as fast as he can: each guess is refused, and nobody else notices."""

import pathlib
import re
import select
import socket
import threading

from tests.contract.test_auth import Asked, bearer
from tests.farm import SLOW, wait_for
from tests.faults import have_shim

CONNECTIONS, GUESSES = 8, 2500  # of each; all of one connection are sent before the first answer is read


def guesses(method, first):
    """So many requests in a row, each with another key of the right form."""
    request = "{} /api/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nAuthorization: Bearer gantry_{:012x}_{:064x}\r\n\r\n"
    return "".join(request.format(method, number, number) for number in range(first, first + GUESSES)).encode()


class Guesser(threading.Thread):
    def __init__(self, farm, method, number):
        super().__init__(daemon=True)
        self.data, self.text = guesses(method, number * GUESSES), b""
        self.socket = socket.create_connection(("127.0.0.1", farm.port), timeout=120 * SLOW)
        self.socket.setblocking(False)

    def run(self):
        with self.socket:
            while self.text.count(b"HTTP/1.1 ") < GUESSES:
                readable, writable, _ = select.select([self.socket], [self.socket] if self.data else [], [], 120 * SLOW)
                if writable:
                    self.data = self.data[self.socket.send(self.data[:65536]):]
                part = self.socket.recv(1 << 20) if readable else b""
                if not part and not writable:
                    return  # it was cut off, or is not answered
                self.text += part


class WrongKeys(Asked):
    options = {"auth_required": "always", "log_level": "warn"}

    def memory(self):
        status = pathlib.Path("/proc", str(self.farm.pid("gateway")), "status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1])

    def guess(self, method):
        """Eight at once; the statuses they got, and how many honest requests were answered meanwhile."""
        guessers = [Guesser(self.farm, method, number) for number in range(CONNECTIONS)]
        for guesser in guessers:
            guesser.start()
        honest = 0
        while honest < 20 or any(guesser.is_alive() for guesser in guessers):
            self.data(self.get("/api/tasks", bearer(self.keys["readonly"])))
            honest += 1
        return [status for guesser in guessers for status in re.findall(rb"HTTP/1.1 (\d+)", guesser.text)]

    def test_many_guesses(self):
        self.assertEqual(set(self.guess("GET")), {b"401"})
        before = self.memory()
        self.assertEqual(self.guess("GET"), [b"401"] * CONNECTIONS * GUESSES)
        if have_shim():  # a sanitizer keeps what is freed for a while
            self.assertLess(self.memory() - before, 20 << 10)

    def test_guesses_of_who_would_write(self):
        """The audit log tells of them, and does not grow with them."""
        self.assertEqual(set(self.guess("POST")), {b"401"})

        def lines():
            page = self.data(self.get("/api/system/audit?size=1000", bearer(self.keys["admin"])))
            return [line for line in page["items"] if line["outcome"] == "unauthenticated"]

        wait_for(lines, what="a line of it")
        self.assertLess(len(lines()), 20)
        self.assertEqual(self.data(self.get("/api/tasks", bearer(self.keys["admin"])))["total"], 0)


if __name__ == "__main__":
    import unittest
    unittest.main()
