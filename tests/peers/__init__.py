"""Real programs that febe is tested against: PostgreSQL servers, and febe's own server in a process of its own."""
