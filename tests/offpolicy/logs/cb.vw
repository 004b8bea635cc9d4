1:-1:0.5 | user:1 old
| nobody
3:0:0.25 | new
1 2:-0.25:1 3 4 | user:2
