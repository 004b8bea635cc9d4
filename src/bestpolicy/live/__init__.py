"""Live traffic: units are assigned to policies by chance, and their rewards decide."""
