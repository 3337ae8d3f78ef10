"""NIZAM: the control plane of a FreeSWITCH telephone platform for many tenants."""

__version__ = "0.1.0"
