"""What should happen to a call: pure functions of a snapshot, a request and a moment."""
