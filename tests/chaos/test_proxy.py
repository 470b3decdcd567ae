"""The proxy does what it is told: each way of a link, on a server that sends back what it gets."""

import socket
import socketserver
import threading
import unittest

from tests.chaos.proxy import Proxy
from tests.farm import free_port, wait_for


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while piece := self.request.recv(1000):
            self.request.sendall(piece)


class Ways(unittest.TestCase):
    def setUp(self):
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.port = free_port()
        self.proxy = Proxy({"link": (self.port, self.server.server_address[1])})
        self.proxy.__enter__()
        self.link = self.proxy.links["link"]
        self.addCleanup(self.proxy.__exit__)

    def connect(self):
        one = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.addCleanup(one.close)
        return one

    def echo(self, one, words=b"words"):
        one.sendall(words)
        return one.recv(1000)

    def swallowed(self, one, words):
        """The proxy takes these words and gives nothing on."""
        given, taken = self.link.given, self.link.taken
        one.sendall(words)
        wait_for(lambda: self.link.taken == taken + len(words), 60, "the proxy having it")
        self.assertEqual(self.link.given, given)

    @staticmethod
    def answer(one):
        """What comes back, b"" when it is cut off."""
        try:
            return one.recv(1000)
        except OSError:
            return b""

    def dead(self, one):
        """Reset, or closed."""
        try:
            return self.echo(one) == b""
        except OSError:
            return True

    def test_pass(self):
        self.assertEqual(self.echo(self.connect()), b"words")

    def test_cut(self):
        one = self.connect()
        self.echo(one)
        self.proxy.turn("link", "cut", 1)
        self.assertTrue(self.dead(one))
        self.assertTrue(self.dead(self.connect()))
        self.proxy.heal("link", 1)
        self.assertEqual(self.echo(self.connect()), b"words")

    def test_hole(self):
        """What was sent into it comes when it is healed, or never; new connections stand again in any case."""
        came = 0
        for seed in range(8):
            one = self.connect()
            self.echo(one)
            self.proxy.turn("link", "hole", seed)
            self.swallowed(one, b"held")
            given, before = self.link.given, len(self.link.connections)
            fresh = self.connect()
            fresh.sendall(b"fresh")
            wait_for(lambda: len(self.link.connections) == before + 1, 60, "the connection")
            self.assertEqual(self.link.given, given)
            self.proxy.heal("link", seed)
            came += self.answer(one) == b"held"
            self.answer(fresh)  # nothing of it is under way any more when the next one counts
            self.assertEqual(self.echo(self.connect()), b"words")
        self.assertTrue(0 < came < 8, came)

    def test_stale(self):
        one = self.connect()
        self.echo(one)
        self.proxy.turn("link", "stale", 1)
        self.swallowed(one, b"lost")
        self.assertEqual(self.echo(self.connect()), b"words")
        self.proxy.heal("link", 1)
        self.assertEqual([connection.silent for connection in self.link.connections].count(True), 1)

    def test_half(self):
        """One side hears the end of the other."""
        one = self.connect()
        self.echo(one)
        self.proxy.turn("link", "half", 1)
        wait_for(lambda: self.dead(one), 60, "the end")

    def test_delay(self):
        one = self.connect()
        self.proxy.turn("link", "delay", 1)
        self.assertEqual(self.echo(one), b"words")
        self.assertGreater(self.link.pause, 0)


if __name__ == "__main__":
    unittest.main()
