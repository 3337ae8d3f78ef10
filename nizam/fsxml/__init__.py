"""What FreeSWITCH asks and reads: requests parsed, documents written, one file a section; pure."""
