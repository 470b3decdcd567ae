"""A TCP proxy with a valve: so many bytes go through, then nothing until it is opened further; what stands can be cut off.

So a test can be in the middle of a transfer for as long as it likes.
"""

import contextlib
import socket
import struct
import threading

PIECE = 16384


class Valve:
    def __init__(self, target):
        self.target = target
        self.passed = 0  # bytes, both ways
        self.limit = None  # None: any number
        self.over = False
        self.changed = threading.Condition()
        self.pairs = []
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                inside, _ = self.listener.accept()
            except OSError:
                return
            try:
                outside = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                inside.close()
                continue
            with self.changed:
                self.connections += 1
                self.pairs.append((inside, outside))
            for one, other in ((inside, outside), (outside, inside)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def room(self, wanted):
        """How many bytes may go on now; waits while there are none. 0: it is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.over or self.limit is None or self.passed < self.limit)
            return 0 if self.over else wanted if self.limit is None else min(wanted, self.limit - self.passed)

    def pump(self, one, other):
        with contextlib.suppress(OSError):
            while piece := one.recv(PIECE):
                while piece:
                    room = self.room(len(piece))
                    if not room:
                        return
                    other.sendall(piece[:room])
                    piece = piece[room:]
                    with self.changed:
                        self.passed += room
                        self.changed.notify_all()
            other.shutdown(socket.SHUT_WR)

    def hold(self, behind=0):
        """Nothing goes through beyond so many bytes from now on."""
        with self.changed:
            self.limit = self.passed + behind
            self.changed.notify_all()

    def held(self):
        return self.limit is not None and self.passed >= self.limit

    def open(self):
        with self.changed:
            self.limit = None
            self.changed.notify_all()

    def cut(self):
        """What stands is reset."""
        with self.changed:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self):
        self.listener.close()
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.cut()
