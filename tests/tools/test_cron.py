"""Schedules against an oracle: every minute of a window tried with Python's zoneinfo, in zones that change their clocks.

The oracle knows nothing of fields searched in order: it matches each minute by itself, and each wall time by its own round trip.
"""

import datetime
import random
import subprocess
import unittest
import zoneinfo

from tests.farm import BUILD

UTC = datetime.timezone.utc
MINUTE = 60
DAY = 86400

# minute, hour, day, month, weekday; as sets by hand, so that parsing is proven too. None is a wildcard.
SCHEDULES = [
    ("* * * * *", None, None, None, None, None),
    ("*/7 * * * *", range(0, 60, 7), None, None, None, None),
    ("5,35 * * * *", (5, 35), None, None, None, None),
    ("0 */2 * * *", (0,), range(0, 24, 2), None, None, None),
    ("17 1-5/2 * * *", (17,), (1, 3, 5), None, None, None),
    ("@hourly", (0,), None, None, None, None),
    ("30 2 * * *", (30,), (2,), None, None, None),
    ("30 1 * * *", (30,), (1,), None, None, None),
    ("*/10 1-3 * * *", range(0, 60, 10), (1, 2, 3), None, None, None),
    ("0 0 * * *", (0,), (0,), None, None, None),
    ("15 0,1,2,3,23 * * *", (15,), (0, 1, 2, 3, 23), None, None, None),
    ("@daily", (0,), (0,), None, None, None),
    ("59 23 * * SUN", (59,), (23,), None, None, (0,)),
    ("0 3 * * 6,7", (0,), (3,), None, None, (6, 0)),
    ("0 2 * * FRI-SUN", (0,), (2,), None, None, (5, 6, 0)),
    ("45 2 1-7 * MON", (45,), (2,), range(1, 8), None, (1,)),
    ("45 2 */2 * MON", (45,), (2,), range(1, 32, 2), None, (1,)),
    ("*/20 * 25-31 mar,OCT *", range(0, 60, 20), None, range(25, 32), (3, 10), None),
    ("1 1 L * ?", (1,), (1,), "last", None, None),
    ("*/30 * * * SAT", (0, 30), None, None, None, (6,)),
]
EITHER = {"45 2 1-7 * MON"}  # both days restricted: either will do


def elapsed(text):
    hour = text.split()[1] if not text.startswith("@") else ("*" if text == "@hourly" else "0")
    return "*" in hour or "/" in hour


def matches(row, wall):
    text, minutes, hours, days, months, weekdays = row
    if days == "last":
        days = (wall.day,) if (wall + datetime.timedelta(days=1)).day == 1 else ()
    weekday = (wall.weekday() + 1) % 7
    by_day = days is None or wall.day in days
    by_weekday = weekdays is None or weekday in weekdays
    return ((minutes is None or wall.minute in minutes) and (hours is None or wall.hour in hours)
            and (months is None or wall.month in months)
            and ((by_day or by_weekday) if text in EITHER else (by_day and by_weekday)))


def wall_of(instant, zone):
    return datetime.datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)


def instant_of(wall, zone):
    """The first instant that shows the wall time, or the first one behind the gap that skips it."""
    instant = int(wall.replace(tzinfo=zone, fold=0).timestamp())
    if wall_of(instant, zone) == wall:
        return instant
    before = instant - 2 * DAY  # the clock shows less than wall before the gap, and more behind it
    behind = instant + 2 * DAY
    while behind - before > 1:
        middle = (before + behind) // 2
        if wall_of(middle, zone) < wall:
            before = middle
        else:
            behind = middle
    return behind


def oracle(row, zone, start, end):
    """All due times in (start, end]."""
    if elapsed(row[0]):
        return [t for t in range(start + MINUTE, end + 1, MINUTE) if matches(row, wall_of(t, zone))]
    wall = wall_of(start, zone) - datetime.timedelta(days=2)
    wall = wall.replace(second=0)
    found = set()
    while wall <= wall_of(end, zone) + datetime.timedelta(days=2):
        if matches(row, wall):
            found.add(instant_of(wall, zone))
        wall += datetime.timedelta(minutes=1)
    return sorted(t for t in found if start < t <= end)


def changes(zone, year):
    """Instants of a year around which the clock is changed, to the hour."""
    first = int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp())
    offsets = [(t, datetime.datetime.fromtimestamp(t, zone).utcoffset()) for t in range(first, first + 366 * DAY, 6 * 3600)]
    return [t for (t, old), (_, new) in zip(offsets, offsets[1:]) if old != new]


class Cron(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = subprocess.Popen([str(BUILD / "tests" / "cron_next")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @classmethod
    def tearDownClass(cls):
        cls.program.stdin.close()
        cls.program.wait(120)
        cls.program.stdout.close()

    def due(self, schedule, zone, start, count):
        self.program.stdin.write(f"{schedule}|{zone}|{start * 1000}|{count}\n")
        self.program.stdin.flush()
        answer = self.program.stdout.readline()
        self.assertFalse(answer.startswith("error"), answer)
        return [int(word) // 1000 for word in answer.split()]

    def check(self, name, start, days, rows=SCHEDULES):
        zone = zoneinfo.ZoneInfo(name)
        start -= start % MINUTE
        end = start + days * DAY
        for row in rows:
            expected = oracle(row, zone, start, end)
            got = [t for t in self.due(row[0], name, start, len(expected) + 1) if 0 < t <= end]
            self.assertEqual(got, expected, f"{row[0]} in {name} from {wall_of(start, zone)}")

    def test_known_changes(self):
        """A day and a half around the clock changes of a year that the files list, and one only their rule knows."""
        for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Asia/Tehran",
                     "America/Havana", "Europe/Dublin", "Asia/Kathmandu", "Pacific/Chatham", "Europe/London", "America/St_Johns", "Antarctica/Troll", "Asia/Beirut", "America/Sao_Paulo"):
            for year in (2019, 2071):
                for change in changes(zoneinfo.ZoneInfo(name), year)[:2]:
                    self.check(name, change - DAY // 2, 2)

    def test_skipped_day(self):
        """Samoa had no 30 December 2011; Kwajalein went across the date line in 1993."""
        at = int(datetime.datetime(2011, 12, 29, 12, tzinfo=UTC).timestamp())
        self.check("Pacific/Apia", at - DAY, 3)
        at = int(datetime.datetime(1993, 8, 20, 12, tzinfo=UTC).timestamp())
        self.check("Pacific/Kwajalein", at - DAY, 3)

    def test_no_change(self):
        """A whole offset of half an hour, and days on which nothing happens."""
        for name in ("Asia/Kolkata", "Pacific/Apia", "Africa/Casablanca"):
            self.check(name, int(datetime.datetime(2026, 7, 30, tzinfo=UTC).timestamp()), 3)

    def test_any_zone(self):
        """A few zones and times by chance, the same ones each time."""
        chance = random.Random(20)
        names = sorted(n for n in zoneinfo.available_timezones() if n[0].isupper() and n != "Factory")
        for _ in range(12):
            name = chance.choice(names)
            year = chance.randrange(1980, 2090)
            found = changes(zoneinfo.ZoneInfo(name), year)
            start = chance.choice(found) if found else int(datetime.datetime(year, 2, 28, tzinfo=UTC).timestamp())
            self.check(name, start, 1, chance.sample(SCHEDULES, 8))

    def test_every_zone_is_read(self):
        """Midday of two far days, in all zones there are."""
        for name in sorted(n for n in zoneinfo.available_timezones() if n[0].isupper() and n != "Factory"):
            zone = zoneinfo.ZoneInfo(name)
            for year in (1999, 2060):
                start = int(datetime.datetime(year, 7, 1, tzinfo=UTC).timestamp())
                got = self.due("0 12 4 7 *", name, start, 1)[0]
                self.assertEqual(wall_of(got, zone), datetime.datetime(year, 7, 4, 12), name)


if __name__ == "__main__":
    unittest.main()
