"""HTTP: live traffic is assigned, people rate, and everybody sees where a study stands."""
