"""`nizam dev`: the whole system on one machine, to try it and to develop against.

A private PostgreSQL and Redis, the daemon with every role, a demo tenant, a simulated switch that
places calls, and a receiver for that tenant's webhook, all from one folder that keeps its data.
"""
