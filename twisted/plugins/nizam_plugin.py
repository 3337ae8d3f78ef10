"""Tells twistd that there is a `nizam` to run."""

from twisted.application.service import ServiceMaker

nizam = ServiceMaker("NIZAM", "nizam.tap", "The control plane for FreeSWITCH.", "nizam")
