"""Numbers about numbers: every metric, 95 % interval, difference, p value and correction of the program."""
