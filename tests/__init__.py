"""The test suite; its directories mirror `src/febe`."""
