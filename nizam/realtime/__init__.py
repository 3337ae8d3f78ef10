"""What happened, told to whoever listens now: WebSocket, SSE, and services that speak Pusher.

One reader on each instance follows the log of events (`tail`) and hands every event, written once
for each kind of stream, to those of the instance who want it (`hub`). The log is the truth and the
order: Redis only says that there is something new, so that nothing is missed while it is away.
"""
