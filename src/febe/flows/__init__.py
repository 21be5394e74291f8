"""How a conversation goes: one file for each operation, written once as coroutines that suspend only at the port."""
