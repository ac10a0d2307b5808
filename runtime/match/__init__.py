"""The matcher of MATCH_RECOGNIZE that batch and stream share."""
