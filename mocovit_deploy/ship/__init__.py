"""What an app needs besides the weights: labels, preprocessing, licence, code.

metadata   the description of a file inside the file, written by each format in its own place
app_code   Kotlin, Swift and Python that load a file, generated from its manifest (templates/)
"""
