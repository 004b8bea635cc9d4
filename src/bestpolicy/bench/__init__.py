"""Published tables: one file each, which prints the reference figure, ours and the gap."""

TABLES = {
    "dueling": "comparisons and wrong verdicts of every design on known truths, against the floor",
    "llm-po": "figures of the default design: calibration, growth, prices, what each part is worth",
    "peeking": "how often an A/A test names a winner when it is looked at after every answer",
    "peers": "llm-po beside the algorithms of another library, and what each was told",
    "structure": "what a structure saves, trusted or not, and whether a wrong one is found out",
    "judges": "judges that repeat, change, lag or favour a side, with and without the guards",
    "run": "what a run costs besides its models: comparisons per CPU-second, and memory",
    "injections": "how far judges are moved by answers that ask for it, and whether it is seen",
    "ask": "processor time of one ask and one tell, for 10, 100 and 1,000 policies",
}
