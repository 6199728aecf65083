"""The online detector and the episodes that it finds."""
