"""What a log can answer: the value of a policy that did not write it."""
