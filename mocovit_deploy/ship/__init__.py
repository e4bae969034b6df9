"""What an app needs beside the numbers: labels, preprocessing, licence.

metadata   one description of a file for its users, written by each format in its own place
app_code   Kotlin, Swift and Python that load a file, generated from its manifest (templates/)
"""
