"""FreeSWITCH's event socket (mod_event_socket), as a client.

The protocol itself does no I/O: bytes go in, typed values come out (`frames`, `event`,
`commands`, `session`). `protocol` puts it on a Twisted transport, `link` keeps one connection
alive, and `interface` is the seam that the rest of NIZAM sees.
"""
