"""What a run leaves: its record, predictions, and the comparisons and leaderboards made of them."""
