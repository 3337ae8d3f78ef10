"""What there is: every resource, destination and event, declared once and free of I/O."""
