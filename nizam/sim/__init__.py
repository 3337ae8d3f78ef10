"""A simulated FreeSWITCH, written against recordings of a real one.

It speaks the event socket, asks mod_xml_curl's questions, follows the answers far enough to prove
them, places calls by a script whose truth it keeps, posts mod_json_cdr's records, and fails on
demand. `nizam dev`, the tests and the benchmarks use it where no FreeSWITCH is at hand.

It decodes and encodes by itself and shares no code with `nizam.esl`, `nizam.fsxml` or
`nizam.routing`, so that agreement between the two sides means something.
"""
