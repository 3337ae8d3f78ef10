"""Hangup causes and SIP answers as FreeSWITCH pairs them (seen on the switch, or sofia_glue.c)."""

from __future__ import annotations

# The cause of a leg that was refused with a SIP status.
CAUSE_OF_SIP_STATUS = {
    402: "CALL_REJECTED",
    403: "CALL_REJECTED",
    404: "UNALLOCATED_NUMBER",
    408: "RECOVERY_ON_TIMER_EXPIRE",
    480: "NO_USER_RESPONSE",
    486: "USER_BUSY",
    487: "ORIGINATOR_CANCEL",
    488: "INCOMPATIBLE_DESTINATION",
    500: "NORMAL_TEMPORARY_FAILURE",
    503: "NORMAL_TEMPORARY_FAILURE",
    603: "CALL_REJECTED",
}

PHRASE_OF_SIP_STATUS = {
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "CANCEL",
    488: "Not Acceptable",
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}

# Q.850 numbers; everything FreeSWITCH invented itself counts as 16 in hangup_cause_q850.
Q850 = {
    "UNALLOCATED_NUMBER": 1,
    "NO_ROUTE_DESTINATION": 3,
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_USER_RESPONSE": 18,
    "NO_ANSWER": 19,
    "SUBSCRIBER_ABSENT": 20,
    "CALL_REJECTED": 21,
    "EXCHANGE_ROUTING_ERROR": 25,
    "DESTINATION_OUT_OF_ORDER": 27,
    "INVALID_NUMBER_FORMAT": 28,
    "FACILITY_REJECTED": 29,
    "NORMAL_UNSPECIFIED": 31,
    "NORMAL_CIRCUIT_CONGESTION": 34,
    "NETWORK_OUT_OF_ORDER": 38,
    "NORMAL_TEMPORARY_FAILURE": 41,
    "SWITCH_CONGESTION": 42,
    "REQUESTED_CHAN_UNAVAIL": 44,
    "OUTGOING_CALL_BARRED": 52,
    "BEARERCAPABILITY_NOTAUTH": 57,
    "SERVICE_UNAVAILABLE": 63,
    "CHAN_NOT_IMPLEMENTED": 66,
    "INCOMPATIBLE_DESTINATION": 88,
    "MANDATORY_IE_MISSING": 96,
    "RECOVERY_ON_TIMER_EXPIRE": 102,
    "ORIGINATOR_CANCEL": 16,
    "LOSE_RACE": 16,
    "MANAGER_REQUEST": 16,
    "ALLOTTED_TIMEOUT": 16,
    "PICKED_OFF": 16,
    "PROGRESS_TIMEOUT": 16,
    "USER_NOT_REGISTERED": 16,
    "INVALID_GATEWAY": 16,
    "GATEWAY_DOWN": 16,
}

DIALSTATUS = {
    "SUCCESS": "SUCCESS",
    "USER_BUSY": "BUSY",
    "CALL_REJECTED": "DONTCALL",
    "NO_ANSWER": "NOANSWER",
    "ORIGINATOR_CANCEL": "CANCEL",
    "UNALLOCATED_NUMBER": "INVALIDARGS",
    "SUBSCRIBER_ABSENT": "CHANUNAVAIL",
    "USER_NOT_REGISTERED": "CHANUNAVAIL",
}


def known_cause(name: str) -> str:
    """`name` if it is a hangup cause; anything else means NORMAL_CLEARING, as seen."""
    return name if name in Q850 else "NORMAL_CLEARING"


def q850(cause: str) -> str:
    """The number that hangup_cause_q850 holds for `cause`."""
    return str(Q850.get(cause, 16))
