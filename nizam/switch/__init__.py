"""Switch nodes: links, intake, live calls and registrations, reconciliation, snapshots."""
