"""Question answering on passages: divides them into windows and finds the best answers."""
