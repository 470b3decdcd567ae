"""An RTSP server that behaves as a test wants it to: well, or in one of the ways that cameras do not.

    with Server(drops=[30]) as server:       # breaks the first connection off behind 30 frames
        server.url                           # rtsp://127.0.0.1:PORT/cam
"""

import hashlib
import random
import socket
import struct
import threading
import time

from tests.rtsp.film import FRAMES, film, tone

STATUS = {200: "OK", 302: "Moved", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 454: "Session Not Found", 461: "Unsupported Transport",
          503: "Service Unavailable"}


class Track:
    """One RTP stream of one client."""

    def __init__(self, kind, send, clock, first):
        self.kind, self.send, self.clock, self.first = kind, send, clock, first
        self.sequence = 1

    def packet(self, payload, marker, stamp):
        head = struct.pack("!BBHII", 0x80, (0x80 if marker else 0) | self.kind, self.sequence & 0xFFFF, (self.first + stamp) & 0xFFFFFFFF, 0x1234 + self.kind)
        self.sequence += 1
        self.send(head + payload)


class Session:
    """One connection."""

    def __init__(self, server, connection, number):
        self.server, self.connection, self.number = server, connection, number
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.tracks = {}
        self.sockets = []
        self.player = None

    def serve(self):
        try:
            with self.connection.makefile("rb") as lines:
                while not self.over.is_set() and self.request(lines):
                    pass
        except OSError:
            pass
        finally:
            self.end()

    def end(self):
        self.over.set()
        for one in [self.connection, *self.sockets]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def write(self, data):
        with self.lock:
            self.connection.sendall(data)

    def answer(self, headers, status=200, body="", **more):
        lines = [f"RTSP/1.0 {status} {STATUS[status]}", f"CSeq: {headers.get('cseq', '0')}", "Session: 1234;timeout=60"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        if body:
            lines += ["Content-Type: application/sdp", f"Content-Length: {self.server.claims or len(body)}"]
        self.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        return True

    def request(self, lines):
        first = lines.read(1)
        if first == b"$":
            lines.read(struct.unpack("!xH", lines.read(3))[0])
            return True
        line = (first + lines.readline()).decode(errors="replace").split()
        if len(line) < 3:
            return False
        headers = {}
        while (row := lines.readline().decode(errors="replace").strip()):
            name, _, value = row.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("content-length"):
            lines.read(int(headers["content-length"]))
        with self.server.lock:
            self.server.requests.append((self.number, line[0], line[1], headers))
        if self.server.silent:
            return True
        return getattr(self, "on_" + line[0].lower(), self.on_other)(headers, line[1])

    def on_other(self, headers, _):
        return self.answer(headers, 400)

    def on_options(self, headers, _):
        return self.answer(headers, Public="OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER")

    def on_get_parameter(self, headers, _):
        return self.answer(headers)

    def allowed(self, headers, method, url):
        user = self.server.auth
        if not user:
            return True
        given = headers.get("authorization", "")
        fields = {name.strip(): value.strip('"') for name, _, value in (part.partition("=") for part in given.partition(" ")[2].split(","))}

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        due = md5(f"{md5(f'{user[0]}:cam:{user[1]}')}:n1:{md5(f'{method}:{url}')}")
        return fields.get("response") == due

    def on_describe(self, headers, url):
        server = self.server
        if not self.allowed(headers, "DESCRIBE", url):
            return self.answer(headers, 401, WWW_Authenticate='Digest realm="cam", nonce="n1"')
        if server.redirect:
            return self.answer(headers, 302, Location=server.redirect)
        status = server.statuses.pop(0) if server.statuses else 200
        if status != 200:
            return self.answer(headers, status)
        return self.answer(headers, body=server.sdp if server.sdp is not None else self.sdp(), Content_Base=url + "/")

    def sdp(self):
        server = self.server
        body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        if server.film:
            body += "m=video 0 RTP/AVP 96\r\n" + server.film.sdp() + "a=control:video\r\n"
        if server.audio:
            kind = {"pcma": (8, "PCMA"), "pcmu": (0, "PCMU")}[server.audio]
            body += f"m=audio 0 RTP/AVP {kind[0]}\r\na=rtpmap:{kind[0]} {kind[1]}/8000\r\na=control:audio\r\n"
        return body

    def on_setup(self, headers, url):
        if not self.server.audio and "video" not in url.rsplit("/", 1)[-1]:
            return self.answer(headers, 404)
        film_, wanted = "video" in url.rsplit("/", 1)[-1], headers.get("transport", "")
        tcp = "tcp" in wanted.lower()
        if tcp and self.server.udp_only:
            return self.answer(headers, 461)
        if tcp:
            channel = int(wanted.split("interleaved=")[1].split("-")[0])

            def send(data, channel=channel):
                self.write(b"$" + struct.pack("!BH", channel, len(data)) + data)

            reply = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        else:
            port = int(wanted.split("client_port=")[1].split(";")[0].split("-")[0])
            ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            ours.bind(("127.0.0.1", 0))
            self.sockets.append(ours)

            def send(data, ours=ours, port=port):
                with self.server.lock:
                    self.server.sent += 1
                    lose = self.server.lose and self.server.sent % self.server.lose == 0
                if not lose:
                    ours.sendto(data, ("127.0.0.1", port))

            number = ours.getsockname()[1]
            reply = f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={number}-{number + 1}"
        kind = 96 if film_ else {"pcma": 8, "pcmu": 0}[self.server.audio]
        first = self.server.firsts[min(self.number, len(self.server.firsts) - 1)]
        self.tracks["video" if film_ else "audio"] = Track(kind, send, 90000 if film_ else 8000, first)
        return self.answer(headers, Transport=reply)

    def on_play(self, headers, _):
        self.answer(headers, Range="npt=0.000-")
        self.player = threading.Thread(target=self.play, daemon=True)
        self.player.start()
        return True

    def on_teardown(self, headers, _):
        self.answer(headers)
        return False

    def play(self):
        server, begun = self.server, time.monotonic()
        drop = server.drops[self.number] if self.number < len(server.drops) else None
        stall = server.stalls[min(self.number, len(server.stalls) - 1)]
        frame = 0
        try:
            while not self.over.wait(max(0.0, begun + frame / FRAMES + server.late(frame) - time.monotonic())):
                if frame == drop:
                    self.end()
                    return
                if stall is not None and frame >= stall:
                    return  # the connection stays, and nothing comes any more
                self.send_frame(frame)
                with server.lock:
                    server.frames += 1
                frame += 1
        except OSError:
            self.over.set()

    def send_frame(self, frame):
        server = self.server
        if "video" in self.tracks and not (frame < server.keyless and server.film.is_key(frame)):
            stamp = server.stamps(frame) if server.stamps else frame * (90000 // FRAMES)
            for payload, last in server.film.payloads(frame):
                payload = self.server.noise.randbytes(len(payload)) if server.noise else payload
                self.tracks["video"].packet(payload, last, stamp)
        if "audio" in self.tracks:
            count = 8000 // FRAMES
            self.tracks["audio"].packet(tone(server.audio, frame * count, count), frame == 0, frame * count)


class Server:
    """drops: frames behind which the first, the second … connection breaks off; None: it does not. stalls: frames behind which nothing comes any more, of the first, the second … and all further. statuses: of the
    first DESCRIBEs. firsts: RTP times of each connection's beginning. stamps: from a frame's number to its RTP time. lose: each so manieth UDP packet. keyless: key frames of so many frames are left out.
    noise: what is in packets is random. claims: the length that it says an SDP has. late: seconds that a frame is sent late."""

    def __init__(self, codec="h264", audio=None, port=0, auth=None, drops=(), stalls=(None,), statuses=(), sdp=None, redirect=None, udp_only=False, silent=False,
                 firsts=(1000,), stamps=None, lose=0, size="320x180", keyless=0, noise=False, claims=None, late=lambda frame: 0):
        self.film = film(codec, size) if codec else None
        self.audio, self.auth, self.drops, self.stalls, self.statuses = audio, auth, list(drops), list(stalls), list(statuses)
        self.sdp, self.redirect, self.udp_only, self.silent = sdp, redirect, udp_only, silent
        self.firsts, self.stamps, self.lose, self.keyless = list(firsts), stamps, lose, keyless
        self.noise, self.claims = random.Random(7) if noise else None, claims
        self.late = late
        self.lock = threading.Lock()
        self.frames = self.sent = 0  # sent to all
        self.requests = []
        self.sessions = []
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/cam"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, connection, len(self.sessions))
            self.sessions.append(session)
            threading.Thread(target=session.serve, daemon=True).start()

    def methods(self, number=None):
        with self.lock:
            return [method for session, method, _, _ in self.requests if number in (None, session)]

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for session in self.sessions:
            session.end()
        self.thread.join(60)
