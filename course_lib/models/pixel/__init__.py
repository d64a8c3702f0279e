"""The six models that paint an image pixel by pixel: `model` is what they share."""
