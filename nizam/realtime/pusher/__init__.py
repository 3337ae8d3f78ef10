"""Events for services that speak the Pusher protocol, such as Pusher, Ably and Soketi."""
