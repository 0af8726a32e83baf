"""What a loader needs for files as their authors hand them out: archives, lists, texts, MATLAB files, ``.pts``; and whether a
dataset is what it claims to be."""
