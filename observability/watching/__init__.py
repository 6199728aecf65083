"""The always-on watcher: step after step, from a source to incidents that are told to whom they concern."""
