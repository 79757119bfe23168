"""Photographs with what people wrote about them: a folder of pictures and one file of annotations."""
