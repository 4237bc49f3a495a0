"""Sign-ins by next-auth v4 and v5 that reach Yellow Books, or do not, and are the same to the user."""
