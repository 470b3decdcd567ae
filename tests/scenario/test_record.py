"""Recordings by a worker: of good streams and bad ones, from their first frame to the file that is published."""

import bisect
import contextlib
import json
import math
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from tests.farm import BUILD, alive, clean_environment, descendants, free_port, wait_for
from tests.farside import FarSide
from tests.rtsp.film import FRAMES, decode_faults, film, look
from tests.rtsp.server import Server
from tests.rtsp.vlc import THERE, Vlc

COMPLETED, FAILED, ABORTED = 1, 2, 4


def can_mount():
    return os.geteuid() == 0 and pathlib.Path("/proc/self/ns/mnt").exists()


class Recorder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gantry-record-")
        self.addCleanup(holder.cleanup)
        self.root = pathlib.Path(holder.name).resolve()
        self.output = self.root / "20251010_163000" / "cam.mp4"

    def farm(self, **settings):
        farm = FarSide(worker_types="record", **settings)
        self.addCleanup(farm.close)
        farm.start()
        return farm

    def server(self, **ways):
        server = Server(**ways)
        self.addCleanup(server.close)
        return server

    def begin(self, farm, url, seconds=2, published=None, run=None, **more):
        parameters = dict({"url": more.pop("address", url), "duration_s": seconds, "output": str(self.output), "connect_s": 20, "read_s": 20, "stream": "cam", "cycle": 1}, **more)
        if run:
            farm.next_run = run - 1
        return farm.assign("record", "cam", parameters, output=str(self.output), published=published)

    def record(self, farm, url, seconds=2, **more):
        run = self.begin(farm, url, seconds, **more)
        return dict(farm.wait(run), run=run)

    def made(self, farm, url, seconds=2, **more):
        """What the RESULT of a recording says that has come to its end; the file is held to it."""
        end = self.record(farm, url, seconds, **more)
        self.assertEqual(end["outcome"], COMPLETED, (end, farm.logs[end["run"]]))
        return self.checked(json.loads(end["result"]))

    def checked(self, result):
        streams = look(self.output)
        self.assertEqual(int(streams["video"]["nb_read_packets"]), result["frames"])
        self.assertEqual((int(streams["video"]["width"]), int(streams["video"]["height"])), (result["width"], result["height"]))
        self.assertEqual(streams["video"]["codec_name"], result["video"])
        self.assertEqual(streams.get("audio", {}).get("codec_name", ""), result["audio"])
        length = result["seconds"] + sum(gap["seconds"] for gap in result["gaps"])
        last = float(streams["video"]["duration"])
        self.assertLessEqual(last, length + 0.5)
        self.assertEqual(decode_faults(self.output), "")
        data = self.output.read_bytes()
        self.assertLess(data.index(b"moov"), data.index(b"mdat"))  # fast-start
        self.assertEqual(sorted(path.name for path in self.output.parent.iterdir()), ["cam.mp4"])
        return result

    def piece(self):
        return next(iter(self.root.rglob(".gantry-rec-*/*.mp4")), None)

    def told(self, farm, run):
        """Frames, as its PROGRESS counted them."""
        return [json.loads(item["note"])["frames"] for item in farm.progress[run] if item.get("note")]

    def failed(self, farm, url, word, seconds=2, **more):
        end = self.record(farm, url, seconds, **more)
        self.assertEqual(end["outcome"], FAILED, end)
        self.assertEqual(end["error"].split(":")[0], word, end)
        self.assertFalse(self.output.exists())
        self.assertEqual([path for path in self.root.rglob("*") if path.is_file()], [])
        return end


class Good(Recorder):
    def test_video(self):
        farm, server = self.farm(), self.server()
        result = self.made(farm, server.url)
        self.assertEqual((result["status"], result["error"], result["gaps"], result["reconnects"], result["video"]), (4, "", [], 0, "h264"))
        self.assertEqual(result["frames"], 2 * FRAMES)
        self.assertAlmostEqual(result["seconds"], 2, delta=0.1)
        self.assertGreater(result["first_frame_ms"], 0)
        self.assertIn("TEARDOWN", server.methods())

    def test_progress(self):
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 4)
        self.assertEqual(farm.wait(run)["outcome"], COMPLETED)
        notes = [json.loads(item["note"]) for item in farm.progress[run] if item.get("note")]
        self.assertTrue(all(set(note) == {"status", "seconds", "bytes", "frames"} for note in notes))
        self.assertTrue([note for note in notes if note["status"] == 3 and note["bytes"] > 0 and note["frames"] > 0], notes)

    def test_h265_and_g711(self):
        farm = self.farm()
        for law in ("pcmu", "pcma"):
            server = self.server(codec="h265", audio=law)
            result = self.made(farm, server.url)
            self.assertEqual((result["video"], result["audio"], result["status"]), ("hevc", "aac", 4))
            self.assertGreater(result["audio_frames"], 12)
            self.output.unlink()

    def test_udp_where_there_is_no_tcp(self):
        farm, server = self.farm(), self.server(udp_only=True)
        result = self.made(farm, server.url)
        self.assertEqual(result["status"], 4)
        self.assertEqual(server.methods().count("SETUP"), 2)

    def test_key_frames_far_apart(self):
        """The first may come later than anything else may."""
        farm, server = self.farm(), self.server(keyless=4 * FRAMES)
        result = self.made(farm, server.url, 10, read_s=3)
        self.assertEqual((result["status"], result["reconnects"], len(server.sessions)), (4, 0, 1))
        self.assertGreater(result["first_frame_ms"], 3000)

    def test_jitter(self):
        """Each second frame comes 30 ms late: so much they are apart, beside what they are due."""
        farm, server = self.farm(), self.server(late=lambda frame: 0.03 if frame % 2 else 0)
        result = self.made(farm, server.url, 4)
        self.assertGreater(result["jitter_ms"], 10)

    def test_lost_packets_are_counted(self):
        farm, server = self.farm(), self.server(udp_only=True, lose=40)
        end = self.record(farm, server.url)
        self.assertEqual(end["outcome"], COMPLETED, end)
        self.assertGreater(json.loads(end["result"])["lost_packets"], 0)

    def test_a_password(self):
        farm, server = self.farm(), self.server(auth=("me", "secret-word"))
        url = server.url.replace("//", "//me:secret-word@")
        run = self.begin(farm, url)
        wait_for(lambda: server.frames > 5 or farm.ends.get(run), what="frames")
        for pid in descendants(farm.process.pid):
            for name in ("cmdline", "environ"):
                try:
                    self.assertNotIn(b"secret-word", pathlib.Path("/proc", str(pid), name).read_bytes(), name)
                except OSError:
                    pass  # it has ended
        end = farm.wait(run)
        self.assertEqual(end["outcome"], COMPLETED, end)
        self.assertNotIn("secret-word", json.dumps([end, farm.logs[run], farm.progress[run], farm.log()], default=str))


class Times(Recorder):
    """A source's clock may do what it likes: the file's goes on."""

    def test_jumps(self):
        farm = self.farm()
        step = 90000 // FRAMES
        for name, ways in (("wraps", {"firsts": [2**32 - 20 * step]}),
                           ("ahead", {"stamps": lambda frame: frame * step + (2**31 - 9 if frame >= 20 else 0)}),
                           ("back", {"stamps": lambda frame: (frame - 20 if frame >= 20 else frame + 10**6) * step}),
                           ("stands", {"stamps": lambda frame: min(frame, 20) * step})):
            with self.subTest(name):
                result = self.made(farm, self.server(**ways).url)
                self.assertEqual((result["status"], result["gaps"]), (4, []))
                self.assertAlmostEqual(result["seconds"], 2, delta=1.2)
                self.output.unlink()


class Broken(Recorder):
    def test_it_breaks_off_and_comes_back(self):
        farm, server = self.farm(), self.server(drops=[30, None], firsts=[1000, 77777])
        result = self.made(farm, server.url, 8)
        self.assertEqual((result["status"], result["reconnects"]), (4, 1))
        self.assertLess(result["frames"], 8 * FRAMES)
        self.assertGreater(result["frames"], 30)
        self.assertLessEqual(result["seconds"] + sum(gap["seconds"] for gap in result["gaps"]), 8.2)

    def test_it_is_away_for_a_while(self):
        farm, port = self.farm(), free_port()
        server = self.server(port=port, drops=[FRAMES])
        run = self.begin(farm, server.url, 12)
        wait_for(lambda: server.frames >= FRAMES, what="frames")
        server.close()
        wait_for(lambda: [line for line in farm.logs[run] if line.startswith("connect:")], what="a try in vain")
        self.server(port=port)
        end = farm.wait(run)
        self.assertEqual(end["outcome"], COMPLETED, end)
        result = self.checked(json.loads(end["result"]))
        self.assertEqual(result["status"], 4)
        self.assertGreaterEqual(result["reconnects"], 1)

    def test_it_is_silent_until_its_time_is_over(self):
        farm, server = self.farm(), self.server(stalls=[30])
        result = self.made(farm, server.url, 3)
        self.assertEqual((result["status"], result["frames"]), (4, 30))
        self.assertEqual([gap["cause"] for gap in result["gaps"]], ["timeout"])
        self.assertAlmostEqual(result["seconds"], 1.2, delta=0.1)
        self.assertAlmostEqual(result["gaps"][0]["seconds"], 1.8, delta=0.1)

    def test_it_ends_with_its_time(self):
        farm, server = self.farm(), self.server(drops=[48])
        result = self.made(farm, server.url, 2)
        self.assertEqual((result["status"], result["frames"], result["reconnects"]), (4, 48, 0))

    def comes_back(self, seconds, codec="h264", size="320x180"):
        film(codec, size)  # takes its time
        farm, port = self.farm(), free_port()
        server = self.server(port=port)
        run = self.begin(farm, server.url, seconds)
        wait_for(lambda: server.frames >= 2 * FRAMES, what="frames")
        server.close()
        after = self.server(port=port, codec=codec, size=size)
        end = farm.wait(run)
        self.assertEqual(end["outcome"], COMPLETED, end)
        return after, self.checked(json.loads(end["result"]))

    def test_it_comes_back_in_another_size(self):
        _, result = self.comes_back(12, size="640x360")
        self.assertEqual(result["status"], 4)
        sizes = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "frame=width", "-select_streams", "v", "-of", "csv=p=0", str(self.output)],
                               check=True, capture_output=True, text=True, timeout=120).stdout.split()
        self.assertEqual({size.strip(",") for size in sizes}, {"320", "640"})

    def test_it_comes_back_with_another_codec(self):
        after, result = self.comes_back(10, codec="h265")
        self.assertEqual((result["status"], result["video"]), (9, "h264"))
        self.assertIn("other video", result["error"])
        self.assertGreater(len(after.sessions), 0)

    def test_it_does_not_come_back(self):
        farm, server = self.farm(), self.server(drops=[30, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        result = self.made(farm, server.url, 4)
        self.assertIn(result["status"], (6, 7, 9))
        self.assertEqual(result["frames"], 30)
        self.assertTrue(result["error"])
        self.assertAlmostEqual(result["seconds"] + sum(gap["seconds"] for gap in result["gaps"]), 4, delta=0.1)

    def test_it_falls_silent(self):
        farm, server = self.farm(), self.server(stalls=[30, 0])
        result = self.made(farm, server.url, 5, read_s=1)
        self.assertEqual(result["status"], 7)
        self.assertTrue(result["error"].startswith("timeout: "))
        self.assertGreaterEqual(result["reconnects"], 1)


class Nothing(Recorder):
    """What comes to no recording says why in its first word."""

    def test_nobody_there(self):
        self.failed(self.farm(), f"rtsp://127.0.0.1:{free_port()}/cam", "connect", connect_s=3)

    def test_no_such_host(self):
        self.failed(self.farm(), "rtsp://no-such-host.invalid/cam", "connect", connect_s=3)

    def test_answers(self):
        farm = self.farm()
        for word, ways in (("auth", {"auth": ("me", "right")}), ("notfound", {"statuses": [404] * 9}), ("unavailable", {"statuses": [503] * 9}),
                           ("unavailable", {"sdp": "this is no SDP\r\n"}), ("unavailable", {"codec": None, "audio": "pcmu"})):
            with self.subTest(word, ways=ways):
                end = self.failed(farm, self.server(**ways).url.replace("//", "//me:wrong-word@"), word)
                self.assertNotIn("wrong-word", json.dumps([end, farm.logs[end["run"]]], default=str))

    def test_silence(self):
        farm = self.farm()
        self.failed(farm, self.server(silent=True).url, "timeout", connect_s=1)
        self.failed(farm, self.server(stalls=[0]).url, "timeout", read_s=1, connect_s=1)

    def test_no_key_frame(self):
        """It ends by itself, though frames come all the time: with no more than a try, as another would come to the same."""
        server = self.server(keyless=math.inf)
        end = self.failed(self.farm(), server.url, "unavailable", seconds=8, read_s=4, connect_s=100)
        self.assertIn("no key frame", end["error"])
        self.assertEqual(len(server.sessions), 1)

    def test_it_ends_before_it_begins(self):
        self.failed(self.farm(), self.server(drops=[0] * 99).url, "read", connect_s=3)

    def test_redirects(self):
        farm, there = self.farm(), self.server()
        self.assertEqual(self.made(farm, self.server(redirect=there.url).url)["status"], 4)
        self.output.unlink()
        shutil.rmtree(self.output.parent)
        around = self.server()
        around.redirect = around.url
        self.failed(farm, around.url, "timeout", connect_s=1)

    def test_hostile(self):
        """Whatever it sends, it is an error in words."""
        farm, many = self.farm(), "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\n" + "m=video 0 RTP/AVP 96\r\na=control:../../x\r\na=rtpmap:96 H264/90000\r\n" * 5000
        files = "v=0\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=control:file:///etc/passwd\r\na=rtpmap:96 H264/90000\r\n"
        for ways in ({"noise": True}, {"sdp": many}, {"sdp": files}, {"claims": 2**31 - 2}, {"claims": -5}, {"sdp": "\0" * 100000}, {"redirect": "file:///etc/passwd"}):
            with self.subTest(**ways):
                end = self.record(farm, self.server(**ways).url, read_s=2, connect_s=2)
                self.assertEqual(end["outcome"], FAILED, end)
                self.assertIn(end["error"].split(":")[0], ("connect", "notfound", "read", "timeout", "unavailable"))
                self.assertEqual([path for path in self.root.rglob("*") if path.is_file()], [])

    def test_bad_parameters(self):
        farm = self.farm()
        for more, words in (({"address": "file:///etc/passwd"}, "url"), ({"duration_s": 0}, "duration_s"), ({"output": "x.mp4"}, "output")):
            end = self.record(farm, "rtsp://127.0.0.1/x", **more)
            self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
            self.assertIn(words, end["error"])

    def test_its_time_is_over(self):
        server = self.server()
        end = self.failed(self.farm(), server.url, "timeout", until_ms=1000)
        self.assertIn("before it began", end["error"])
        self.assertEqual(server.requests, [])

    def test_a_place_that_is_taken(self):
        self.output.parent.mkdir()
        self.output.write_text("somebody's")
        end = self.record(self.farm(), "rtsp://127.0.0.1/x")
        self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
        self.assertEqual(self.output.read_text(), "somebody's")

    def test_no_folder(self):
        self.output = self.root / "gone" / "cycle" / "cam.mp4"
        self.failed(self.farm(), self.server().url, "disk")


    def test_its_disk_is_away(self):
        server = self.server()
        end = self.failed(self.farm(), server.url, "unmounted", root=str(self.root), marked=1)
        self.assertIn(".gantry-recorder", end["error"])
        self.assertEqual(server.requests, [])
        self.assertEqual(list(self.root.iterdir()), [])

    def test_too_little_is_free(self):
        server = self.server()
        end = self.failed(self.farm(), server.url, "disk_full", root=str(self.root), marked=0, min_free=10**15)
        self.assertIn("MB are free", end["error"])
        self.assertEqual(server.requests, [])
        self.assertFalse(self.output.parent.exists())

    def test_enough_is_free(self):
        (self.root / ".gantry-recorder").touch()
        self.made(self.farm(), self.server().url, root=str(self.root), marked=1, min_free=1)


class Links(Recorder):
    """Nothing is written behind a link that stands where a folder should be."""

    def setUp(self):
        super().setUp()
        holder = tempfile.TemporaryDirectory(prefix="outside-")
        self.addCleanup(holder.cleanup)
        self.outside = pathlib.Path(holder.name).resolve()

    def nothing(self):
        self.assertEqual(list(self.outside.iterdir()), [])

    def test_that_stand_there(self):
        farm, server = self.farm(), self.server()
        self.output.parent.symlink_to(self.outside)
        for more in ({}, {"root": str(self.root), "marked": 0}):
            end = self.record(farm, server.url, **more)
            self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
            self.assertIn("a link stands in its place", end["error"])
        self.output.parent.unlink()
        self.output.parent.mkdir()
        (self.output.parent / ".gantry-rec-500").symlink_to(self.outside)
        end = self.record(farm, server.url, run=500)
        self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
        self.assertEqual(server.requests, [])
        self.nothing()

    def test_above(self):
        """Also further up, below the folder of all recordings; which may be a link itself."""
        farm, server = self.farm(), self.server()
        real, link = self.root / "real", self.root / "link"
        real.mkdir()
        link.symlink_to(real)
        (real / "out").symlink_to(self.outside)
        self.output = link / "out" / "20251010_163000" / "cam.mp4"
        end = self.record(farm, server.url, root=str(link), marked=0)
        self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
        self.nothing()
        self.output = link / "cam.mp4"  # not where it would be named without knowing of that folder
        end = self.record(farm, server.url, root=str(link), marked=0)
        self.assertEqual((end["outcome"], end.get("error", "").split(":")[0]), (FAILED, "output"), end)
        self.assertIn("a link stands in its place", end["error"])
        self.assertEqual(server.requests, [])
        self.output = link / "20251010_163000" / "cam.mp4"
        self.made(farm, server.url, root=str(link), marked=0)

    def test_that_come_meanwhile(self):
        """What goes on is where it began, and is given no name elsewhere."""
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 4)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")
        aside = self.output.parent.rename(self.root / "aside")
        self.output.parent.symlink_to(self.outside)
        end = farm.wait(run)
        self.assertEqual(end["outcome"], FAILED, end)
        self.nothing()
        self.assertEqual([path for path in aside.rglob("*.mp4") if not path.name.startswith(".") and path.parent == aside], [])


class Full(Recorder):
    def test_the_disk(self):
        """What was written until then is kept, and says so."""
        self.output.parent.mkdir()
        parameters, result = self.root / "params.json", self.root / "result"
        parameters.write_text(json.dumps({"url": self.server().url, "duration_s": 30, "output": str(self.output)}))

        done = subprocess.run(["sh", "-c", 'ulimit -f 300; exec "$@" 3>/dev/null 4>/dev/null', "sh", str(BUILD / "gantry-record"), "--record", "run", "run=1",
                               "attempt=1"], capture_output=True, text=True, timeout=600, check=False,
                              env=dict(clean_environment(), GANTRY_PARAMS=str(parameters), GANTRY_RESULT=str(result)))
        self.assertEqual(done.returncode, 0, done.stderr)
        row = json.loads(result.read_text())
        self.assertEqual((row["status"], row["error"].split(":")[0]), (6, "disk"))
        made = self.output.with_name(".gantry-1-1.cam.mp4")
        self.assertEqual(int(look(made)["video"]["nb_read_packets"]), row["frames"])
        self.assertEqual(decode_faults(made), "")


    @unittest.skipUnless(can_mount(), "mounting a small disk needs root")
    def test_there_is_no_room_for_a_copy(self):
        """What an earlier attempt recorded is taken as it is, and counts as what it is."""
        disk = self.root / "disk"
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], stderr=subprocess.DEVNULL, timeout=600, check=False).returncode:
            self.skipTest("cannot mount here")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=True, timeout=600)
        self.output = disk / "20251010_163000" / "cam.mp4"
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= 3 * FRAMES, what="three seconds")
        farm.kill()
        server.close()
        piece = self.piece()
        frames = int(look(piece)["video"]["nb_read_packets"])
        piece.rename(piece.with_name(f"1-{int(piece.stem.split('-')[1]) - 120000}.mp4"))  # two minutes ago: its time is over
        with open(disk / "filler", "wb", buffering=0) as filler:
            for size in (1 << 16, 1 << 10):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass
        farm.attempt = 2
        farm.start()
        end = farm.wait(self.begin(farm, server.url, 60, run=run))
        self.assertEqual(end["outcome"], COMPLETED, (end, farm.logs[run]))
        self.assertIn("it is kept as it was recorded", "".join(farm.logs[run]))
        result = json.loads(end["result"])
        self.assertEqual((result["frames"], result["video"], result["width"]), (frames, "h264", 320))
        self.assertGreater(result["bytes"], 0)
        self.assertAlmostEqual(result["seconds"], frames / FRAMES, delta=1)
        self.assertEqual([gap["cause"] for gap in result["gaps"]][-1:], ["worker"])
        self.assertAlmostEqual(result["seconds"] + sum(gap["seconds"] for gap in result["gaps"]), 60, delta=0.1)
        self.assertEqual((int(look(self.output)["video"]["nb_read_packets"]), decode_faults(self.output)), (frames, ""))


def fragments(path):
    """The seconds that each fragment of a piece lasts."""
    data, at, begins = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        if data[at + 4:at + 8] == b"moof":
            begins.append(at)
        at += int.from_bytes(data[at:at + 4], "big")
    rows = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=dts_time,duration_time,pos", "-of", "json", str(path)], check=True,
                          capture_output=True, text=True, timeout=600).stdout
    lasts = {}
    for packet in json.loads(rows)["packets"]:
        number = bisect.bisect(begins, int(packet["pos"]))
        since = lasts.setdefault(number, [float(packet["dts_time"]), 0])
        since[1] = float(packet["dts_time"]) + float(packet.get("duration_time", 1 / FRAMES))
    return [until - since for since, until in lasts.values()]


class Killed(Recorder):
    def test_no_more_than_a_second_is_lost(self):
        """Of what had come when the camera fell silent: no later frame has what came before it written."""
        came = 4 * FRAMES + 3
        farm, server = self.farm(), self.server(stalls=[came])
        self.begin(farm, server.url, 600, read_s=600)

        def kept():
            try:
                return int(look(self.piece())["video"]["nb_read_packets"]) if self.piece() else 0
            except (subprocess.CalledProcessError, KeyError, ValueError):
                return 0  # it has no fragment yet

        wait_for(lambda: kept() >= came - FRAMES, what="all but the last second")
        farm.kill()
        self.assertGreaterEqual(kept(), came - FRAMES)
        self.assertEqual(decode_faults(self.piece()), "")
        lasts = fragments(self.piece())
        self.assertGreater(len(lasts), 3)
        self.assertLessEqual(max(lasts), 1)

    def test_the_worker(self):
        """What was recorded can be played, and is in the file that the next attempt makes."""
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 15)
        came = wait_for(lambda: max(self.told(farm, run), default=0) >= 2 * FRAMES and max(self.told(farm, run)), what="two seconds")
        farm.kill()
        kept = int(look(self.piece())["video"]["nb_read_packets"])
        self.assertGreater(kept, came - FRAMES)
        farm.attempt = 2
        farm.start()
        again = self.begin(farm, server.url, 15, run=run)
        self.assertEqual(again, run)
        end = farm.wait(run)
        self.assertEqual(end["outcome"], COMPLETED, (end, farm.logs[run]))
        result = self.checked(json.loads(end["result"]))
        self.assertEqual(result["status"], 4)
        self.assertEqual([gap["cause"] for gap in result["gaps"]][:1], ["worker"])
        self.assertGreaterEqual(result["frames"], kept)
        if len(server.sessions) > 1 and server.frames > kept + 5 * FRAMES:
            self.assertGreater(result["frames"], kept + FRAMES)
        self.assertAlmostEqual(result["seconds"] + sum(gap["seconds"] for gap in result["gaps"]), 15, delta=1.6)

    def test_the_worker_and_the_camera(self):
        """The next attempt's parameter sets are others."""
        film("h264", "640x360")
        farm, port = self.farm(), free_port()
        server = self.server(port=port)
        run = self.begin(farm, server.url, 12)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")
        farm.kill()
        server.close()
        self.server(port=port, size="640x360")
        farm.attempt = 2
        farm.start()
        end = farm.wait(self.begin(farm, server.url, 12, run=run))
        self.assertEqual(end["outcome"], COMPLETED, (end, farm.logs[run]))
        self.assertEqual(self.checked(json.loads(end["result"]))["status"], 4)

    def test_the_worker_until_its_time_is_over(self):
        """Nothing is recorded any more: what there is is published."""
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")
        farm.kill()
        server.close()
        piece = self.piece()
        early = int(piece.stem.split("-")[1]) - 120000  # two minutes ago
        piece.rename(piece.with_name(f"1-{early}.mp4"))
        farm.attempt = 2
        farm.start()
        end = farm.wait(self.begin(farm, server.url, 60, run=run))
        self.assertEqual(end["outcome"], COMPLETED, (end, farm.logs[run]))
        result = self.checked(json.loads(end["result"]))
        self.assertEqual((result["status"], result["gaps"][-1]["cause"]), (4, "worker"))

    def test_a_lease_that_was_lost(self):
        """Another attempt may be at the pieces already: who is told to drop the run leaves them alone."""
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")

        def recorders():
            return [pid for pid in descendants(farm.process.pid) if b"gantry-record" in pathlib.Path("/proc", str(pid), "cmdline").read_bytes()]

        def gone():
            try:
                return not recorders()
            except OSError:
                return False  # one of them ends now

        self.assertFalse(gone())
        farm.say("heartbeat_ack", drop=[{"run_id": run, "attempt": 1, "spent": True}])
        wait_for(gone, what="the end of the recording")
        wait_for(lambda: not list(farm.data.glob("**/runs/*")), what="the end of the run")
        self.assertTrue(self.piece())
        self.assertEqual(decode_faults(self.piece()), "")

    def test_the_program(self):
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")
        for pid in descendants(farm.process.pid):
            try:
                if b"--record" in pathlib.Path("/proc", str(pid), "cmdline").read_bytes():
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.assertEqual(farm.wait(run)["outcome"], FAILED)
        self.assertTrue(self.piece())
        self.assertEqual(decode_faults(self.piece()), "")

    def test_after_it_was_granted(self):
        """The first attempt's file stands, and the worker was killed before it could say so."""
        farm, server = self.farm(), self.server()
        farm.mute.add("result")
        run = self.begin(farm, server.url, 2)
        wait_for(self.output.exists, what="the file")
        farm.kill()
        server.close()
        published = farm.published[run]
        farm.mute.discard("result")
        farm.ends.pop(run, None)
        farm.attempt = 2
        farm.start()
        end = farm.wait(self.begin(farm, server.url, 2, run=run, published=published))
        self.assertEqual(end["outcome"], COMPLETED, end)
        self.assertEqual(self.checked(json.loads(end["result"]))["frames"], 2 * FRAMES)


class Cancelled(Recorder):
    def test_nothing_is_left(self):
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= FRAMES, what="a second")
        left = descendants(farm.process.pid)
        farm.cancel(run)
        self.assertEqual(farm.wait(run)["outcome"], ABORTED)
        self.assertEqual(list(self.output.parent.iterdir()), [])
        wait_for(lambda: not [pid for pid in left if alive(pid)], what="the end of what it started")

    def test_a_worker_that_leaves_keeps_it(self):
        farm, server = self.farm(), self.server()
        run = self.begin(farm, server.url, 60)
        wait_for(lambda: max(self.told(farm, run), default=0) >= 2 * FRAMES, what="two seconds")
        farm.close()
        piece = next(iter(self.root.rglob(".gantry-rec-*/*.mp4")))
        self.assertGreater(int(look(piece)["video"]["nb_read_packets"]), FRAMES // 2)


@unittest.skipUnless(subprocess.run([sys.executable, "-c", "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"],
                                    capture_output=True, check=False, env=clean_environment(), timeout=600).returncode == 0, "GStreamer's RTSP server is not there")
class GStreamer(Recorder):
    def test_all_of_it(self):
        server = subprocess.Popen([sys.executable, str(pathlib.Path(__file__).parent.parent / "rtsp" / "gst.py")], stdout=subprocess.PIPE, text=True,
                                  env=clean_environment())
        self.addCleanup(server.wait, 60)
        self.addCleanup(server.kill)
        self.addCleanup(server.stdout.close)
        port = int(server.stdout.readline())
        farm = self.farm()
        for path, video, audio in (("h264", "h264", ""), ("h264-aac", "h264", "aac"), ("h264-pcma", "h264", "aac"), ("h265", "hevc", "")):
            with self.subTest(path):
                result = self.made(farm, f"rtsp://127.0.0.1:{port}/{path}", 3)
                self.assertEqual((result["status"], result["video"], result["audio"]), (4, video, audio))
                self.assertEqual(result["audio_frames"] > 10, audio != "")
                self.output.unlink()


@unittest.skipUnless(THERE, "VLC is not there")
class VideoLan(Recorder):
    def test_all_of_it(self):
        farm = self.farm()
        for codec, video in (("h264", "h264"), ("h265", "hevc")):
            with self.subTest(codec), Vlc(codec) as server:
                result = self.made(farm, server.url, 3)
                self.assertEqual((result["status"], result["video"], result["audio"]), (4, video, "aac"))
                self.assertGreater(result["frames"], 2 * FRAMES)
                self.assertGreater(result["audio_frames"], 10)
                self.output.unlink()


if __name__ == "__main__":
    unittest.main()
