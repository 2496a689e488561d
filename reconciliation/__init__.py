"""Read what the acquirer reports, match it with what we expect, keep the mismatches, prove that the books tie."""
