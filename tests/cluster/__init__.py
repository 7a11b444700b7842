"""Tests on a real API server, which ``make cluster`` builds. The libraries that they need want Python 3.11."""
