"""What a draw is worth: judges, speech, distances."""
