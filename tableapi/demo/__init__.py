"""Programs that show the whole system on real data. They use the public API only."""
