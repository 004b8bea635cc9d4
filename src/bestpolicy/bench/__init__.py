"""Published tables: one file each, which prints the reference figure, ours and the gap."""

TABLES = {
    "dueling": "comparisons and wrong verdicts of every design on known truths, against the floor",
    "llm-po": "figures of the default design: calibration, growth, prices, what each part is worth",
    "peeking": "how often an A/A test names a winner when it is looked at after every answer",
    "peers": "llm-po beside the algorithms of another library, and what each was told",
    "structure": "what a structure saves, trusted or not, and whether a wrong one is found out",
    "judges": "judges that repeat, change, lag or favour a side, with and without the guards",
    "ope": "off-policy evaluation: bias and coverage where the truth is known, and what it costs",
    "run": "what a run costs besides its models: comparisons per CPU-second, and memory",
    "injections": "how far judges are moved by answers that ask for it, and whether it is seen",
    "serve": "processor time and commits of assign and feedback over HTTP, at 32 connections",
    "kills": "what is lost or doubled when a server under load is killed and started again",
    "service": "how often an A/A test through the real service names a winner",
    "sentences": "errors of estimates that look at sentences, beside those that weigh prompts",
    "coverage": "how often intervals of off-policy evaluation cover the truth, at few rows too",
    "offline-prompts": "what methods learn from logged sentences, where the truth is known",
    "metric": "what learners of sentences gain by distances that were learnt too, and when",
    "movies": "the same from a language model's sentences, for users simulated from ratings",
    "ask": "processor time of one ask and one tell, for 10, 100 and 1,000 policies",
}
