#!/usr/bin/python3
"""A worker for the render farm whose engine is a line of shell: for tests of what a farm does with frames and those who render them.
Usage: frame_worker.py ENDPOINT IDENT_FILE ENGINE"""
import json, sys

import tiny_worker
from tiny_worker import HELLO, Worker

ENGINE = sys.argv[3]
LABELS = {"render.engines": "blender 3.4.1", "render.ram_gb": "16", "render.gpus": "0"}


class Frame(tiny_worker.Run):
    def start(self):
        self.spec = {**self.spec, 4: "shell", 5: ENGINE}
        super().start()

    def end(self, outcome, code=None, error=""):
        super().end(outcome, code, error)
        if 6 in self.result:
            self.result[6] = json.dumps({"output_path": "frame.png", "output_size": 1, "render_time": 1.0})


class Renderer(Worker):
    def send(self, number, fields):
        if number == HELLO:
            fields = {**fields, 7: ["render"], 8: ["render"], 11: LABELS}
        super().send(number, fields)


if __name__ == "__main__":
    tiny_worker.Run = Frame
    Renderer(*sys.argv[1:3]).main()
