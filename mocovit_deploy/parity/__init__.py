"""Does a file compute what the network computes? Numbers, tolerances, verdicts; no torch here."""
