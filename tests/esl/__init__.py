"""The event socket against what a real FreeSWITCH sent."""
