"""The command line: one file a verb, loaded when asked for."""
