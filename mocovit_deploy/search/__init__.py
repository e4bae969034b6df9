"""Choose the file to ship among candidates. Plain data, no torch.

candidate   one file's time, size, error and lost accuracy
choose      the fastest candidate that keeps the accuracy, and why
"""
