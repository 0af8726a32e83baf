"""Many runs: what each needs, done in order, continued after a kill; `lmbench campaign` and `lmbench reproduce` stand on it."""
