"""What FreeSWITCH says, made into NIZAM's events and call detail records; no I/O."""
