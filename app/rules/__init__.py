"""The rule book: pure functions on plain values. No database, no network, no clock."""
