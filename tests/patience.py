"""Settings of a farm whose machine may stand still for seconds, any process of it alone, too: then that is no outage, and costs no lease.

    with Farm(**PATIENT) as farm:

Not for tests of what happens once such a term is over.
"""

PATIENT = {"bus_deadline_ms": 28000, "lease_seconds": 120, "lease_accept_seconds": 120}  # the tests' own requests take 30 s at most
