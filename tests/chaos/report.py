"""What came of it, in numbers."""

import collections

from tests.chaos.auditor import status_of, twice


def gaps(acks, began, ended):
    """[(length, from, to)] between acknowledged writes, longest first."""
    times = [began] + sorted(at for at in acks if began <= at <= ended) + [ended]
    return sorted(((b - a, a, b) for a, b in zip(times, times[1:])), reverse=True)


STALE_SECONDS = 8.0  # what stands and is silent is given up by the heartbeats of the bus within this time
BYSTANDERS = ("worker", "gateway-doorbell")  # what no write needs


def hinders(fault):
    """Whether a write may have to wait for its end."""
    parts = fault.what.split(" and ")
    return fault.kind == "kill all" or not all(part.startswith(BYSTANDERS) for part in parts)


def idle_stretches(acks, faults, began, ended):
    """[(seconds, from)] without an acknowledged write though nothing was in its way, longest first."""
    found = []
    busy = [(f.began, (f.healed or ended) + (STALE_SECONDS if f.kind == "link stale" else 0)) for f in faults if hinders(f)]
    for length, start, end in gaps(acks, began, ended):
        if length < 1:
            break
        at = start
        for from_then, until in sorted(busy) + [(end, end)]:
            if until < at:
                continue
            if from_then > at:
                found.append((min(from_then, end) - at, at))
            at = max(at, until)
            if at >= end:
                break
    return sorted(found, reverse=True)


def by_kind(acks, faults, began, ended):
    """{fault: (how many, longest gap that it had part in, longest time from its end to the next acknowledged write)}

    The second counts where nothing else was wrong any more by then: it is the farm's own time to come back.
    """
    rows = collections.defaultdict(lambda: [0, 0.0, 0.0])
    found = gaps(acks, began, ended)
    longest = [gap for gap in found if gap[0] > 0.1]
    for fault in faults:
        row = rows[f"{fault.kind} {fault.what}"]
        row[0] += 1
        until = fault.healed or ended
        for length, start, end in longest:
            if start < until and end > fault.began:
                row[1] = max(row[1], length)
                break
    for length, start, end in longest:
        part = [fault for fault in faults if fault.began < end and (fault.healed or ended) > start]
        if part and all((fault.healed or ended) < end for fault in part):
            last = max(part, key=lambda fault: fault.healed)
            row = rows[f"{last.kind} {last.what}"]
            row[2] = max(row[2], end - last.healed)
    return rows


def longest(world, ended, count=8):
    """The longest gaps, and what was going on in each: seconds since the start, and for how long."""
    began = world.chronicle.began
    lines = []
    for length, start, end in gaps(world.ledger.acks, began, ended)[:count]:
        within = [f"{fault} at {fault.began - began:.1f} for {(fault.healed or ended) - fault.began:.1f}"
                  for fault in world.chronicle.faults if fault.began < end and (fault.healed or ended) > start - 0.5]
        lines.append(f"gap of {length:4.1f} s at {start - began:6.1f}: " + "; ".join(within))
    return lines


def summary(world, seed, seconds, ended, settled):
    """The lines of the end."""
    chronicle, ledger = world.chronicle, world.ledger
    runs = [run for run in world.books.runs.values()]
    statuses = collections.Counter(status_of(run) for run in runs)
    outcomes = collections.Counter(a.get("outcome", 0) for run in runs for a in run.attempts or [])
    acknowledged = sum(len(entry.answer) for entry in ledger.acknowledged().values() if entry.is_run)
    erased = sum(len(entry.answer) for entry in ledger.acknowledged().values() if entry.kind == "erased")
    asked_again = sum(entry.tries - 1 for entry in ledger.entries.values())
    worst = gaps(ledger.acks, chronicle.began, ended)[0][0]
    return [
        f"seed            {seed}",
        f"seconds         {seconds:.0f}, and {settled:.1f} until nothing was open any more",
        f"kills           {chronicle.kills}",
        f"stops           {chronicle.stops}",
        f"restarts        {chronicle.restarts}",
        f"cuts            {chronicle.cuts}",
        f"acknowledged    {acknowledged} runs by {len(ledger.acknowledged())} commands, {erased} of them deleted again with their tasks",
        f"asked again     {asked_again} times for want of an answer, {ledger.repeats} times behind it: the same answer",
        f"final           {sum(statuses[s] for s in ('completed', 'failed', 'aborted'))} of {len(runs)} runs, with those of schedules and chains: " +
        ", ".join(f"{count} {status}" for status, count in sorted(statuses.items())),
        f"attempts        {sum(outcomes.values())}: {outcomes[5]} lost, {outcomes[6]} returned",
        f"events          {len(world.books.events)}; batches {sum(word == 'applied' for word, _, _ in world.applied)}",
        f"twice           {len(twice(world))} (each with its lease lost)",
        f"worst gap       {worst:.1f} s without an acknowledged write",
    ]


def table(world, ended):
    rows = by_kind(world.ledger.acks, world.chronicle.faults, world.chronicle.began, ended)
    lines = [f"{'fault':58} {'times':>5} {'gap s':>6} {'back s':>6}"]
    for name, (count, gap, back) in sorted(rows.items(), key=lambda row: -row[1][2]):
        lines.append(f"{name:58} {count:5} {gap:6.1f} {back:6.1f}")
    return lines
