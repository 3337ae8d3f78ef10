"""A private PostgreSQL and Redis as child processes, for `nizam dev` and the tests.

Nothing here touches the reactor: servers start before it runs and stop after it ended. They
listen on 127.0.0.1 only, keep everything under one folder, and end when their parent ends.
"""
