"""The framework module of the scikit-learn image: what binds AWS's toolkits to a user's functions.

Copied into the image environment by sandbox/image.py; imported there, never by the project itself.
"""
