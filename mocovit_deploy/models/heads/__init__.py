"""Heads, which compute a network's outputs from the maps of its backbone. Each head is one file."""
