"""Tests of the alerts, and the parts they need."""
