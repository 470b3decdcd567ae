"""A scheduler or store whose every answer is the test's."""

import threading

import zmq

from tests.bus import pack, unpack


class Scripted(threading.Thread):
    """A process that answers every question with what it is told to; with None as the answer it is silent."""

    def __init__(self, endpoint, answer):
        super().__init__(daemon=True)
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(endpoint)
        self.answer = answer  # (name, fields), or None
        self.open = []  # (name, route, corr) of what is not answered yet
        self.over = False
        self.start()

    def run(self):
        while not self.over:
            if self.socket.poll(50):
                *route, frame = self.socket.recv_multipart()
                asked, _, corr = unpack(frame)
                self.open += [(asked, route, corr)] if corr else []
            while self.open and self.answer:
                name, fields = self.answer
                _, route, corr = self.open.pop(0)
                self.socket.send_multipart([*route, pack(name, corr=corr, **fields)])
        self.socket.close()
        self.context.term()

    def count(self, name):
        """How many questions of this name are open."""
        return sum(asked == name for asked, _, _ in list(self.open))

    def close(self):
        self.over = True
        self.join()
