"""Shapes are plain integers here: the name exists for annotations."""
sint = int
