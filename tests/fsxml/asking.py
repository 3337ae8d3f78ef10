"""Questions of FreeSWITCH with what a hostile caller puts into them."""

from __future__ import annotations

from urllib.parse import quote

from nizam.fsxml.request import XmlRequest


def hostile_call(context: str, number: str, text: str) -> dict[str, str]:
    """A dialplan question in which the text stands wherever a caller has a say, or might."""
    return {
        "section": "dialplan",
        "Hunt-Context": context,
        "Hunt-Destination-Number": number,
        "Hunt-Caller-ID-Name": text,
        "Hunt-Caller-ID-Number": text,
        "Unique-ID": text,
        "variable_nizam_call_id": text,
        "variable_sip_auth_username": text,
        "variable_sip_authorized": "true",
        "variable_nizam_extension_id": text,
        "variable_effective_caller_id_name": text,
        "variable_domain_name": text,
        "variable_originate_disposition": text,
        "variable_nizam_ivr_misses": text,
        "variable_nizam_gateway_id": text,
        "FreeSWITCH-Hostname": text,
    }


def encoded(fields: dict[str, str]) -> XmlRequest:
    """The fields as mod_xml_curl posts them."""
    return XmlRequest(
        b"&".join(
            name.encode() + b"=" + quote(it.encode("utf-8", "replace"), safe=",/").encode()
            for name, it in fields.items()
        )
    )
