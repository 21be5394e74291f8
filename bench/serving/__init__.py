"""The servers that are measured, each a script that prints `port <number>` and serves until it is stopped."""
