"""Questions about passages: windows of a passage, and the search for the best answer."""
