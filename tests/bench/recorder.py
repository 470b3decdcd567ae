#!/usr/bin/python3
"""./dev bench --recorder: what recording costs beside `ffmpeg -c copy`, and what a full output folder does.

    tests/bench/recorder.py [--quick] [--only NAME,…] [--json FILE] [--record] [--anyway]
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent.parent))

from tests.bench import farm_bench, recordings, streams, table  # noqa: E402

STREAMS, KBIT = 64, 4000
FOLDERS, FILES = 10000, 10


class Recorder(farm_bench.FarmBench):
    FARM, TITLE = "recorder", "the recorder"
    GROUPS = ("streams", "recordings")

    def streams(self):
        """Streams of a real server side by side, by the recording program and by ffmpeg."""
        count, seconds = (4, 5) if self.options.quick else (STREAMS, 20)
        for _ in self.times:
            took = streams.measure(count, seconds, KBIT)
            if took["whole"] != count:
                self.trouble(f"{took['whole']} of {count} streams were recorded whole")
            self.put("streams", took)

    def recordings(self):
        """Lists of very many recordings, and what others wait for while retention removes half of them. It takes minutes: once."""
        self.put("recordings", recordings.measure(100 if self.options.quick else FOLDERS, FILES))

    def rows_found(self):
        found = table.Rows(self)
        count = self.get("streams.streams") or STREAMS
        section = f"{count:,.0f} streams of 1080p, H.264, 4 Mbit/s"
        found.add(section, "recorded", "streams.record_cores", "cores",
                  targets=[("cores for 64", table.times(self.get("streams.record_cores"), STREAMS / count), 1, False),
                           ("× ffmpeg", self.get("streams.ratio"), 1.2, False)])
        found.add(section, "as many `ffmpeg -c copy`", "streams.ffmpeg_cores", "cores", beside=("recorded", "streams.record_cores"))
        files = self.get("recordings.videos") or FOLDERS * FILES
        section = f"{files:,.0f} recordings, ten a folder"
        found.add(section, "all of them listed, nothing has changed since", "recordings.warm", "s", targets=[("s", self.get("recordings.warm"), 1, False)])
        for name, words in (("first", "for the first time"), ("one", "one folder has changed"), ("timestamps", "their cycles listed"),
                            ("retention", "what retention would remove"), ("disk", "what the disk holds, and its forecast")):
            found.add(section, words, f"recordings.{name}", "s")
        section = f"retention removes {files / 2:,.0f} of them"
        found.add(section, "until they are gone", "recordings.removing.all", "s")
        found.add(section, "a start until its first recording is with a worker", "recordings.removing.start", "s")
        found.add(section, "the longest that the status took meanwhile", "recordings.removing.status", "s")
        found.add(section, "the longest that a list took meanwhile", "recordings.removing.list", "s")
        return found.rows


if __name__ == "__main__":
    sys.exit(farm_bench.main(Recorder))
