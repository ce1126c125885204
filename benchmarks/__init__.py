"""Side by side with the libraries people would use instead; ``python -m benchmarks`` runs it."""
