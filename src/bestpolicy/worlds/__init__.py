"""Worlds whose truth is known, so that a verdict can be called right or wrong."""
