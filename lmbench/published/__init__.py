"""Published numbers, hand-typed from the papers and checked twice; NOTES.md holds conventions and contradictions."""
