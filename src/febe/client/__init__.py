"""The client: `blocking` and `asynchronous` are its two faces, everything else is shared."""
