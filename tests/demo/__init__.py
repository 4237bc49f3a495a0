"""The demo site, in a real Chromium and in-process."""
