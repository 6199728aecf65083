"""From the artifacts of one service's week to its retrospective, and from that to Markdown."""
