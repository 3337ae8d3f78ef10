"""HTTP: the API, and FreeSWITCH's questions."""

from __future__ import annotations

from nizam.settings import parsers as p
from nizam.settings.declarations.setting import NETWORKS, PORT, SECRET, Setting

SETTINGS: tuple[Setting, ...] = (
    Setting(
        "NIZAM_HTTP_HOST",
        "http.host",
        p.ip_address,
        "127.0.0.1",
        "an IP address of this machine; 0.0.0.0 is every one",
        "Where to listen.",
    ),
    Setting("NIZAM_HTTP_PORT", "http.port", p.port, 8080, PORT, "The port to listen on."),
    Setting(
        "NIZAM_HTTP_REUSE_PORT",
        "http.reuse_port",
        p.boolean,
        False,
        "true or false",
        "Whether several processes of this machine listen on that port (SO_REUSEPORT).",
    ),
    Setting(
        "NIZAM_METRICS_TOKEN",
        "http.metrics_token",
        p.secret,
        None,
        SECRET,
        "The bearer token for /metrics; without one only loopback may read it.",
        secret=True,
    ),
    Setting(
        "NIZAM_XML_ALLOWED_NETWORKS",
        "http.xml_allowed_networks",
        p.networks,
        (),
        NETWORKS,
        "Where FreeSWITCH may ask from; empty allows every address.",
        example=["10.0.0.0/8"],
    ),
    Setting(
        "NIZAM_TRUSTED_PROXIES",
        "http.trusted_proxies",
        p.networks,
        (),
        NETWORKS,
        "Load balancers whose X-Forwarded-For is believed.",
        example=["10.0.0.0/8"],
    ),
)
