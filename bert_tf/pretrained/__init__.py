"""MODELS MADE ELSEWHERE: a format a file, each read into the same thing; and where to get them."""
