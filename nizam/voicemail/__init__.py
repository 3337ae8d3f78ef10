"""What becomes of messages in mailboxes: their files looked at, listened to, marked and deleted at
the switch that has them, and compared with what the switch says."""
