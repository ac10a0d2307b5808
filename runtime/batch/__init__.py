"""Bounded plans: lowered to one Polars lazy frame, run by Polars' streaming engine."""
