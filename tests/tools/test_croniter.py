#!/usr/bin/python3
"""Schedules against croniter: random plain fields in UTC, from random instants.

    tests/tools/test_croniter.py [--count N] [--seed N]     N expressions (100,000) from a seed, which is printed

The test looks at the same few thousand each time. croniter knows no W, ~ and @every, writes seconds last, takes a day field as a
wildcard by what it covers where Vixie cron takes it by its first character: such fields are left out. Its search forward has faults: from
the end of February it passes over the first of March, and it gives up when one of two day fields never comes. So where ours is due
earlier, its search backward is asked whether that is a due time.
"""

import argparse
import datetime
import random
import subprocess
import sys
import unittest

if __name__ == "__main__":
    sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[2]))

from croniter import CroniterBadDateError, croniter

from tests.farm import BUILD

SLICE = 5000
TIMES = 3  # of each expression
UTC = datetime.timezone.utc
FIRST, LAST = (int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1990, 2090))
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "sun mon tue wed thu fri sat".split()


class Field:
    def __init__(self, low, high, names=(), star=0.4):
        self.low, self.high, self.names, self.star = low, high, names, star

    def word(self, chance, value):
        if self.names and chance.random() < 0.4:
            word = self.names[value - self.low]
            return word.upper() if chance.random() < 0.5 else word
        return str(value)

    def element(self, chance):
        """Its text, and the values it stands for."""
        low = chance.randint(self.low, self.high)
        kind = chance.random()
        if kind < 0.5:
            return self.word(chance, low), {low}
        high = chance.randint(low, self.high)
        if low == high:
            return self.word(chance, low), {low}
        text = f"{self.word(chance, low)}-{self.word(chance, high)}"
        if kind < 0.75:
            return text, set(range(low, high + 1))
        step = chance.randint(2, max(2, high - low))
        return f"{text}/{step}", set(range(low, high + 1, step))

    def make(self, chance, starred=True):
        """A field's text; without a star at its front when starred is False."""
        kind = chance.random()
        if starred and kind < self.star:
            return "*"
        if starred and kind < self.star + 0.15:
            return f"*/{chance.randint(2, max(2, (self.high - self.low) // 2))}"
        while True:
            elements = [self.element(chance) for _ in range(1 if chance.random() < 0.6 else chance.randint(2, 4))]
            if len(set.union(*(values for _, values in elements))) <= self.high - self.low:
                return ",".join(text for text, _ in elements)


SECOND, MINUTE, HOUR = Field(0, 59), Field(0, 59), Field(0, 23)
DAY, MONTH, WEEKDAY = Field(1, 31, star=0.5), Field(1, 12, MONTHS, star=0.7), Field(0, 6, WEEKDAYS, star=0.6)


def expression(chance):
    """Ours, and croniter's."""
    day = DAY.make(chance)
    weekday = "*" if day.startswith("*/") else WEEKDAY.make(chance, starred=day == "*")
    if day == "*" and weekday.startswith("*/"):
        weekday = "*"
    if day not in ("*",) and not weekday.startswith("*") and chance.random() < 0.5:
        weekday = "*"
    fields = [MINUTE.make(chance), HOUR.make(chance), day, MONTH.make(chance), weekday]
    plain = " ".join(fields)
    if chance.random() < 0.3:
        second = SECOND.make(chance)
        return f"{second} {plain}", f"{plain} {second}"
    return plain, plain


def moment(at):
    return datetime.datetime.fromtimestamp(at, UTC)


def is_due(text, at):
    """By its search backward; that too gives up when one of two day fields never comes."""
    minute, hour, day, month, weekday, *second = text.split()
    texts = [text]
    if day != "*" and weekday != "*":
        texts += [" ".join([minute, hour, "*", month, weekday, *second]), " ".join([minute, hour, day, month, "*", *second])]
    for one in texts:
        try:
            if croniter.match(one, moment(at)):
                return True
        except CroniterBadDateError:
            continue
    return False


def agrees(text, after, due):
    """Whether the first due time behind `after` is `due`, 0 for none."""
    try:
        found = int(croniter(text, moment(after)).get_next(datetime.datetime).timestamp())
    except CroniterBadDateError:
        found = 0
    return found == due or (due != 0 and (found == 0 or due < found) and is_due(text, due))


def differences(count, seed):
    """Where the two differ, as sentences."""
    chance = random.Random(seed)
    cases = [(*expression(chance), chance.randrange(FIRST, LAST)) for _ in range(count)]
    lines = "".join(f"{ours}||{start * 1000}|{TIMES}\n" for ours, _, start in cases)
    done = subprocess.run([str(BUILD / "tests" / "cron_next")], input=lines, capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    if len(answers) != len(cases):
        return [f"{len(cases)} questions, {len(answers)} answers"]
    found = []
    for (ours, theirs, start), answer in zip(cases, answers):
        got = [] if answer.startswith("error") else [int(word) // 1000 for word in answer.split()]
        if not got or not all(agrees(theirs, after, due) for after, due in zip([start] + got, got)):
            found.append(f"{ours} after {start}: {answer}")
    return found


class Croniter(unittest.TestCase):
    def test_a_slice(self):
        self.assertEqual(differences(SLICE, 20), [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    found = differences(options.count, options.seed)
    for line in found[:20]:
        print(line)
    print(f"{options.count} expressions, {TIMES} due times each, seed {options.seed}: {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
