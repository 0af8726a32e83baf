"""Training of one stage: objective, views, optimiser, loop."""
