"""Running it: logs, systemd's notifications, the doctor's questions."""
