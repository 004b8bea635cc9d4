"""Learners: a log in, a policy out. One method, one file."""
