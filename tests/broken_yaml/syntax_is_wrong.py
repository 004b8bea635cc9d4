def judge(row, left right):
    return "left"
