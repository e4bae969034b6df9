"""Which file to ship: candidates beside each other, and the choice among them. Plain data, no torch.

candidate   what is known of one file: time, size, error, accuracy lost
choose      the fastest candidate that keeps the accuracy, and why
"""
