"""The library behind the chapters of *From vectors to objects*, a course on deep generative models."""
