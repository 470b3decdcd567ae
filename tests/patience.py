"""Settings of a farm whose machine may stand still for seconds, any process of it alone, too: then that is no outage, and costs no lease.
Nor does it matter how many CPUs it has: a worker takes some runs at once.

    with Farm(**PATIENT) as farm:

Not for tests of what happens once such a term is over.
"""

# Below the 30 s that a request of the tests takes at most.
PATIENT = {"bus_deadline_ms": 28000, "lease_seconds": 120, "lease_accept_seconds": 120, "worker_slots": 4}
