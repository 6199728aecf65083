"""What the samples say: summaries of days, budgets, regressions and health. Pure functions, no I/O."""
