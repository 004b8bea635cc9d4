"""From a study's state to what people and programs read."""
