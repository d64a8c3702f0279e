"""Arrays in; a figure, a text, a sound or sliders out. Nothing here knows a model."""
