"""The whole daemon on real servers, with a simulated or a recorded switch."""
