"""What the broken studies beside this file call; `judge` and `first` are right."""

NOT_A_FUNCTION = 3


def judge(row, left, right):
    return "left"


def first(row):
    return "first"


def second(row):
    return "second"


def takes_nothing():
    return "nothing"


async def later(row):
    return "later"
