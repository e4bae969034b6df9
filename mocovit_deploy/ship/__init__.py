"""What an app needs beside the numbers: labels, preprocessing, licence.

metadata   one description of a file for its users, written by each format in its own place
"""
