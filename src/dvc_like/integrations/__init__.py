"""What other programs load by entry point to reach versioned data: each module for one of them, and none for us."""
