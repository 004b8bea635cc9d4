"""Models: who answers. `scripted` needs no model at all."""
