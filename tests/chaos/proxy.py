"""A TCP proxy that can be told to misbehave: one Link for each connection of the farm that shall be cut.

Ways a link can be:
    pass       bytes go through
    cut        what stands is reset, and whoever connects is reset at once
    hole       everything is accepted and nothing goes on; at the end what was held goes on, or is reset
    stale      what stands goes silent for good (a firewall that lost its table), new connections pass
    delay      each piece waits on its way
    half       one direction of what stands is closed, the other goes on; new connections pass
"""

import asyncio
import random
import threading

WAYS = ["cut", "hole", "stale", "delay", "half"]
PIECE = 65536


class Connection:
    """Both directions of one connection."""

    def __init__(self, link, reader, writer):
        self.link = link
        self.inside, self.outside = None, writer
        self.readers = [reader, None]
        self.silent = False  # stale
        self.gone = asyncio.Event()

    async def run(self):
        link = self.link
        await link.open.wait()
        if link.way == "cut":
            self.abort()
            return
        try:
            self.readers[1], self.inside = await asyncio.open_connection("127.0.0.1", link.target)
        except OSError:
            self.abort()
            return
        pumps = [asyncio.ensure_future(self.pump(self.readers[0], self.inside)),
                 asyncio.ensure_future(self.pump(self.readers[1], self.outside))]
        gone = asyncio.ensure_future(self.gone.wait())
        await asyncio.wait([asyncio.gather(*pumps, return_exceptions=True), gone], return_when=asyncio.FIRST_COMPLETED)
        for task in pumps + [gone]:
            task.cancel()
        self.abort()

    async def pump(self, reader, writer):
        try:
            while True:
                piece = await reader.read(PIECE)
                self.link.taken += len(piece)
                await self.link.open.wait()
                if self.silent:
                    await asyncio.Event().wait()  # for ever: until whoever is behind it gives it up
                if self.link.pause:
                    await asyncio.sleep(self.link.pause)
                if not piece:
                    writer.write_eof()
                    return
                self.link.given += len(piece)
                writer.write(piece)
                await writer.drain()
        except OSError:
            self.gone.set()

    def abort(self):
        self.gone.set()
        for writer in (self.inside, self.outside):
            if writer is not None:
                writer.transport.abort()

    def close_half(self, inward):
        writer = self.inside if inward else self.outside
        try:
            if writer is not None:
                writer.write_eof()
        except OSError:
            self.abort()


class Link:
    """One listening port and where it leads."""

    def __init__(self, name, port, target):
        self.name, self.port, self.target = name, port, target
        self.way = "pass"
        self.pause = 0.0
        self.taken = self.given = 0  # bytes
        self.connections = set()
        self.open = asyncio.Event()
        self.open.set()
        self.server = None

    async def listen(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", self.port)

    async def accept(self, reader, writer):
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    def turn(self, way, chance):
        """Runs in the loop."""
        self.way = way
        if way == "cut":
            self.drop()
        elif way == "hole":
            self.open.clear()
        elif way == "stale":
            for connection in self.connections:
                connection.silent = True
        elif way == "delay":
            self.pause = chance.uniform(0.02, 0.3)
        elif way == "half":
            for connection in list(self.connections):
                connection.close_half(chance.random() < 0.5)

    def heal(self, chance):
        if self.way == "hole" and chance.random() < 0.5:
            self.drop()
        self.way, self.pause = "pass", 0.0
        self.open.set()

    def drop(self):
        for connection in list(self.connections):
            connection.abort()


class Proxy:
    """All links, in a thread of their own. Use as a context manager."""

    def __init__(self, routes):
        """routes: {name: (port to listen on, port it leads to)}"""
        self.routes = routes
        self.links = {}
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run, name="proxy", daemon=True)

    def __enter__(self):
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self.begin(), self.loop).result(60)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(60)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(60)
        self.loop.close()

    def run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    async def begin(self):
        for name, (port, target) in self.routes.items():
            self.links[name] = Link(name, port, target)
            await self.links[name].listen()

    async def end(self):
        for link in self.links.values():
            link.server.close()
            link.open.set()
            link.drop()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def turn(self, name, way, seed):
        self.tell(lambda: self.links[name].turn(way, random.Random(seed)))

    def heal(self, name, seed):
        self.tell(lambda: self.links[name].heal(random.Random(seed)))

    def tell(self, act):
        async def do():
            act()

        asyncio.run_coroutine_threadsafe(do(), self.loop).result(60)
