"""Breaking things on purpose while calls go on, and checking afterwards that every promise held.

A run is made of a *world* (the daemon, a PostgreSQL and a Redis of its own, a simulated switch,
webhook receivers, all behind proxies with faults), a *workload* (calls and clients of the API), a
*schedule* of faults drawn from a seed, and a *history*: everything that was seen, as JSON lines.
Whether all is well is decided from the history alone, by pure functions (`checkers`).
"""
